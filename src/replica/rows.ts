/**
 * The rows of a replica, as a table:
 *
 * | key                 | value                                                                              |
 * | ------------------- | ---------------------------------------------------------------------------------- |
 * | `m`                 | JSON: version of this table, network, id of the store                               |
 * | `a/<avatar>`        | JSON: an avatar that is followed: how far each node was read, when it was verified |
 * | `q/<avatar>/<position>`| an own write that no node has taken yet: JSON about it, and the record             |
 * | `r/<avatar>/<position>`| a verified record that came from a node or an archive, or that a node has taken    |
 *
 * Places ascend in the order of writing, `q` and `r` counted together, and none is given twice; nothing but a new `generation` in the avatar's row
 * takes a row away or changes it in position, writes that a node took aside. So who knows the greatest places reads what is new.
 *
 * Every value begins with a check over its key and content. Content is never worked out from rows: records are, and the
 * state that they make is folded in memory.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import type { Avatar, RecordId, SignedRecord, VerifiedRecord } from '../record/types.ts'

export const TABLE_VERSION = 1
export const META_KEY = 'm'

/** Of SHA-256: finds accidents. Against malice on one's own disk nothing helps. */
const CHECK_BYTES = 16
const ID_BYTES = 32
const SIGNATURE_BYTES = 64
const LENGTH_BYTES = 4
/** 2^53 has 16 digits. */
const PLACE_DIGITS = 16

export type RecordKind = 'q' | 'r'

/** How far things are with an avatar. */
export interface AvatarRow {
  /** Made anew when the avatar is followed anew. */
  readonly epoch: string
  /** Another one: own writes were taken away or changed, and all of them have to be read anew. */
  readonly generation: number
  /** By the address of the node. */
  readonly cursors: Readonly<Record<string, string>>
  /** When all that a node shows was last verified here, in ms since the Unix epoch; null for never. */
  readonly verifiedAt: number | null
  /** The greatest place ever given, as of when rows were last taken away; none if they never were. */
  readonly greatest?: number
}

/**
 * `waiting`: will be sent. `conflict`: a snapshot took the place of what it was built on, and nobody was there to sign it
 * anew. `rejected`: every node says that it is not valid.
 */
export type WriteState = 'waiting' | 'conflict' | 'rejected'

/** What is kept of an own write beside its record. */
export interface WriteNote {
  readonly state: WriteState
  /** When it was signed first, in ms since the Unix epoch. */
  readonly writtenAt: number
  /** How often it was signed anew because of a snapshot. */
  readonly rebases: number
  /** Signed before anything was known of the avatar: it would come before all that there is. */
  readonly blind?: boolean
  /** Why it waits, for people. */
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
  return `${kind}/${avatar}/${String(position).padStart(PLACE_DIGITS, '0')}`
}

export function placeOfKey(key: string): number {
  return Number(key.slice(-PLACE_DIGITS))
}

/** Keys of an avatar's records after a place. */
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

/** The record in a row of either kind that fails its check, as far as it can be made out: to be verified from scratch. */
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
    // Copies, so that the row can go.
    signature: content.slice(ID_BYTES, signatureEnd),
    payload: content.slice(signatureEnd),
  }
}

function seal(key: string, content: Uint8Array): Uint8Array {
  return concatBytes(checkOf(key, content), content)
}

function unseal(key: string, row: Uint8Array): Uint8Array | undefined {
  // LevelDB hands out Buffers, whose methods differ.
  const plain = new Uint8Array(row.buffer, row.byteOffset, row.byteLength)
  const content = plain.subarray(CHECK_BYTES)
  const check = checkOf(key, content)
  return plain.length >= CHECK_BYTES && check.every((byte, at) => byte === plain[at]) ? content : undefined
}

function checkOf(key: string, content: Uint8Array): Uint8Array {
  return sha256.create().update(utf8ToBytes(key)).update(content).digest().subarray(0, CHECK_BYTES)
}
