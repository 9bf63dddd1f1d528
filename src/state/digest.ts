import { sha256 } from '@noble/hashes/sha2.js'
import { hexWriter, writeHexBytes } from '../record/hex.ts'
import type { Citation } from '../record/types.ts'

const ID_BYTES = 32

const DIGEST_TEXT = hexWriter('', 32)

/**
 * Digest of an avatar (docs/protocol.md, "From records to state"): SHA-256 over the base's id, 32 zero bytes without
 * one, and the ids of all tips in order.
 *
 * @param hash SHA-256, where the caller has a faster one
 * @returns 64 hex digits
 */
export function avatarDigest(
  base: Citation | null,
  tips: readonly Citation[],
  hash: (bytes: Uint8Array) => Uint8Array = sha256,
): string {
  const bytes = new Uint8Array(ID_BYTES * (1 + tips.length))
  if (base !== null) writeHexBytes(bytes, 0, base.id, 2)
  tips.forEach((tip, index) => writeHexBytes(bytes, ID_BYTES * (1 + index), tip.id, 2))
  return DIGEST_TEXT(hash(bytes))
}
