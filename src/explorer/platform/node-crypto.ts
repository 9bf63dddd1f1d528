/** Stands for `node:crypto` in a browser, where that hashes only in one go and only on secure origins. */
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import { Bytes } from './bytes.ts'

interface Hash {
  update(data: Uint8Array | string): Hash
  copy(): Hash
  digest(encoding?: 'hex'): Uint8Array | string
}

export function createHash(algorithm: string): Hash {
  if (algorithm !== 'sha256') throw new TypeError(`No hash ${algorithm} here.`)
  return wrap(sha256.create())
}

function wrap(state: ReturnType<typeof sha256.create>): Hash {
  const hash: Hash = {
    update(data) {
      state.update(typeof data === 'string' ? new TextEncoder().encode(data) : data)
      return hash
    },
    copy: () => wrap(state.clone()),
    digest: (encoding) => (encoding === 'hex' ? bytesToHex(state.digest()) : state.digest()),
  }
  return hash
}

export function hash(_algorithm: 'sha256', data: Uint8Array, _encoding: 'buffer'): Uint8Array {
  return sha256(data)
}

export function randomBytes(size: number): Bytes {
  return Bytes.from(crypto.getRandomValues(new Uint8Array(size)))
}
