import { hexToBytes } from '@noble/hashes/utils.js'
import { sign } from '../../src/record/curve.ts'
import { recordDigest } from '../../src/record/id.ts'
import { avatarOf } from '../../src/record/keys.ts'
import type { Avatar, SignedRecord } from '../../src/record/types.ts'

export const NETWORK = 'main'
/** A public test key, as in vectors/records.json. */
export const SECRET_KEY = hexToBytes('a6d94cbdc8f5871d18522b7d56cbec1a6386ceb5f7e37160758c8f30d2260da9')
export const OTHER_SECRET_KEY = hexToBytes('4ff657d139192cb53fde8e305e1f5ada51c8cd710ed6bc63a67f84a38286ade8')
export const AVATAR: Avatar = avatarOf(SECRET_KEY)
export const UUID = '25cbb06c-e534-4f14-8740-785079ddc69c'

/** Raw JSON text of members, by name: whatever text, valid or not. */
export type Members = Readonly<Record<string, string>>

const COMMON: Members = {
  avatar: `"${AVATAR}"`,
  counter: '1',
  created_at: '1790000000',
  network: '"main"',
  uuid: `"${UUID}"`,
  version: '"2"',
}
export const PATCH: Members = {
  ...COMMON,
  identity: '"yeiwb"',
  patch: '{"a":1}',
  platform: '"twitter"',
  prev: '[]',
  type: '"patch"',
}
export const SNAPSHOT: Members = { ...COMMON, parts: '[]', prev: '[]', state: '[]', type: '"snapshot"' }
export const PART: Members = { ...COMMON, state: '[]', type: '"part"' }

/** JSON text with members in canonical order, without checking anything; an empty text leaves a member out. */
export function text(members: Members, changes: Members = {}): string {
  const all = Object.entries({ ...members, ...changes }).filter(([, value]) => value !== '')
  return `{${all
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${JSON.stringify(key)}:${value}`)
    .join(',')}}`
}

export function utf8(value: string): Uint8Array {
  return new TextEncoder().encode(value)
}

/** Signs any bytes as a payload, valid or not. */
export function signBytes(payload: Uint8Array, secretKey: Uint8Array = SECRET_KEY): SignedRecord {
  return { payload, signature: sign(recordDigest(payload), secretKey, { prehash: false }) }
}

/** The 32-byte id `0x…nn`. */
export function id(number: number): string {
  return `0x${number.toString(16).padStart(64, '0')}`
}

export function citation(counter: number | string, idText: string): string {
  return `{"counter":${counter},"id":"${idText}"}`
}

/** JSON text of `depth` nested objects. */
export function nested(depth: number): string {
  return `${'{"a":'.repeat(depth - 1)}{}${'}'.repeat(depth - 1)}`
}
