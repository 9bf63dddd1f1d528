/** Wire format of the Negentropy protocol, version 1 (hoytech/negentropy, docs/negentropy-protocol-v1.md). */
import { sha256 } from '@noble/hashes/sha2.js'

/** Version 1; version n would be `VERSION_BASE` + n. */
export const VERSION = 0x61
export const VERSION_BASE = 0x60
export const VERSION_LAST = 0x6f

export const SKIP = 0
export const FINGERPRINT = 1
export const ID_LIST = 2

export const ID_BYTES = 32
export const FINGERPRINT_BYTES = 16

/** Bytes of the greatest varint: 2^53, a timestamp of 2^53 − 1 plus one. */
export const MAX_VARINT_BYTES = 8
/** Encoded timestamp, length of the prefix and the prefix. */
export const MAX_BOUND_BYTES = MAX_VARINT_BYTES + 1 + ID_BYTES

/** Length of a varint: as few bytes as possible, seven bits each. */
function varintBytes(value: number): number {
  let bytes = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes += 1
  return bytes
}

/** Writes `value` (integer, 0 … 2^53) into `bytes`, most significant digit first; returns the position after it. */
export function putVarint(bytes: Uint8Array, at: number, value: number): number {
  const end = at + varintBytes(value)
  let rest = value
  for (let place = end - 1; place >= at; place -= 1) {
    bytes[place] = (rest % 0x80) | (place === end - 1 ? 0 : 0x80)
    rest = Math.floor(rest / 0x80)
  }
  return end
}

/** Fingerprint of a range: first 16 bytes of SHA-256 of the sum of its ids (32 bytes) and their number as a varint. */
export function fingerprint(sum: Uint8Array, count: number): Uint8Array {
  const input = new Uint8Array(ID_BYTES + MAX_VARINT_BYTES)
  input.set(sum)
  return sha256(input.subarray(0, putVarint(input, ID_BYTES, count))).subarray(0, FINGERPRINT_BYTES)
}
