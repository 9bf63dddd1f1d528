/**
 * Commits records in one transaction. The rows of their avatars are locked, in one order for all writers; the state core runs on
 * what is loaded from them; the statement that takes the next sequences comes last.
 *
 * Guarantees:
 * - A batch is committed whole or not at all, and durable when `commit` resolves (`synchronous_commit` is on).
 * - Sequences are committed in order and without gaps, also when several processes write.
 * - After a broken connection the outcome of a commit is looked up, so a batch is neither lost nor applied twice.
 *
 * Not guaranteed: that the node's quotas hold exactly while several processes write. Each sees the totals before the others'
 * open batches.
 */
import type { Avatar, VerifiedRecord } from '../../record/types.ts'
import { yieldToEventLoop } from '../../platform/yield.ts'
import type { Batch, BatchContext } from '../batch.ts'
import { buildBatch } from '../commit.ts'
import { plus, type Counts } from '../counts.ts'
import { StoreError } from '../errors.ts'
import type { CommitResult } from '../types.ts'
import { PostgresFault, Rollback, storeError, type PostgresDatabase, type Queries } from './database.ts'
import { BatchLoader } from './loader.ts'
import { RowsNeeded } from './loaded-rows.ts'
import { PostgresSink } from './sink.ts'

/** How long a commit is tried again while the server is away, or gives up one of two writers. */
const RETRY_MS = 8_000
const FIRST_PAUSE_MS = 20
const MAX_PAUSE_MS = 1_000
/** Rounds of loading after which a batch fails. Each loads more than the one before it. */
const MAX_ROUNDS = 2_000

export type Rules = Pick<BatchContext, 'archive' | 'keepsErased' | 'quotas'>

interface WriterParts {
  readonly database: PostgresDatabase
  readonly rules: () => Rules
  /** Counts of all avatars, for quotas. */
  readonly totals: () => Counts
  readonly now: () => number
  readonly pause: (ms: number) => Promise<void>
  readonly noteRetry: (kind: 'deadlock' | 'connection') => void
}

/** What a commit has done. */
export interface Committed {
  readonly results: CommitResult[]
  /** The newest sequence of the batch; 0 if nothing changed. */
  readonly lastSequence: number
  /** Avatars with history. */
  readonly hasHistory: boolean
}

export class PostgresWriter {
  readonly #parts: WriterParts

  constructor(parts: WriterParts) {
    this.#parts = parts
  }

  /** @throws StoreError `unavailable`, `disk_full` */
  async commit(records: readonly VerifiedRecord[]): Promise<Committed> {
    if (records.length === 0) return { results: [], lastSequence: 0, hasHistory: false }
    const { database } = this.#parts
    let xact: string | undefined
    let done: Committed | undefined
    return this.retried(
      async () => {
        done = xact = undefined
        return await database.transaction(async (queries) => {
          const made = await this.#write(queries, records)
          ;({ xact } = made)
          done = made.committed
          if (xact === undefined) throw new Rollback(done)
          return done
        })
      },
      async () => (xact !== undefined && (await this.#hasCommitted(xact)) ? done : undefined),
    )
  }

  /**
   * Runs a transaction again after a deadlock or a broken connection, for a while.
   *
   * @param recover looks up the result of a transaction whose commit was not answered; undefined if it was not committed
   */
  async retried<T>(run: () => Promise<T>, recover?: () => Promise<T | undefined>): Promise<T> {
    const { now, pause, noteRetry } = this.#parts
    const endMs = now() + RETRY_MS
    let isOpen = false
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(MAX_PAUSE_MS, pauseMs * 2)) {
      try {
        if (isOpen && recover !== undefined) {
          const recovered = await recover()
          if (recovered !== undefined) return recovered
          isOpen = false
        }
        return await run()
      } catch (error) {
        const isRecovering = isOpen && error instanceof StoreError && error.code === 'unavailable'
        const isFault = error instanceof PostgresFault && (error.isLost || error.isTransient)
        if ((!isFault && !isRecovering) || now() + pauseMs > endMs) throw storeError(error)
        if (error instanceof PostgresFault) {
          isOpen ||= error.isLost && error.phase === 'commit'
          noteRetry(error.isLost ? 'connection' : 'deadlock')
        }
        await pause(pauseMs)
      }
    }
  }

  /** Whether a transaction was committed. One that is still in progress is waited for. */
  async #hasCommitted(xact: string): Promise<boolean> {
    const { database, pause } = this.#parts
    for (;;) {
      const [row] = await database.rows<{ status: string | null }>('outcome', [xact])
      if (row?.status !== 'in progress') return row?.status === 'committed'
      await pause(FIRST_PAUSE_MS)
    }
  }

  async #write(
    queries: Queries,
    records: readonly VerifiedRecord[],
  ): Promise<{ committed: Committed; xact: string | undefined }> {
    const loader = new BatchLoader(queries)
    await loader.begin(records)
    const { batch, sink, before } = await this.#build(loader, records)
    const { results, hasHistory } = batch
    if (sink.size === 0) return { committed: { results, lastSequence: 0, hasHistory: false }, xact: undefined }
    await sink.flush(queries, loader.newAmong(records))
    const change = plus(batch.counts, before, -1)
    const counts = [change.records, change.bytes, change.keptRecords, change.keptBytes]
    const values = [batch.lastSequence, batch.newAvatars, ...counts, ...sink.appended()]
    const [row] = await queries.rows<{ before: number; xact: string }>('append', values)
    if (row === undefined)
      throw new StoreError('unreadable', 'The table "store" of the database has no row. Restore a backup.')
    return { committed: { results, lastSequence: row.before + batch.lastSequence, hasHistory }, xact: row.xact }
  }

  /** Builds the batch from what is loaded, as often as it asks for more. */
  async #build(
    loader: BatchLoader,
    records: readonly VerifiedRecord[],
  ): Promise<{ batch: Batch; sink: PostgresSink; before: Counts }> {
    for (let round = 0; ; round += 1) {
      const sink = new PostgresSink()
      const before = this.#parts.totals()
      const entryOf = async (avatar: Avatar) => loader.entry(avatar)
      // Sequences are counted from 1 here; the last statement adds those before the batch.
      const context = { ...this.#parts.rules(), sink, lastSequence: 0, counts: before, stepRecords: 0, entryOf }
      try {
        return { batch: await buildBatch(context, records), sink, before }
      } catch (error) {
        if (!(error instanceof RowsNeeded) || round >= MAX_ROUNDS) throw error
        await loader.load(error.wanted)
        await yieldToEventLoop()
      }
    }
  }
}
