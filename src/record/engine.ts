import { keccak_256 } from '@noble/hashes/sha3.js'
import { Point, recoverPublicKey, sign, verify } from './curve.ts'
import { checkSigning, isStrictSignature } from './signature.ts'

/** The library that verifies and signs. */
export type EngineName = 'libsecp256k1' | 'libsecp256k1-wasm' | 'noble'
/** Which of the keys that a signature fits signed it (SEC 1, section 4.1.6). */
export type RecoveryId = 0 | 1 | 2 | 3

/** What an engine verifies. */
export interface SignatureJob {
  /** 64 bytes r ‖ s */
  readonly signature: Uint8Array
  /** 32 bytes */
  readonly digest: Uint8Array
  /** 33 bytes */
  readonly publicKey: Uint8Array
}

/**
 * ECDSA over secp256k1 on digests, and the hash function for them. All engines give the same answer to the same input. Only
 * `sign` throws; the others take bytes of any length and content.
 */
export interface SignatureEngine {
  readonly name: EngineName
  /**
   * Whether a signature is good. Strict: r and s from 1 to n − 1, s in the lower half, the key compressed and on the curve.
   *
   * @param signature 64 bytes r ‖ s
   * @param digest 32 bytes
   * @param publicKey 33 bytes
   */
  verify(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean
  /**
   * The compressed key (33 bytes) under which a signature is good, or null where there is none or the signature is not
   * strict (SEC 1, section 4.1.6).
   *
   * @param recoveryId bit 0: y of the nonce's point is odd; bit 1: its x is r + n
   */
  recover(signature: Uint8Array, recoveryId: RecoveryId, digest: Uint8Array): Uint8Array | null
  /** Whether 33 bytes are a compressed key on the curve. */
  isPublicKey(publicKey: Uint8Array): boolean
  /**
   * Signs a digest deterministically (RFC 6979 without extra data) and with low s, so that all engines return the same bytes.
   *
   * @param digest 32 bytes
   * @param secretKey 32 bytes; the engine stores no copy
   * @returns 64 bytes r ‖ s
   * @throws RecordError `invalid_secret_key`; its message never contains the key. RangeError if the digest has not 32 bytes
   */
  sign(digest: Uint8Array, secretKey: Uint8Array): Uint8Array
  /** Keccak-256, as Ethereum uses it: 32 bytes. */
  keccak256(bytes: Uint8Array): Uint8Array
  /**
   * Verifies many signatures off the caller's thread. Engines without it verify one after the other.
   *
   * @param onStep called now and then with the number of signatures verified; an error that it throws ends the work
   * @returns the verdicts that `verify` gives, in the order of `jobs`
   */
  readonly verifyMany?: (
    jobs: readonly SignatureJob[],
    onStep: (done: number) => Promise<void>,
  ) => Promise<readonly boolean[]>
}

/** The engine in pure JavaScript: runs everywhere, verifies about 300 signatures a second. */
export const nobleEngine: SignatureEngine = {
  name: 'noble',
  verify(signature, digest, publicKey) {
    if (!isStrictSignature(signature) || digest.length !== 32 || publicKey.length !== 33) return false
    return verify(signature, digest, publicKey, { prehash: false, lowS: true })
  },
  recover(signature, recoveryId, digest) {
    if (!isStrictSignature(signature) || digest.length !== 32) return null
    const recovered = new Uint8Array(65)
    recovered[0] = recoveryId
    recovered.set(signature, 1)
    try {
      return recoverPublicKey(recovered, digest, { prehash: false })
    } catch {
      return null
    }
  },
  isPublicKey(publicKey) {
    if (publicKey.length !== 33) return false
    try {
      Point.fromBytes(publicKey)
      return true
    } catch {
      return false
    }
  },
  sign(digest, secretKey) {
    checkSigning(digest, secretKey)
    return sign(digest, secretKey, { prehash: false, lowS: true })
  },
  keccak256: keccak_256,
}
