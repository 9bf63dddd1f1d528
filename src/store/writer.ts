/** The writing side of the store: one task at a time, each in one atomic batch. */
import type { Environment } from '../platform/environment.ts'
import type { Logger, Metrics } from '../observe/types.ts'
import type { SignatureEngine } from '../record/engine.ts'
import type { Avatar, VerifiedRecord } from '../record/types.ts'
import type { SyncSnapshot } from './types.ts'
import type { AvatarEntry } from './avatar-entry.ts'
import { EntryCache } from './entry-cache.ts'
import type { Batch } from './batch.ts'
import { buildBatch } from './commit.ts'
import { plus } from './counts.ts'
import { writeDurably, writeSoon } from './database.ts'
import { type Database, type Operation } from './level.ts'
import { FeedLimit } from './feed.ts'
import { forgetOperations } from './background-tasks.ts'
import { totalsOperation, type Meta, type Totals } from './meta.ts'
import { Mutex } from './mutex.ts'
import { OrderIndex } from './order-index.ts'
import { NO_QUOTAS } from './quotas.ts'
import { readSummary } from './reader.ts'
import { isCorruption, RowRepair, type Corruption } from './row-repair.ts'
import { type Rebuilt } from './types.ts'
import { Compactor } from './compactor.ts'
import { earlierWriteFailed, noteDamage } from './write-guard.ts'
import type { CommitResult, Quotas } from './types.ts'

/** Records per step of a background task. A step blocks others no longer than a commit of as many records. */
const STEP_RECORDS = 500
/** Most rows repaired during one commit. With more, the disk is considered broken. */
const MAX_REPAIRS = 8

export interface WriterComponents {
  readonly db: Database
  readonly environment: Pick<Environment, 'clock'>
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'commit' | 'corruption'>
  /** Verifies records again when an avatar is rebuilt. */
  readonly engine: SignatureEngine
  /** Called after every commit that changed something. */
  readonly announce: (batch: Batch) => void
}

export interface WriterOptions {
  readonly network: string
  readonly feedEntries?: number
  readonly archive: boolean
  readonly quotas?: Quotas
  readonly stepRecords?: number
  /** Memory of the avatar cache in bytes. */
  readonly avatarCacheBytes: number
  /** Most avatars in the cache. Default: bounded by `avatarCacheBytes` alone. */
  readonly cachedAvatars?: number
}

export class StoreWriter {
  readonly compactor: Compactor
  readonly #components: WriterComponents
  readonly #db: Database
  readonly #options: WriterOptions
  readonly #writing: Mutex
  readonly #order: OrderIndex
  readonly #entries: EntryCache
  readonly #repair: RowRepair
  #totals: Totals
  readonly #feedLimit: FeedLimit
  /** True once another writer has replaced this one. Its state in memory may differ from disk. */
  #isRetired = false

  static async open(components: WriterComponents, options: WriterOptions, meta: Meta): Promise<StoreWriter> {
    const { db, logger } = components
    const feedLimit = await FeedLimit.open(db, meta.lastSequence, options.feedEntries)
    const links: { writer?: StoreWriter } = {}
    const writer = (): StoreWriter => links.writer as StoreWriter
    const compactor = await Compactor.load({
      db,
      logger,
      archive: options.archive,
      quotas: options.quotas ?? NO_QUOTAS,
      stepRecords: options.stepRecords ?? STEP_RECORDS,
      exclusively: (task) => writer().#exclusively(task, []),
      takeEntry: async (avatar) => {
        const entry = await writer().#entries.get(avatar)
        writer().#entries.evict(avatar)
        return entry
      },
      putEntry: (entry) => writer().#entries.keep(entry),
      counts: () => writer().totals,
      write: ({ operations, removed }, change) => {
        const totals = { ...writer().totals, ...plus(writer().totals, change) }
        return writer().#write(operations, totals, [], removed, writeSoon)
      },
    })
    links.writer = new StoreWriter(components, options, meta, feedLimit, compactor)
    compactor.wake()
    return links.writer
  }

  private constructor(
    components: WriterComponents,
    options: WriterOptions,
    meta: Meta,
    feedLimit: FeedLimit,
    compactor: Compactor,
  ) {
    this.#components = components
    this.#db = components.db
    this.#entries = new EntryCache(components.db, options.avatarCacheBytes, options.cachedAvatars)
    this.#options = options
    this.#totals = meta
    this.#feedLimit = feedLimit
    this.compactor = compactor
    this.#writing = new Mutex()
    this.#order = new OrderIndex(components.db)
    this.#repair = new RowRepair({
      ...components,
      network: options.network,
      archive: options.archive,
      compactor,
      evict: (avatar) => this.#entries.evict(avatar),
      recounted: async (counts) => {
        this.#totals = { lastSequence: this.#totals.lastSequence, ...counts }
        await writeDurably(this.#db, [totalsOperation(this.#totals)])
      },
      reindex: () => this.#order.load(),
    })
    // Commits wait for it, reads do not. A failure here is reported by the next use of the index, which loads it again.
    this.#writing.run(() => this.#order.load()).catch(() => undefined)
  }

  get totals(): Totals {
    return this.#totals
  }

  /** The feed has every entry after this sequence. */
  get feedFloor(): number {
    return this.#feedLimit.floor
  }

  async commit(records: readonly VerifiedRecord[]): Promise<CommitResult[]> {
    const avatars = [...new Set(records.map(({ body }) => body.avatar))]
    return this.#exclusively(async () => {
      for (const avatar of avatars) {
        while (this.compactor.isForgetting(avatar)) await this.compactor.forgetSome(avatar)
      }
      return this.#commit(records)
    }, avatars)
  }

  /**
   * Runs a task when all earlier ones have ended. If a row fails its check, repairs the avatar and runs the task again.
   *
   * @param avatars avatars whose cached entries a failed task may leave inconsistent
   */
  #exclusively<T>(task: () => Promise<T>, avatars: readonly Avatar[]): Promise<T> {
    return this.#inTurn(async () => {
      for (let repaired = 0; ; repaired += 1) {
        try {
          return await task()
        } catch (error) {
          for (const avatar of avatars) this.#entries.evict(avatar)
          // Noted here because background tasks have no caller that does it.
          noteDamage(this.#db, error)
          if (!isCorruption(error) || repaired >= MAX_REPAIRS) throw error
          await this.#repair.repairRow(error)
        }
      }
    })
  }

  async #commit(records: readonly VerifiedRecord[]): Promise<CommitResult[]> {
    const { environment, metrics } = this.#components
    const startedMs = environment.clock.now()
    const entries = new Map<Avatar, AvatarEntry>()
    const { archive, quotas = NO_QUOTAS, stepRecords = STEP_RECORDS } = this.#options
    const entryOf = async (avatar: Avatar): Promise<AvatarEntry> => {
      const entry = await this.#entries.get(avatar)
      entries.set(avatar, entry)
      return entry
    }
    const { lastSequence } = this.#totals
    const batch = await buildBatch(
      { db: this.#db, lastSequence, counts: this.#totals, archive, quotas, stepRecords, entryOf },
      records,
    )
    if (batch.operations.length > 0) {
      const { operations, added, removed, counts } = batch
      this.compactor.note({ staleInSyncIndex: batch.staleInSyncIndex })
      const avatars = this.#totals.avatars + batch.newAvatars
      await this.#write(operations, { lastSequence: batch.lastSequence, avatars, ...counts }, added, removed)
    }
    // The batch is durable. No failure below may prevent listeners and the caller from learning that.
    this.#components.announce(batch)
    for (const entry of entries.values()) {
      await this.#afterCommit('caching an avatar', () => this.#entries.keep(entry))
    }
    await this.#afterCommit('a metric', () => {
      metrics.commit((environment.clock.now() - startedMs) / 1_000, records.length)
    })
    await this.#afterCommit('starting background tasks', () => this.compactor.follow(batch))
    await this.#afterCommit('trimming the change feed', () => this.#feedLimit.trim(this.#totals.lastSequence))
    return batch.results
  }

  async #afterCommit(what: string, step: () => void | Promise<void>): Promise<void> {
    try {
      await step()
    } catch (error) {
      this.#components.logger.warn(
        { err: error },
        `${what} failed after a commit, which is durable; a later commit retries`,
      )
    }
  }

  async #write(
    operations: readonly Operation[],
    totals: Totals,
    added: Batch['added'],
    removed: Batch['removed'],
    write = writeDurably,
  ): Promise<void> {
    await write(this.#db, [...operations, totalsOperation(totals)])
    this.#totals = totals
    await this.#order.apply(added, removed)
  }

  /** The sync index as of one moment between commits. */
  async orderSnapshot(): Promise<SyncSnapshot> {
    for (;;) {
      const readSnapshot = await this.#inTurn(async () => {
        if (this.compactor.isSyncIndexExact) return this.#order.at(this.#db.snapshot())
        await this.compactor.removeFromSyncIndex()
        return undefined
      })
      if (readSnapshot !== undefined) return readSnapshot
    }
  }

  async forget(avatar: Avatar): Promise<void> {
    await this.#exclusively(() => this.#beginToForget(avatar), [avatar])
    while (this.compactor.isForgetting(avatar)) {
      await this.#inTurn(() => this.compactor.forgetSome(avatar))
    }
  }

  /** Makes an avatar unknown in one batch. Background tasks delete its rows. */
  async #beginToForget(avatar: Avatar): Promise<void> {
    if (this.compactor.isForgetting(avatar)) return
    const summary = readSummary(this.#db, avatar)
    if (summary === undefined) return
    this.#entries.evict(avatar)
    const { lastSequence, avatars } = this.#totals
    this.compactor.note({ staleInSyncIndex: [avatar], forget: [avatar] })
    try {
      const totals = { lastSequence, avatars: avatars - 1, ...plus(this.#totals, summary, -1) }
      await this.#write(forgetOperations(avatar), totals, [], [])
    } catch (error) {
      this.compactor.cancelForget(avatar)
      throw error
    }
  }

  rebuild(avatar?: Avatar): Promise<Rebuilt> {
    return this.#inTurn(() => this.#repair.rebuild(avatar))
  }

  /** Runs a read. If a row fails its check, repairs the avatar and runs the read once more. */
  async readWithRepair<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read()
    } catch (error) {
      if (!isCorruption(error)) throw error
      await this.repairRow(error)
      return read()
    }
  }

  repairRow(error: Corruption): Promise<void> {
    return this.#inTurn(() => this.#repair.repairRow(error))
  }

  /** Runs a task when all earlier ones have ended. @throws StoreError `write_failed` if the writer is retired */
  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    return this.#writing.run(() => {
      if (this.#isRetired) throw earlierWriteFailed()
      return task()
    })
  }

  async close(): Promise<void> {
    this.compactor.stop()
    await this.#writing.run(() => this.#db.close())
  }

  /** Closes the database, so that another writer can replace this one. Tasks that have not started fail. */
  async retire(): Promise<void> {
    this.#isRetired = true
    await this.close()
  }
}
