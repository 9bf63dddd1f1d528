import { Point } from '@noble/ed25519'
import { sha512 } from '@noble/hashes/sha2.js'

const POINT_BYTES = 32
const SIGNATURE_BYTES = 64

/**
 * Whether an Ed25519 signature is good, by RFC 8032, section 5.1.7, without the cofactor: s below the group's order, and R
 * the very bytes of [s]B − [k]A. So a signature cannot be turned into a second one, and all who check so come to one verdict.
 * A public key that is not the shortest encoding of its point is refused, and so is one of small order, under which a
 * signature can be good for many messages.
 *
 * Not in constant time: nothing here is secret.
 *
 * @param signature 64 bytes R ‖ s
 * @param publicKey 32 bytes
 */
export function verifyEd25519(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  const s = integer(signature.subarray(POINT_BYTES))
  const order = Point.CURVE().n
  if (signature.length !== SIGNATURE_BYTES || s >= order) return false
  const key = pointOf(publicKey)
  if (key === undefined || key.isSmallOrder()) return false
  const r = signature.subarray(0, POINT_BYTES)
  const k = integer(sha512.create().update(r).update(publicKey).update(message).digest()) % order
  const expected = Point.BASE.multiplyUnsafe(s).subtract(key.multiplyUnsafe(k)).toBytes()
  return expected.every((each, at) => each === r[at])
}

function pointOf(bytes: Uint8Array): Point | undefined {
  try {
    return Point.fromBytes(bytes)
  } catch {
    return undefined
  }
}

/** Little-endian, as RFC 8032 has all integers. */
function integer(bytes: Uint8Array): bigint {
  return bytes.reduceRight((sum, each) => (sum << 8n) | BigInt(each), 0n)
}
