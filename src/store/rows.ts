/** Contents of the rows (see `keys.ts`), after the checksum (`seal.ts`). */
import type { Avatar, Citation, RecordBody, SignedRecord } from '../record/types.ts'
import type { NamespaceMarks } from '../state/content.ts'
import type { PendingRecord } from '../state/waiting.ts'
import { ByteReader, type ByteWriter } from './bytes.ts'
import type { Counts } from './counts.ts'
import { AVATAR_BYTES, ID_BYTES } from './keys.ts'
import { startRow } from './seal.ts'
import type { AvatarSummary, ChangeEvent } from './types.ts'

const SIGNATURE_BYTES = 64
const TYPES: readonly RecordBody['type'][] = ['patch', 'snapshot', 'part']
const KINDS: readonly ChangeEvent['kind'][] = ['record', 'superseded']

/** Set in the first byte of `h` and `i` rows since layout 4. In older rows this byte is smaller, so they do not decode. */
const SINCE_LAYOUT_4 = 0x80

/** An `s` row: avatar, position and type, so that a reader need not parse the payload; then signature and payload. */
export interface RecordRow extends Citation, SignedRecord {
  readonly type: RecordBody['type']
  readonly avatar: Avatar
}

export function encodeRecord({ type, avatar, counter, id, signature, payload }: RecordRow): Uint8Array {
  const writer = startRow(144 + payload.length)
    .u8(TYPES.indexOf(type))
    .hex(avatar)
    .varint(counter)
    .hex(id)
  return writer.bytes(signature).bytes(payload).finish()
}

export function decodeRecord(content: Uint8Array): RecordRow {
  const reader = new ByteReader(content)
  const type = oneOf(TYPES, reader.u8())
  return { type, avatar: reader.hex(AVATAR_BYTES), counter: reader.varint(), ...readRecordRest(reader) }
}

/** An `r` row of layouts 1 to 3; its key has the avatar. */
export function decodeOldRecord(content: Uint8Array): Omit<RecordRow, 'avatar'> {
  const reader = new ByteReader(content)
  return { type: oneOf(TYPES, reader.u8()), counter: reader.u64(), ...readRecordRest(reader) }
}

function readRecordRest(reader: ByteReader): SignedRecord & Pick<Citation, 'id'> {
  const id = reader.hex(ID_BYTES)
  return { id, signature: reader.bytes(SIGNATURE_BYTES), payload: reader.bytes(reader.remaining) }
}

/** An `h` row. `bytes` counts payload and signature. */
export interface HistoryRow {
  readonly sequence: number
  readonly createdAt: number
  readonly bytes: number
  readonly type: RecordBody['type']
}

export function encodeHistory({ sequence, createdAt, bytes, type }: HistoryRow): Uint8Array {
  return startTyped(24, type).varint(sequence).varint(createdAt).varint(bytes).finish()
}

export function decodeHistory(content: Uint8Array): HistoryRow {
  const reader = new ByteReader(content)
  const type = readType(reader)
  return { sequence: reader.varint(), createdAt: reader.varint(), bytes: reader.varint(), type }
}

/** An `i` row. */
export interface LocationRow {
  readonly sequence: number
  readonly counter: number
  readonly type: RecordBody['type']
}

export function encodeLocation({ sequence, counter, type }: LocationRow): Uint8Array {
  return startTyped(20, type).varint(sequence).varint(counter).finish()
}

export function decodeLocation(content: Uint8Array): LocationRow {
  const reader = new ByteReader(content)
  const type = readType(reader)
  return { sequence: reader.varint(), counter: reader.varint(), type }
}

const startTyped = (capacity: number, type: RecordBody['type']): ByteWriter =>
  startRow(capacity).u8(SINCE_LAYOUT_4 + TYPES.indexOf(type))

const readType = (reader: ByteReader): RecordBody['type'] => oneOf(TYPES, reader.u8() - SINCE_LAYOUT_4)

/** An `o` row, or the row of the feed's floor: one sequence. */
export function encodeSequence(sequence: number): Uint8Array {
  return startRow(8).varint(sequence).finish()
}

export function decodeSequence(content: Uint8Array): number {
  const reader = new ByteReader(content)
  const sequence = reader.varint()
  // Before layout 4 an `o` row had the avatar first.
  if (reader.remaining > 0) throw new RangeError('the row is too long')
  return sequence
}

/** An `f` row without its sequence. */
export interface FeedRow extends Citation {
  readonly kind: ChangeEvent['kind']
  readonly avatar: Avatar
}

/** One change without its avatar's head and digest, which `toEvents` adds. */
export interface Change extends FeedRow {
  readonly sequence: number
}

export function encodeFeed({ kind, avatar, counter, id }: FeedRow): Uint8Array {
  return startRow(80).u8(KINDS.indexOf(kind)).hex(avatar).u64(counter).hex(id).finish()
}

export function decodeFeed(content: Uint8Array): FeedRow {
  const reader = new ByteReader(content)
  return { kind: oneOf(KINDS, reader.u8()), avatar: reader.hex(AVATAR_BYTES), ...readPlace(reader) }
}

/** An `l` row: the key under which an avatar is linked. */
export const encodeLinkedKey = (key: string): Uint8Array =>
  startRow(key.length + 16)
    .text(key)
    .finish()
export const decodeLinkedKey = (content: Uint8Array): string => new ByteReader(content).text()

/** A namespace's `v` row: marks; number of members and XOR of their checksums, which reveal a lost member row. */
export interface NamespaceRow extends NamespaceMarks {
  readonly live: number
  readonly deleted: number
  readonly check: number
}

export function encodeNamespace(row: NamespaceRow): Uint8Array {
  return startRow(32)
    .u64(row.lastPatch)
    .u8(row.inBase ? 1 : 0)
    .varint(row.live)
    .varint(row.deleted)
    .u32(row.check)
    .finish()
}

export function decodeNamespace(content: Uint8Array): NamespaceRow {
  const reader = new ByteReader(content)
  return {
    lastPatch: reader.u64(),
    inBase: reader.u8() === 1,
    live: reader.varint(),
    deleted: reader.varint(),
    check: reader.u32(),
  }
}

export function encodePendingRecord(pending: PendingRecord): Uint8Array {
  const writer = startRow(16 + pending.names.length * 40)
    .u8(TYPES.indexOf(pending.type))
    .varint(pending.names.length)
  for (const { counter, id } of pending.names) writer.u64(counter).hex(id)
  return writer.finish()
}

export function decodePendingRecord(place: Citation, content: Uint8Array): PendingRecord {
  const reader = new ByteReader(content)
  const type = reader.u8() === TYPES.indexOf('snapshot') ? 'snapshot' : 'patch'
  const names: Citation[] = []
  for (let rest = reader.varint(); rest > 0; rest -= 1) names.push(readPlace(reader))
  return { counter: place.counter, id: place.id, type, names }
}

/** A `u` row: the position after which superseded records may still have `o` rows. */
export function encodePlace({ counter, id }: Citation): Uint8Array {
  return startRow(40).u64(counter).hex(id).finish()
}

export function decodePlace(content: Uint8Array): Citation {
  return readPlace(new ByteReader(content))
}

/** The stored summary: `AvatarSummary`, and fields that only the store and sync need. */
export interface SummaryRow extends Omit<AvatarSummary, 'avatar'>, Counts {
  /** Sum of the ids of the live records modulo 2^256, little-endian, 32 bytes. */
  readonly idSum: Uint8Array
  readonly namespaces: number
  readonly incomplete: number
}

export function encodeSummary(row: SummaryRow): Uint8Array {
  const writer = startRow(256)
    .u64(row.head)
    .hex(`0x${row.digest}`)
    .u8(row.base === null ? 0 : 1)
  if (row.base !== null) writer.u64(row.base.counter).hex(row.base.id)
  writer.varint(row.tipsTotal).varint(row.tips.length)
  for (const { counter, id } of row.tips) writer.u64(counter).hex(id)
  writer.varint(row.pending).varint(row.incomplete).varint(row.missing.total).varint(row.missing.ids.length)
  for (const id of row.missing.ids) writer.hex(id)
  writer.varint(row.records).varint(row.bytes).varint(row.namespaces).bytes(row.idSum)
  return writer.varint(row.keptRecords).varint(row.keptBytes).finish()
}

export function decodeSummary(content: Uint8Array): SummaryRow {
  const reader = new ByteReader(content)
  const head = reader.u64()
  const digest = reader.hex(ID_BYTES).slice(2)
  const place = (): Citation => readPlace(reader)
  const base = reader.u8() === 0 ? null : place()
  const tipsTotal = reader.varint()
  const tips = Array.from({ length: reader.varint() }, place)
  const pending = reader.varint()
  const incomplete = reader.varint()
  const missingTotal = reader.varint()
  const missing = { total: missingTotal, ids: Array.from({ length: reader.varint() }, () => reader.hex(ID_BYTES)) }
  const [records, bytes, namespaces] = [reader.varint(), reader.varint(), reader.varint()]
  const idSum = reader.bytes(ID_BYTES)
  const [keptRecords, keptBytes] = [reader.varint(), reader.varint()]
  const counts = { records, bytes, keptRecords, keptBytes }
  return { head, digest, base, tipsTotal, tips, pending, incomplete, missing, namespaces, idSum, ...counts }
}

function readPlace(reader: ByteReader): Citation {
  return { counter: reader.u64(), id: reader.hex(ID_BYTES) }
}

function oneOf<T>(values: readonly T[], index: number): T {
  const value = values[index]
  if (value === undefined) throw new RangeError(`no such kind: ${index}`)
  return value
}
