import type { AppKeyStore } from './types.ts'

/** Stores keys in memory: they are gone when the process, or the page, ends, and the owner is asked again. */
export function memoryKeyStore(): AppKeyStore {
  const keys = new Map<string, Uint8Array>()
  return {
    getOrCreate(name, make) {
      const key = keys.get(name) ?? make()
      keys.set(name, key)
      return Promise.resolve(Uint8Array.from(key))
    },
  }
}
