/** Conversions between values of the store and of PostgreSQL. */
import { sha256 } from '@noble/hashes/sha2.js'
import type { Avatar, Citation, RecordBody, RecordId } from '../../record/types.ts'
import type { ChangeEvent } from '../types.ts'
import { bytesText, fromHex, textBytes, toHex } from '../bytes.ts'

const TYPES: readonly RecordBody['type'][] = ['patch', 'snapshot', 'part']
const KINDS: readonly ChangeEvent['kind'][] = ['record', 'superseded']
/** A longer member key is sorted by its hash, as in LevelDB; an entry of a PostgreSQL index may have 2,700 bytes. */
const MAX_SORT_KEY_BYTES = 128

export const typeNumber = (type: RecordBody['type']): number => TYPES.indexOf(type)
export const kindNumber = (kind: ChangeEvent['kind']): number => KINDS.indexOf(kind)

export function typeOf(number: number): RecordBody['type'] {
  return oneOf(TYPES, number)
}

export function kindOf(number: number): ChangeEvent['kind'] {
  return oneOf(KINDS, number)
}

function oneOf<T>(values: readonly T[], number: number): T {
  const value = values[number]
  if (value === undefined) throw new RangeError(`no such kind: ${number}`)
  return value
}

export const bytea = (hex: Avatar | RecordId): Uint8Array => fromHex(hex)
export const avatarOf = (bytes: Uint8Array): Avatar => toHex(bytes)
export const idOf = (bytes: Uint8Array): RecordId => toHex(bytes)

/** The place in a row with `counter` and `id`. */
export const placeOf = (row: { readonly counter: number; readonly id: Uint8Array }): Citation => ({
  counter: row.counter,
  id: idOf(row.id),
})

/** The columns of a member's key: 0x00 and its text, or, if it is long, 0x01 and its SHA-256, and the text. */
export interface KeyColumns {
  readonly sort_key: Uint8Array
  readonly long_key: Uint8Array | null
}

export function keyColumns(key: string): KeyColumns {
  const bytes = textBytes(key)
  const isShort = bytes.length <= MAX_SORT_KEY_BYTES
  return {
    sort_key: Buffer.concat([Buffer.of(isShort ? 0 : 1), isShort ? bytes : sha256(bytes)]),
    long_key: isShort ? null : bytes,
  }
}

export function keyOf({ sort_key, long_key }: KeyColumns): string {
  return bytesText(long_key ?? sort_key.subarray(1))
}

/** Citations as the JSON of a `jsonb` column. Counters are below 2^53, so no number changes. */
export function citationsJson(places: readonly Citation[]): string {
  return JSON.stringify(places.map(({ counter, id }) => [counter, id]))
}

export type CitationsColumn = readonly (readonly [counter: number, id: RecordId])[]

export function citationsOf(column: CitationsColumn): Citation[] {
  return column.map(([counter, id]) => ({ counter, id }))
}
