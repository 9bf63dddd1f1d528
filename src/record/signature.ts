import { RecordError } from './errors.ts'
import { hexBytes } from './hex.ts'

/** r ‖ s, 32 bytes each, big-endian. */
export const SIGNATURE_BYTES = 64
/** A compressed public key. */
export const PUBLIC_KEY_BYTES = 33
/** r ‖ s ‖ v. */
export const RECOVERABLE_SIGNATURE_BYTES = 65

const HEX = /^0x([0-9a-fA-F]{128}|[0-9a-fA-F]{130})$/
// 64 bytes are 86 characters of base64 and ==, 65 are 87 and = (RFC 4648, section 4).
const BASE64 = /^([A-Za-z0-9+/]{86}(==)?|[A-Za-z0-9+/]{87}=?)$/

/** The order n of secp256k1 (SEC 2, section 2.4.1). */
const ORDER = hexBytes('fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141', 0)
/** (n − 1) / 2: the greatest s in the lower half. */
const HALF_ORDER = hexBytes('7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0', 0)

/**
 * A signature as clients write it: `0x` + hex, or base64.
 *
 * @returns 64 bytes r ‖ s, or 65 bytes r ‖ s ‖ v
 * @throws RecordError `invalid_signature`
 */
export function parseSignature(text: string): Uint8Array {
  // No accepted form is longer. The patterns do not backtrack.
  if (text.length <= 132) {
    if (HEX.test(text)) return hexBytes(text, 2)
    if (BASE64.test(text)) return Uint8Array.from(atob(text), (each) => each.charCodeAt(0))
  }
  throw new RecordError('invalid_signature', 'A signature is 64 or 65 bytes, as 0x and hex digits or as base64.')
}

/** A signature, split into the 64 bytes that every node stores and the recovery id. */
export interface SplitSignature {
  /** 64 bytes, r and s from 1 to n − 1, s in the lower half. */
  readonly compact: Uint8Array
  /** 0 or 1 where there was a v. */
  readonly recoveryId: 0 | 1 | null
}

/**
 * Checks a signature's length, v and range.
 *
 * @param recoveryByte whether 65 bytes with v in {0, 1, 27, 28} are taken as well
 * @throws RecordError `invalid_signature`, `high_s`, `wrong_recovery`
 */
export function splitSignature(signature: Uint8Array, recoveryByte: boolean): SplitSignature {
  const long = recoveryByte && signature.length === RECOVERABLE_SIGNATURE_BYTES
  if (!long && signature.length !== SIGNATURE_BYTES) {
    throw new RecordError(
      'invalid_signature',
      `A signature has ${SIGNATURE_BYTES} bytes${recoveryByte ? `, or ${RECOVERABLE_SIGNATURE_BYTES} with v` : ''}, not ${signature.length}.`,
    )
  }
  const compact = long ? signature.slice(0, SIGNATURE_BYTES) : signature
  if (!isInRange(compact, 0) || !isInRange(compact, 32)) {
    throw new RecordError(
      'invalid_signature',
      'r and s of the signature must be from 1 to the order of the curve less 1.',
    )
  }
  if (isHigh(compact)) {
    throw new RecordError('high_s', 's of the signature is in the upper half: sign with low s, or take n - s.')
  }
  return { compact, recoveryId: long ? recoveryIdOf(signature[SIGNATURE_BYTES]) : null }
}

/** Whether 64 bytes are r and s from 1 to n − 1 with s in the lower half. Every engine checks this first. */
export function isStrictSignature(signature: Uint8Array): boolean {
  return (
    signature.length === SIGNATURE_BYTES && isInRange(signature, 0) && isInRange(signature, 32) && !isHigh(signature)
  )
}

/**
 * A secret key is a number of 32 bytes from 1 to n − 1 (SEC 1, section 3.2.1).
 *
 * @throws RecordError `invalid_secret_key`; its message never contains the key
 */
export function checkSecretKey(bytes: Uint8Array): void {
  if (bytes.length === 32 && isInRange(bytes, 0)) return
  throw new RecordError('invalid_secret_key', 'A secret key is 32 bytes, from 1 to the order of secp256k1 less 1.')
}

/**
 * The check that every engine makes before it signs.
 *
 * @throws RecordError `invalid_secret_key`; its message never contains the key. RangeError if the digest has not 32 bytes
 */
export function checkSigning(digest: Uint8Array, secretKey: Uint8Array): void {
  checkSecretKey(secretKey)
  if (digest.length !== 32) throw new RangeError(`A digest has 32 bytes, not ${digest.length}.`)
}

/**
 * Checks as `checkSigning`, and returns the digest modulo n, for libsecp256k1: RFC 6979 (section 2.3.4) derives the nonce from
 * that, as noble does, but libsecp256k1 derives it from the digest as it is.
 */
export function digestToSign(digest: Uint8Array, secretKey: Uint8Array): Uint8Array {
  checkSigning(digest, secretKey)
  if (compare(digest, 0, ORDER) < 0) return digest
  const reduced = new Uint8Array(32)
  let borrow = 0
  for (let i = 31; i >= 0; i--) {
    const difference = (digest[i] ?? 0) - (ORDER[i] ?? 0) - borrow
    borrow = difference < 0 ? 1 : 0
    // The array stores it modulo 256.
    reduced[i] = difference
  }
  return reduced
}

/** Whether bytes have the form of a compressed key. libsecp256k1 also takes uncompressed and hybrid keys; no avatar is one. */
export function isCompressedKey(publicKey: Uint8Array): boolean {
  return publicKey.length === PUBLIC_KEY_BYTES && (publicKey[0] === 2 || publicKey[0] === 3)
}

function recoveryIdOf(v: number | undefined): 0 | 1 {
  if (v === 0 || v === 27) return 0
  if (v === 1 || v === 28) return 1
  throw new RecordError('wrong_recovery', `The last byte of a signature of 65 must be 0, 1, 27 or 28, not ${v}.`)
}

/** Whether the 32 bytes at an offset are a number from 1 to n − 1. */
function isInRange(bytes: Uint8Array, offset: number): boolean {
  if (compare(bytes, offset, ORDER) >= 0) return false
  for (let i = offset; i < offset + 32; i++) if (bytes[i] !== 0) return true
  return false
}

function isHigh(signature: Uint8Array): boolean {
  return compare(signature, 32, HALF_ORDER) > 0
}

/** Compares 32 bytes at an offset with a number of 32 bytes, both big-endian. */
function compare(bytes: Uint8Array, offset: number, number: Uint8Array): number {
  for (let i = 0; i < 32; i++) {
    const difference = (bytes[offset + i] ?? 0) - (number[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
