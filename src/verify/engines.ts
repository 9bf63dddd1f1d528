/**
 * The engines that need native code or WASM. Each is loaded on demand; its loader rejects if the engine cannot run here.
 */
import { nobleEngine } from '../record/engine.ts'
import type { SignatureEngine } from '../record/engine.ts'
import { isStrictSignature } from '../record/signature.ts'
import { loadKeccak256 } from './keccak.ts'
import { RecentKeys } from './recent-keys.ts'

/**
 * Public keys kept in the form that needs no square root, each about 300 bytes: 5 of 57 µs of a verification, where an avatar
 * writes again.
 */
const KEPT_KEYS = 4_096
const KEY_BYTES = 33

/** libsecp256k1 as a native addon: about 15,000 verifications a second on one core. */
export async function loadNativeEngine(): Promise<SignatureEngine> {
  const [{ default: bindings }, keccak256] = await Promise.all([import('secp256k1/bindings.js'), loadKeccak256()])
  const points = new RecentKeys<Uint8Array>(KEPT_KEYS, KEY_BYTES)
  /** @throws an error if the key is not a point on the curve */
  function pointOf(publicKey: Uint8Array): Uint8Array {
    const known = points.get(publicKey)
    if (known !== undefined) return known
    const point = bindings.publicKeyConvert(publicKey, false)
    points.set(publicKey, point)
    return point
  }
  return {
    name: 'libsecp256k1',
    verify(signature, digest, publicKey) {
      if (!isStrictSignature(signature) || digest.length !== 32 || !isCompressed(publicKey)) return false
      try {
        return bindings.ecdsaVerify(signature, digest, pointOf(publicKey))
      } catch {
        return false
      }
    },
    recover(signature, recoveryId, digest) {
      if (!isStrictSignature(signature) || digest.length !== 32) return null
      try {
        return bindings.ecdsaRecover(signature, recoveryId, digest, true)
      } catch {
        return null
      }
    },
    isPublicKey: (publicKey) => isCompressed(publicKey) && bindings.publicKeyVerify(publicKey),
    keccak256,
  }
}

/** libsecp256k1 in WASM: about 3,000 verifications a second on one core. */
export async function loadWasmEngine(): Promise<SignatureEngine> {
  const [wasm, keccak256] = await Promise.all([import('tiny-secp256k1'), loadKeccak256()])
  return {
    name: 'libsecp256k1-wasm',
    verify(signature, digest, publicKey) {
      if (!isStrictSignature(signature) || digest.length !== 32 || !isCompressed(publicKey)) return false
      try {
        return wasm.verify(digest, publicKey, signature, true)
      } catch {
        return false
      }
    },
    recover(signature, recoveryId, digest) {
      if (!isStrictSignature(signature) || digest.length !== 32) return null
      // For 2 and 3 the library demands that r itself is an x on the curve, where only r + n need be. Such signatures
      // hardly exist (r < p − n, one in 2^128), so speed does not matter.
      if (recoveryId > 1) return nobleEngine.recover(signature, recoveryId, digest)
      try {
        return wasm.recover(digest, signature, recoveryId, true)
      } catch {
        return null
      }
    },
    isPublicKey: (publicKey) => isCompressed(publicKey) && wasm.isPointCompressed(publicKey),
    keccak256,
  }
}

/** Both libraries also take uncompressed and hybrid keys; no avatar is one. */
function isCompressed(publicKey: Uint8Array): boolean {
  return publicKey.length === KEY_BYTES && (publicKey[0] === 2 || publicKey[0] === 3)
}
