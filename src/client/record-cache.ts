import type { Avatar } from '../record/types.ts'
import { CACHE_AVATARS, CACHE_BYTES } from './limits.ts'
import type { CacheUpdate, RecordCache } from './types.ts'

/** What the cache may take. */
export interface MemoryCacheOptions {
  /** Default 64. */
  readonly maxAvatars?: number
  /** Of payloads and signatures. Default 64 MiB. The avatar used last stays, whatever it takes. */
  readonly maxBytes?: number
}

/** Keeps the records of the avatars used last in memory. */
export function memoryRecordCache(options: MemoryCacheOptions = {}): RecordCache {
  const { maxAvatars = CACHE_AVATARS, maxBytes = CACHE_BYTES } = options
  /** In order of use, the longest ago first. */
  const kept = new Map<Avatar, { readonly update: CacheUpdate; readonly bytes: number }>()
  let bytes = 0

  function forget(avatar: Avatar): void {
    bytes -= kept.get(avatar)?.bytes ?? 0
    kept.delete(avatar)
  }

  return {
    load(avatar) {
      const entry = kept.get(avatar)
      if (entry !== undefined) {
        kept.delete(avatar)
        kept.set(avatar, entry)
      }
      return Promise.resolve(entry?.update)
    },
    save(avatar, update) {
      forget(avatar)
      kept.set(avatar, { update, bytes: update.bytes })
      bytes += update.bytes
      for (const oldest of kept.keys()) {
        if (kept.size <= 1 || (kept.size <= maxAvatars && bytes <= maxBytes)) break
        forget(oldest)
      }
      return Promise.resolve()
    },
  }
}
