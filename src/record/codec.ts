/**
 * RecordBatch and SignedRecord of record.proto in the protobuf wire format (protobuf.dev/programming-guides/encoding).
 * Written by hand because it reads bytes from strangers: it copies nothing, bounds sizes and counts, and every error is a
 * RecordError `invalid_batch`.
 */
import { RecordError } from './errors.ts'
import { MAX_BATCH_BYTES, MAX_BATCH_RECORDS } from './limits.ts'
import { readFields, WIRE_BYTES } from './protobuf.ts'
import type { SignedRecord } from './types.ts'

/** Tags of fields 1 and 2 with length-delimited content, the only ones that the schema has. */
const TAG_1 = (1 << 3) | WIRE_BYTES
const TAG_2 = (2 << 3) | WIRE_BYTES

/** Bounds of a batch that `decodeBatch` accepts. */
export interface BatchLimits {
  /** Largest batch, in bytes. Default 1 MiB, the limit of a gossip message. */
  readonly maxBytes?: number
  /** Most records. Default 4,096; 1 MiB of valid records has fewer. */
  readonly maxRecords?: number
}

/** Bytes that a record takes in a batch. The size of a batch is the sum over its records. */
export function encodedBytes(record: SignedRecord): number {
  const inner = recordBytes(record)
  return 1 + varintBytes(inner) + inner
}

/** Encodes records as a RecordBatch. Its size is the sum of their `encodedBytes`. */
export function encodeBatch(records: readonly SignedRecord[]): Uint8Array {
  const bytes = new Uint8Array(records.reduce((sum, record) => sum + encodedBytes(record), 0))
  let at = 0
  const varint = (value: number): void => {
    let rest = value
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes[at++] = (rest % 0x80) | 0x80
    bytes[at++] = rest
  }
  const field = (tag: number, value: Uint8Array): void => {
    // proto3 leaves out what is empty.
    if (value.length === 0) return
    bytes[at++] = tag
    varint(value.length)
    bytes.set(value, at)
    at += value.length
  }
  for (const record of records) {
    bytes[at++] = TAG_1
    varint(recordBytes(record))
    field(TAG_1, record.payload)
    field(TAG_2, record.signature)
  }
  return bytes
}

/**
 * Decodes a RecordBatch. The records themselves are not checked.
 *
 * @returns views of `bytes`: keep them unchanged as long as the records are used
 * @throws RecordError `invalid_batch`
 */
export function decodeBatch(bytes: Uint8Array, limits: BatchLimits = {}): SignedRecord[] {
  const { maxBytes = MAX_BATCH_BYTES, maxRecords = MAX_BATCH_RECORDS } = limits
  if (bytes.length > maxBytes) throw invalid(`it has ${bytes.length} bytes; ${maxBytes} are allowed`)
  const records: SignedRecord[] = []
  const each = (field: number, value: number | Uint8Array): void => {
    if (field !== 1 || typeof value === 'number') return
    if (records.length >= maxRecords) throw invalid(`it has more than ${maxRecords} records`)
    records.push(decodeRecord(value))
  }
  readFields(bytes, each, invalid)
  return records
}

function decodeRecord(bytes: Uint8Array): SignedRecord {
  let payload: Uint8Array = EMPTY
  let signature: Uint8Array = EMPTY
  const each = (field: number, value: number | Uint8Array): void => {
    if (typeof value === 'number') return
    if (field === 1) payload = value
    else if (field === 2) signature = value
  }
  readFields(bytes, each, invalid)
  return { payload, signature }
}

const EMPTY = new Uint8Array(0)

function recordBytes(record: SignedRecord): number {
  return fieldBytes(record.payload) + fieldBytes(record.signature)
}

function fieldBytes(value: Uint8Array): number {
  return value.length === 0 ? 0 : 1 + varintBytes(value.length) + value.length
}

function varintBytes(value: number): number {
  let bytes = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++
  return bytes
}

function invalid(why: string): RecordError {
  return new RecordError('invalid_batch', `The batch is not a protobuf RecordBatch: ${why}.`)
}
