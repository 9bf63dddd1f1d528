import { Point } from '@noble/ed25519'
import { sha512 } from '@noble/hashes/sha2.js'

const POINT_BYTES = 32
const SIGNATURE_BYTES = 64

/**
 * Whether an Ed25519 signature is valid by RFC 8032, section 5.1.7, without the cofactor: s must be below the order of the
 * group, and R must equal the bytes of [s]B − [k]A. So a signature cannot be altered into a second valid one, and all
 * verifiers with these rules agree. Rejects public keys that are not in canonical encoding, and keys of small order, for
 * which one signature can be valid for many messages.
 *
 * Does not run in constant time, because nothing here is secret.
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
