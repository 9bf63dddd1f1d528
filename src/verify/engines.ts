/**
 * The engines that need native code or WASM. Each is loaded on demand; its loader rejects if the engine cannot run here.
 */
import type { SignatureEngine } from '../record/engine.ts'
import { digestToSign, isCompressedKey, isStrictSignature, PUBLIC_KEY_BYTES } from '../record/signature.ts'
import { loadKeccak256 } from '../record/wasm-keccak.ts'
import { RecentKeys } from './recent-keys.ts'

/**
 * Public keys kept in the form that needs no square root, each about 300 bytes: 5 of 57 µs of a verification, where an avatar
 * writes again.
 */
const KEPT_KEYS = 4_096

/** libsecp256k1 as a native addon: about 15,000 verifications a second on one core. */
export async function loadNativeEngine(): Promise<SignatureEngine> {
  const [{ default: bindings }, keccak256] = await Promise.all([import('secp256k1/bindings.js'), loadKeccak256()])
  const points = new RecentKeys<Uint8Array>(KEPT_KEYS, PUBLIC_KEY_BYTES)
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
      if (!isStrictSignature(signature) || digest.length !== 32 || !isCompressedKey(publicKey)) return false
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
    isPublicKey: (publicKey) => isCompressedKey(publicKey) && bindings.publicKeyVerify(publicKey),
    sign: (digest, secretKey) => bindings.ecdsaSign(digestToSign(digest, secretKey), secretKey).signature,
    keccak256,
  }
}

/** libsecp256k1 in WASM: about 5,800 verifications a second on one core. */
export async function loadWasmEngine(): Promise<SignatureEngine> {
  return await (await import('../record/wasm-engine.ts')).loadWasmEngine()
}
