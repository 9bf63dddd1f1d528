// The file of the package, not its index: the index loads the whole library, which takes Node.js 280 ms instead of 90.
import { instantiateSecp256k1 } from '@bitauth/libauth/build/lib/crypto/secp256k1.js'
import type { SignatureEngine } from './engine.ts'
import type { Keccak256 } from './id.ts'
import { digestToSign, isCompressedKey, isStrictSignature } from './signature.ts'
import { loadKeccak256 } from './wasm-keccak.ts'

const DIGEST_BYTES = 32

/**
 * Loads libsecp256k1 in WASM: about 5,800 verifications a second on one core, 14 times as fast as `nobleEngine`. The WASM is
 * part of the code, so nothing is fetched.
 *
 * @throws `WebAssembly.CompileError` or `ReferenceError` where WASM does not run: in an old browser, or in a page whose content
 * security policy lacks `'wasm-unsafe-eval'`. Use `nobleEngine` there
 */
export async function loadWasmEngine(): Promise<SignatureEngine> {
  return await createWasmEngine(await loadKeccak256())
}

/** The same with another hash function. */
export async function createWasmEngine(keccak256: Keccak256): Promise<SignatureEngine> {
  const curve = await instantiateSecp256k1()
  return {
    name: 'libsecp256k1-wasm',
    verify(signature, digest, publicKey) {
      if (!isStrictSignature(signature) || digest.length !== DIGEST_BYTES || !isCompressedKey(publicKey)) return false
      return curve.verifySignatureCompactLowS(signature, publicKey, digest)
    },
    recover(signature, recoveryId, digest) {
      if (!isStrictSignature(signature) || digest.length !== DIGEST_BYTES) return null
      const recovered = curve.recoverPublicKeyCompressed(signature, recoveryId, digest)
      return typeof recovered === 'string' ? null : recovered
    },
    isPublicKey: (publicKey) => isCompressedKey(publicKey) && curve.validatePublicKey(publicKey),
    sign(digest, secretKey) {
      const signature = curve.signMessageHashCompact(secretKey, digestToSign(digest, secretKey))
      if (typeof signature === 'string') throw new Error(`libsecp256k1 does not sign: ${signature}`)
      return signature
    },
    keccak256,
  }
}
