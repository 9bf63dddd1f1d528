/** The writing side of the store: one task at a time, each in one atomic batch. */
import type { Avatar, VerifiedRecord } from '../record/types.ts'
import type { AvatarEntry } from './avatar-entry.ts'
import { forgetOperations } from './background-tasks.ts'
import type { Batch, BatchContext } from './batch.ts'
import { buildBatch } from './commit.ts'
import { Compactor, readTasks, type Tasks } from './compactor.ts'
import { plus } from './counts.ts'
import { OpenBatch } from './database.ts'
import { CorruptRowError } from './errors.ts'
import { openFeedLimit, type FeedLimit } from './feed.ts'
import { emptyLog, type Database } from './level.ts'
import { LevelSink } from './level-sink.ts'
import type { Meta } from './meta.ts'
import type { Totals } from './totals.ts'
import { Mutex } from './mutex.ts'
import { NO_QUOTAS } from './quotas.ts'
import { readSummary } from './reader.ts'
import { createRowRepair, type RowRepair } from './row-repair.ts'
import type { CommitResult, Quotas, Rebuilt, SyncSnapshot } from './types.ts'
import { earlierWriteFailed, hasFailedWrite, noteDamage } from './write-guard.ts'
import { createEntryCache, WriterState, type WriterComponents } from './writer-state.ts'

/** Records per step of a background task. A step blocks others no longer than a commit of as many records. */
const STEP_RECORDS = 500
/** Most rows repaired during one commit. With more, the disk is considered broken. */
const MAX_REPAIRS = 8

export interface WriterOptions {
  readonly network: string
  /** Entries that the change feed keeps. Default 1,000,000. */
  readonly feedEntries?: number
  /** Default: no limits. */
  readonly quotas?: Quotas
  /** Records per step of a background task. Commits run between steps. Default 500. */
  readonly stepRecords?: number
  /** Most avatars in the avatar cache. Default: bounded by bytes alone. */
  readonly cachedAvatars?: number
}

/** @param announce called after every commit that changed something */
type OpenComponents = WriterComponents & { readonly db: Database; readonly announce: (batch: Batch) => void }

export class StoreWriter {
  readonly epoch: string
  readonly compactor: Compactor
  readonly #components: OpenComponents
  readonly #state: WriterState
  readonly #rules: Pick<BatchContext, 'archive' | 'keepsErased' | 'quotas' | 'stepRecords'>
  readonly #writing = new Mutex()
  readonly #repair: RowRepair
  readonly #feedLimit: FeedLimit
  /** True once another writer has replaced this one. Its state in memory may differ from disk. */
  #isRetired = false

  /** @param options.avatarCacheBytes memory of the avatar cache */
  static async open(
    components: OpenComponents,
    options: WriterOptions & { readonly avatarCacheBytes: number },
    meta: Meta,
  ): Promise<StoreWriter> {
    const { db } = components
    const feedLimit = await openFeedLimit(db, meta.lastSequence, options.feedEntries)
    const entries = createEntryCache(db, options.avatarCacheBytes, options.cachedAvatars)
    const tasks = await readTasks(db)
    return new StoreWriter(components, options, meta, new WriterState(db, meta, entries), feedLimit, tasks)
  }

  private constructor(
    components: OpenComponents,
    { network, quotas = NO_QUOTAS, stepRecords = STEP_RECORDS }: WriterOptions,
    { archive, keepsErased, epoch }: Meta,
    state: WriterState,
    feedLimit: FeedLimit,
    tasks: Tasks,
  ) {
    this.#components = components
    this.epoch = epoch
    this.#state = state
    this.#feedLimit = feedLimit
    this.#rules = { archive, keepsErased, quotas, stepRecords }
    const exclusively = <T>(task: () => Promise<T>): Promise<T> => this.#exclusively(task, [])
    this.compactor = new Compactor({ ...components, ...this.#rules, state, exclusively }, tasks)
    this.#repair = createRowRepair({ ...components, network, archive, keepsErased, state, compactor: this.compactor })
    this.compactor.wake()
  }

  get totals(): Totals {
    return this.#state.totals
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
          for (const avatar of avatars) this.#state.entries.evict(avatar)
          // Noted here because background tasks have no caller that does it.
          noteDamage(this.#state.db, error)
          if (!(error instanceof CorruptRowError) || repaired >= MAX_REPAIRS) throw error
          await this.#repair.repairRow(error)
        }
      }
    })
  }

  async #commit(records: readonly VerifiedRecord[]): Promise<CommitResult[]> {
    const { environment, metrics } = this.#components
    const startedMs = environment.clock.now()
    const { db, entries, totals } = this.#state
    const entryOf = (avatar: Avatar): Promise<AvatarEntry> => entries.get(avatar)
    const rows = new OpenBatch(db)
    const sink = new LevelSink(db, rows)
    const context = { ...this.#rules, sink, lastSequence: totals.lastSequence, counts: totals, entryOf }
    let batch: Batch
    try {
      batch = await buildBatch(context, records)
      if (sink.size > 0) {
        const { lastSequence, counts, newAvatars } = batch
        this.compactor.note(batch.staleInSyncIndex)
        const after = { lastSequence, avatars: totals.avatars + newAvatars, ...counts }
        await this.#state.writeOpen(rows, after, batch)
      }
    } finally {
      await rows.close()
    }
    // The batch is durable. No failure below may prevent listeners and the caller from learning that.
    this.#components.announce(batch)
    for (const entry of batch.entries.values()) {
      await this.#afterCommit('caching an avatar', () => entries.keep(entry))
    }
    await this.#afterCommit('a metric', () => {
      metrics.commit((environment.clock.now() - startedMs) / 1_000, records.length)
    })
    await this.#afterCommit('starting background tasks', () => this.compactor.follow(batch))
    await this.#afterCommit('trimming the change feed', () => this.#feedLimit.trim(this.totals.lastSequence))
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

  /** The sync index as of one moment between commits. */
  async orderSnapshot(): Promise<SyncSnapshot> {
    for (;;) {
      await this.#state.order.ready()
      const readSnapshot = await this.#inTurn(async () => {
        if (this.compactor.isSyncIndexExact) return await this.#state.order.at()
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
    const { db, entries, totals } = this.#state
    const summary = readSummary(db, avatar)
    if (summary === undefined) return
    entries.evict(avatar)
    this.compactor.note([avatar], avatar)
    try {
      const after = { ...totals, avatars: totals.avatars - 1, ...plus(totals, summary, -1) }
      await this.#state.write(forgetOperations(avatar), after, { added: [], removed: [] })
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
      if (!(error instanceof CorruptRowError)) throw error
      await this.repairRow(error)
      return read()
    }
  }

  repairRow(error: CorruptRowError): Promise<void> {
    return this.#inTurn(() => this.#repair.repairRow(error))
  }

  /** Runs a task when all earlier ones have ended. @throws StoreError `write_failed` if the writer is retired */
  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    return this.#writing.run(() => {
      if (this.#isRetired) throw earlierWriteFailed()
      return task()
    })
  }

  /**
   * Closes the database. Its log is empty afterwards: tables are compressed, and the next opening need not read a log. If that
   * fails, the log stays.
   */
  async close(): Promise<void> {
    const { db, logger } = this.#components
    await this.#close(async () => {
      if (db.status !== 'open' || hasFailedWrite(db)) return
      await emptyLog(db).catch((error: unknown) => {
        logger.warn({ err: error }, 'the log of the store was not moved to a table; the next start reads it')
      })
    })
  }

  /** Closes the database, so that another writer can replace this one. Tasks that have not started fail. */
  async retire(): Promise<void> {
    this.#isRetired = true
    await this.#close(async () => undefined)
  }

  async #close(before: () => Promise<void>): Promise<void> {
    this.compactor.stop()
    await this.#writing.run(async () => {
      await this.#state.order.close()
      await before()
      await this.#state.db.close()
    })
  }
}
