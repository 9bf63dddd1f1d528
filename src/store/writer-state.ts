import { LRUCache } from 'lru-cache'
import type { Environment } from '../platform/environment.ts'
import type { Logger, Metrics } from '../observe/types.ts'
import type { Item } from '../negentropy/types.ts'
import type { Avatar } from '../record/types.ts'
import type { SignatureEngine } from '../record/engine.ts'
import type { AvatarEntry } from './avatar-entry.ts'
import { writeDurably, type OpenBatch } from './database.ts'
import type { Meta } from './meta.ts'
import { totalsOperation, type Totals } from './totals.ts'
import type { Database, Operation } from './level.ts'
import { loadEntry } from './level-rows.ts'
import { OrderIndex } from './order-index.ts'

/** The parts of the node that the writing side of the store uses. */
export interface WriterComponents {
  readonly environment: Environment
  readonly logger: Logger
  readonly metrics: Metrics
  /** Verifies records again when an avatar is rebuilt. */
  readonly engine: SignatureEngine
}

export type EntryCache = ReturnType<typeof createEntryCache>

/**
 * Least-recently-used cache of avatars that were written to, bounded by their weight in bytes.
 *
 * @param maxAvatars default: bounded by `maxBytes` alone
 */
export function createEntryCache(db: Database, maxBytes: number, maxAvatars?: number) {
  const entries = new LRUCache<Avatar, AvatarEntry>({
    maxSize: maxBytes,
    maxEntrySize: Math.floor(maxBytes / 2),
    sizeCalculation: (entry) => entry.weight,
    ...(maxAvatars === undefined ? {} : { max: maxAvatars }),
  })
  return {
    /** Returns the cached entry. A caller that modifies it without committing must evict it. */
    get: async (avatar: Avatar) => entries.get(avatar) ?? (await loadEntry(db, avatar)),
    keep(entry: AvatarEntry): void {
      // Deleted first: the cache does not recompute the weight of an entry that it holds.
      entries.delete(entry.avatar)
      entries.set(entry.avatar, entry)
    },
    evict: (avatar: Avatar) => void entries.delete(avatar),
  }
}

/** What a batch changes in the order index. */
interface Changed {
  readonly added: readonly Item[]
  readonly removed: readonly Item[]
}

/** The state in memory that follows the database. Only one task at a time may change it. */
export class WriterState {
  readonly db: Database
  readonly entries: EntryCache
  readonly order: OrderIndex
  totals: Totals

  constructor(db: Database, meta: Meta, entries: EntryCache) {
    this.db = db
    this.entries = entries
    this.order = new OrderIndex(db)
    this.totals = meta
  }

  /** Writes a batch with the totals after it, and follows it in memory. */
  async write(operations: readonly Operation[], totals: Totals, changed: Changed, write = writeDurably): Promise<void> {
    await write(this.db, [...operations, totalsOperation(totals)])
    await this.#follow(totals, changed)
  }

  /** Writes an open batch durably with the totals after it, and follows it in memory. */
  async writeOpen(batch: OpenBatch, totals: Totals, changed: Changed): Promise<void> {
    batch.push(totalsOperation(totals))
    await batch.write(true)
    await this.#follow(totals, changed)
  }

  async #follow(totals: Totals, { added, removed }: Changed): Promise<void> {
    this.totals = totals
    await this.order.apply(added, removed)
  }
}
