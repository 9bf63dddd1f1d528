import { randomBytes } from 'node:crypto'

/** A new secret key, 32 bytes: a random number is in the curve's range but for one in 2^127. */
export function newKey(): Uint8Array {
  return Uint8Array.from(randomBytes(32))
}
