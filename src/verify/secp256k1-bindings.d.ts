/** The native part of `secp256k1` alone; its index.js falls back to `elliptic`, which accepts high s. */
declare module 'secp256k1/bindings.js' {
  interface Bindings {
    /** @throws Error if r or s is out of range, or the key is not on the curve */
    ecdsaVerify(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean
    /** @throws Error if there is no such key */
    ecdsaRecover(signature: Uint8Array, recoveryId: number, digest: Uint8Array, compressed: boolean): Uint8Array
    /** Returns r ‖ s with low s, deterministic by RFC 6979. @throws Error if the secret key is out of range */
    ecdsaSign(digest: Uint8Array, secretKey: Uint8Array): { readonly signature: Uint8Array }
    publicKeyConvert(publicKey: Uint8Array, compressed: boolean): Uint8Array
    publicKeyVerify(publicKey: Uint8Array): boolean
  }
  const bindings: Bindings
  export default bindings
}
