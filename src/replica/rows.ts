/**
 * The rows of a replica, as a table:
 *
 * | key                 | value                                                                              |
 * | ------------------- | ---------------------------------------------------------------------------------- |
 * | `m`                 | JSON: version of this table, network, id of the store                               |
 * | `a/<avatar>`        | JSON: an avatar that is followed: how far each node was read, when it was verified |
 * | `q/<avatar>/<position>` | an own write that no node has taken yet: JSON about it, and the record             |
 * | `r/<avatar>/<position>` | a verified record that came from a node or an archive, or that a node has taken    |
 *
 * Positions ascend in the order of writing, over `q` and `r` together, and none is used twice. So a tab that knows the greatest
 * position reads only what is new. Rows are deleted or changed only together with a new `generation` in the avatar's row, except
 * own writes that a node has taken.
 *
 * Every value begins with a check over its key and content. Rows hold records, never the state that the records make: that is
 * worked out in memory.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import type { Avatar, RecordId, SignedRecord, VerifiedRecord } from '../record/types.ts'

export const TABLE_VERSION = 1
export const META_KEY = 'm'

/** Of SHA-256: detects accidental damage. It is no protection against a program that writes to the disk. */
const CHECK_BYTES = 16
const ID_BYTES = 32
const SIGNATURE_BYTES = 64
const LENGTH_BYTES = 4
/** 2^53 has 16 digits. */
const POSITION_DIGITS = 16

export type RecordKind = 'q' | 'r'

/** Notes on an avatar. */
export interface AvatarRow {
  /** Random; another one after the avatar was unfollowed and followed again. */
  readonly epoch: string
  /** Grows when own writes were deleted or changed: then all of them have to be read again. */
  readonly generation: number
  /** How far each node was read, by its address. */
  readonly cursors: Readonly<Record<string, string>>
  /** When a node last showed exactly the state that is verified here, in ms since the Unix epoch; null for never. */
  readonly verifiedAt: number | null
  /** The greatest position ever used, when rows were last deleted; missing if none was. */
  readonly greatest?: number
}

/**
 * `waiting`: will be sent. `conflict`: has no effect as it is, and there was no signer to sign it again. `rejected`: no node
 * accepts it.
 */
export type WriteState = 'waiting' | 'conflict' | 'rejected'

/** Notes on an own write. */
export interface WriteNote {
  readonly state: WriteState
  /** When the first version was signed, in ms since the Unix epoch. */
  readonly writtenAt: number
  /** How often it was signed again because of a snapshot. */
  readonly rebases: number
  /** Signed before the avatar was ever read: it would come before all its records. */
  readonly blind?: boolean
  /** Why it is not sent, for people. */
  readonly reason?: string
}

/** An own write that no node has taken, with its position on disk. */
export interface QueuedWrite {
  readonly position: number
  readonly record: VerifiedRecord
  readonly note: WriteNote
  /** Whether the row of an own write before it is damaged. */
  readonly isAfterDamage: boolean
}

export interface RecordRow extends SignedRecord {
  readonly id: RecordId
}

export const avatarKey = (avatar: Avatar): string => `a/${avatar}`
export const AVATAR_KEYS = { after: 'a/', before: 'a0' } as const
export const avatarOfKey = (key: string): Avatar => key.slice('a/'.length) as Avatar

export function recordKey(kind: RecordKind, avatar: Avatar, position: number): string {
  return `${kind}/${avatar}/${String(position).padStart(POSITION_DIGITS, '0')}`
}

export function placeOfKey(key: string): number {
  return Number(key.slice(-POSITION_DIGITS))
}

/** Keys of an avatar's records after a position. */
export function recordKeys(kind: RecordKind, avatar: Avatar, after = -1): { after: string; before: string } {
  return { after: after < 0 ? `${kind}/${avatar}/` : recordKey(kind, avatar, after), before: `${kind}/${avatar}0` }
}

export const encodeRecord = (key: string, record: RecordRow): Uint8Array => seal(key, recordBytes(record))

/** @returns undefined where the row fails its check */
export function decodeRecord(key: string, row: Uint8Array): RecordRow | undefined {
  const content = unseal(key, row)
  return content && recordOf(content)
}

export function encodeWrite(key: string, record: RecordRow, note: WriteNote): Uint8Array {
  const json = utf8ToBytes(JSON.stringify(note))
  const length = new Uint8Array(LENGTH_BYTES)
  new DataView(length.buffer).setUint32(0, json.length)
  return seal(key, concatBytes(length, json, recordBytes(record)))
}

/** @returns undefined where the row fails its check */
export function decodeWrite(key: string, row: Uint8Array): (RecordRow & { readonly note: WriteNote }) | undefined {
  const content = unseal(key, row)
  if (content === undefined) return undefined
  const end = LENGTH_BYTES + new DataView(content.buffer, content.byteOffset).getUint32(0)
  const note = JSON.parse(new TextDecoder().decode(content.subarray(LENGTH_BYTES, end))) as WriteNote
  return { ...recordOf(content.subarray(end)), note }
}

/** The record in a row of either kind that fails its check, if there may be one. Its signature has to be verified. */
export function salvage(kind: RecordKind, row: Uint8Array): SignedRecord | undefined {
  const content = row.subarray(CHECK_BYTES)
  let start = 0
  if (kind === 'q') {
    if (content.length < LENGTH_BYTES) return undefined
    start = LENGTH_BYTES + new DataView(content.buffer, content.byteOffset).getUint32(0)
  }
  if (content.length <= start + ID_BYTES + SIGNATURE_BYTES) return undefined
  const { payload, signature } = recordOf(content.subarray(start))
  return { payload, signature }
}

export const encodeJson = (key: string, value: unknown): Uint8Array => seal(key, utf8ToBytes(JSON.stringify(value)))

/** @returns undefined where there is no row, or where it fails its check */
export function decodeJson<T>(key: string, row: Uint8Array | undefined): T | undefined {
  const content = row && unseal(key, row)
  return content && (JSON.parse(new TextDecoder().decode(content)) as T)
}

function recordBytes({ id, signature, payload }: RecordRow): Uint8Array {
  return concatBytes(hexToBytes(id.slice(2)), signature, payload)
}

function recordOf(content: Uint8Array): RecordRow {
  const [signatureEnd, id] = [ID_BYTES + SIGNATURE_BYTES, content.subarray(0, ID_BYTES)]
  return {
    id: `0x${bytesToHex(id)}`,
    // Copies, so that the row's memory can be freed.
    signature: content.slice(ID_BYTES, signatureEnd),
    payload: content.slice(signatureEnd),
  }
}

function seal(key: string, content: Uint8Array): Uint8Array {
  return concatBytes(checkOf(key, content), content)
}

function unseal(key: string, row: Uint8Array): Uint8Array | undefined {
  // LevelDB returns Buffers, whose methods differ.
  const plain = new Uint8Array(row.buffer, row.byteOffset, row.byteLength)
  const content = plain.subarray(CHECK_BYTES)
  const check = checkOf(key, content)
  return plain.length >= CHECK_BYTES && check.every((byte, at) => byte === plain[at]) ? content : undefined
}

function checkOf(key: string, content: Uint8Array): Uint8Array {
  return sha256.create().update(utf8ToBytes(key)).update(content).digest().subarray(0, CHECK_BYTES)
}
