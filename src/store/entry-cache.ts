import { LRUCache } from 'lru-cache'
import type { Avatar } from '../record/types.ts'
import { AvatarEntry } from './avatar-entry.ts'
import type { Database } from './level.ts'

/** Least-recently-used cache of avatars that were written to, bounded by their weight in bytes. */
export class EntryCache {
  readonly #db: Database
  readonly #entries: LRUCache<Avatar, AvatarEntry>

  /** @param maxAvatars default: bounded by `maxBytes` alone */
  constructor(db: Database, maxBytes: number, maxAvatars?: number) {
    this.#db = db
    this.#entries = new LRUCache({
      maxSize: maxBytes,
      maxEntrySize: Math.floor(maxBytes / 2),
      sizeCalculation: (entry) => entry.weight,
      ...(maxAvatars === undefined ? {} : { max: maxAvatars }),
    })
  }

  /** Returns the cached entry. A caller that modifies it without committing must evict it. */
  async get(avatar: Avatar): Promise<AvatarEntry> {
    return this.#entries.get(avatar) ?? (await AvatarEntry.load(this.#db, avatar))
  }

  keep(entry: AvatarEntry): void {
    // Deleted first: the cache does not recompute the weight of an entry that it holds.
    this.#entries.delete(entry.avatar)
    this.#entries.set(entry.avatar, entry)
  }

  evict(avatar: Avatar): void {
    this.#entries.delete(avatar)
  }
}
