import type { Environment } from '../platform/environment.ts'
import type { Logger, Metrics } from '../observe/types.ts'
import type { Item } from '../negentropy/types.ts'
import type { SignatureEngine } from '../record/engine.ts'
import type { EntryCache } from './entry-cache.ts'
import { writeDurably } from './database.ts'
import { totalsOperation, type Meta, type Totals } from './meta.ts'
import type { Database, Operation } from './level.ts'
import { OrderIndex } from './order-index.ts'

/** The parts of the node that the writing side of the store uses. */
export interface WriterComponents {
  readonly environment: Environment
  readonly logger: Logger
  readonly metrics: Metrics
  /** Verifies records again when an avatar is rebuilt. */
  readonly engine: SignatureEngine
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
  async write(
    operations: readonly Operation[],
    totals: Totals,
    { added, removed }: { readonly added: readonly Item[]; readonly removed: readonly Item[] },
    write = writeDurably,
  ): Promise<void> {
    await write(this.db, [...operations, totalsOperation(totals)])
    this.totals = totals
    await this.order.apply(added, removed)
  }
}
