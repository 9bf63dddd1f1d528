import { createHash } from 'node:crypto'
import type { Entry } from './jobs.ts'

/** Base64 of pseudo-random bytes: no store can compress it by much more than a quarter. */
const VALUE_BYTES = 500
const HASH_BYTES = 64

/** Entries from number `from` on, the same in every process and in every run. */
export function entries(from: number, count: number): Entry[] {
  return Array.from({ length: count }, (_, index) => entry(from + index))
}

/** The same in batches. */
export function batchesOf(all: readonly Entry[], size: number): Entry[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, at) => all.slice(at * size, (at + 1) * size))
}

function entry(number: number): Entry {
  const parts = Array.from({ length: Math.ceil((VALUE_BYTES * 3) / 4 / HASH_BYTES) }, (_, part) =>
    createHash('sha512').update(`${number} ${part}`).digest(),
  )
  return {
    key: `key${String(number).padStart(6, '0')}`,
    value: Buffer.concat(parts).toString('base64').slice(0, VALUE_BYTES),
  }
}
