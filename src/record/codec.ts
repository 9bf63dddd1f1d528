/**
 * RecordBatch and SignedRecord of record.proto in the protobuf wire format (protobuf.dev/programming-guides/encoding).
 * Written by hand because it reads what strangers send: nothing is copied, recursion and counts are bounded, and every
 * error is a RecordError `invalid_batch`. As protobuf demands, unknown fields are ignored, a field that comes twice keeps
 * its last value, and one that is missing is empty.
 */
import { RecordError } from './errors.ts'
import { MAX_BATCH_BYTES, MAX_BATCH_RECORDS } from './limits.ts'
import type { SignedRecord } from './types.ts'

const WIRE_VARINT = 0
const WIRE_FIXED64 = 1
const WIRE_BYTES = 2
const WIRE_GROUP_START = 3
const WIRE_GROUP_END = 4
const WIRE_FIXED32 = 5

/** Tag of field 1 and of field 2 with length-delimited content, the only ones that the schema has. */
const FIELD_1 = (1 << 3) | WIRE_BYTES
const FIELD_2 = (2 << 3) | WIRE_BYTES

/** A varint of 64 bits takes at most 10 bytes. */
const MAX_VARINT_BYTES = 10
/** Nesting of groups, a form given up long ago, inside unknown fields: more is noise. */
const MAX_GROUP_DEPTH = 32

export interface BatchLimits {
  /** Greatest size of a batch in bytes. Default 1 MiB, a gossip message's. */
  readonly maxBytes?: number
  /** Greatest count of records. Default 4,096: 1 MiB of valid ones holds fewer. */
  readonly maxRecords?: number
}

/** Bytes that a record takes in a batch: batches of sums up to a limit stay below it. */
export function encodedBytes(record: SignedRecord): number {
  const inner = recordBytes(record)
  return 1 + varintBytes(inner) + inner
}

/** The RecordBatch of records, as protobuf. Its size is the sum of their `encodedBytes`. */
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
    bytes[at++] = FIELD_1
    varint(recordBytes(record))
    field(FIELD_1, record.payload)
    field(FIELD_2, record.signature)
  }
  return bytes
}

/**
 * The records of a RecordBatch, nothing in them checked.
 *
 * @returns views of `bytes`: keep them unchanged as long as the records are used
 * @throws RecordError `invalid_batch`
 */
export function decodeBatch(bytes: Uint8Array, limits: BatchLimits = {}): SignedRecord[] {
  const { maxBytes = MAX_BATCH_BYTES, maxRecords = MAX_BATCH_RECORDS } = limits
  if (bytes.length > maxBytes) throw invalid(`it has ${bytes.length} bytes; ${maxBytes} are allowed`)
  const records: SignedRecord[] = []
  readFields(bytes, (tag, value) => {
    if (tag !== FIELD_1) return
    if (records.length >= maxRecords) throw invalid(`it has more than ${maxRecords} records`)
    records.push(decodeRecord(value))
  })
  return records
}

function decodeRecord(bytes: Uint8Array): SignedRecord {
  let payload: Uint8Array = EMPTY
  let signature: Uint8Array = EMPTY
  readFields(bytes, (tag, value) => {
    if (tag === FIELD_1) payload = value
    else if (tag === FIELD_2) signature = value
  })
  return { payload, signature }
}

const EMPTY = new Uint8Array(0)

/** Calls `each` with every length-delimited field; walks over all others. */
function readFields(bytes: Uint8Array, each: (tag: number, value: Uint8Array) => void): void {
  let at = 0
  const open: number[] = []

  const varint = (): number => {
    let value = 0
    let scale = 1
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      const byte = bytes[at++]
      if (byte === undefined) throw invalid('it ends inside a number')
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 0x80
    }
    throw invalid('a number is longer than 10 bytes')
  }
  const skip = (length: number): void => {
    // Lengths beyond 2^53 lose precision in `varint`, and are far beyond the end all the same.
    if (length > bytes.length - at) throw invalid('a field is longer than what is left')
    at += length
  }

  while (at < bytes.length) {
    const tag = varint()
    const wire = tag % 8
    const number = Math.floor(tag / 8)
    if (number < 1 || number > MAX_FIELD_NUMBER) throw invalid('a field number is out of range')
    if (wire === WIRE_BYTES) {
      const length = varint()
      const start = at
      skip(length)
      // Not subarray: of a Buffer it would be a Buffer.
      if (open.length === 0) each(tag, new Uint8Array(bytes.buffer, bytes.byteOffset + start, length))
    } else if (wire === WIRE_VARINT) varint()
    else if (wire === WIRE_FIXED64) skip(8)
    else if (wire === WIRE_FIXED32) skip(4)
    else if (wire === WIRE_GROUP_START) {
      if (open.push(number) > MAX_GROUP_DEPTH) throw invalid('groups nest too deeply')
    } else if (wire !== WIRE_GROUP_END || open.pop() !== number) throw invalid('a field has no known form')
  }
  if (open.length > 0) throw invalid('it ends inside a group')
}

/** Field numbers have 29 bits. */
const MAX_FIELD_NUMBER = 2 ** 29 - 1

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
