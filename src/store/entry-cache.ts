import { LRUCache } from 'lru-cache'
import type { Avatar } from '../record/types.ts'
import { AvatarEntry } from './avatar-entry.ts'
import type { Database } from './level.ts'

/** Avatars in memory that were written to last, by their weight. */
export class EntryCache {
  readonly #db: Database
  readonly #entries: LRUCache<Avatar, AvatarEntry>

  /** @param maxAvatars how many at most; default: as many as there is room for */
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
    // Deleted first: the cache does not weigh an entry again that it holds already.
    this.#entries.delete(entry.avatar)
    this.#entries.set(entry.avatar, entry)
  }

  evict(avatar: Avatar): void {
    this.#entries.delete(avatar)
  }
}
