import type { Environment } from '../platform/environment.ts'
import { RetryBuffer, submitWithRetry } from '../ingest/retry.ts'
import type { Ingest, IngestResult } from '../ingest/types.ts'
import { hexBytes } from '../record/hex.ts'
import type { RecordId, SignedRecord } from '../record/types.ts'
import type { Source } from '../shares/types.ts'
import { asSyncError, SyncError } from './errors.ts'
import { idKey } from './ids.ts'
import { Condition } from './condition.ts'
import { payloadHead } from '../record/payload-head.ts'
import type { Refusals } from './refusals.ts'

/**
 * Most frames of records submitted at once, so that some are verified while others are committed, and commits are large: about
 * 4,000 small records, half of what may wait at ingest.
 */
const MAX_UNDER_WAY = 8
/** Bytes of records refused for now that one session keeps, to submit them again: about 16,000 small records. */
const RETRY_LIMITS = { maxRecords: 65_536, maxBytes: 8 * 1_024 * 1_024 }
/** Most remembered ids of records that did not fit into that memory; as many as refused ids. */
const MAX_DROPPED = 65_536
/** Such a record had no second attempt, so it waits at most this long the next time. */
const DROPPED_MS = 60_000
/** Attempts while ingest is busy, one second apart; together less than a peer waits for an answer. */
const MAX_BUSY_ATTEMPTS = 20
/** A record whose created_at is further ahead than this of the node's clock is refused until then (docs/protocol.md). */
const MAX_AHEAD_MS = 3_600_000

export interface IntakeComponents {
  readonly ingest: Pick<Ingest, 'submit'>
  readonly environment: Pick<Environment, 'timers'>
  readonly refusals: Refusals
  /** The host of the peer. */
  readonly host: Source
}

type Told = (results: readonly IngestResult[]) => void | Promise<void>

/**
 * Submits the records of one session to ingest: a few frames at once; the next one waits, which slows down the sender. Refused
 * records are remembered, and records that came before what they cite are submitted again.
 */
export class Intake {
  /** The results of all records of one session. `accepted`: new to this node, and on disk. */
  readonly totals = { accepted: 0, duplicates: 0, superseded: 0, refused: 0 }
  readonly #components: IntakeComponents
  readonly #condition = new Condition()
  /** Submissions that found ingest busy. */
  readonly #pauses = new Set<Condition>()
  readonly #refusedForNow: RetryBuffer<{ readonly record: SignedRecord; readonly key: string }>
  /** Keys of refused records for which there was no room. */
  readonly #dropped = new Set<string>()
  #underWay = 0
  #inOrder: Promise<void> = Promise.resolve()
  #failure: SyncError | undefined
  #stopped: SyncError | undefined

  readonly #failed: (error: SyncError) => void

  /** @param failed called once when something fails, after which nothing more is taken */
  constructor(components: IntakeComponents, failed: (error: SyncError) => void, retryLimits = RETRY_LIMITS) {
    this.#components = components
    this.#refusedForNow = new RetryBuffer(retryLimits, ({ key }) => this.#drop(key))
    this.#failed = failed
  }

  /** Whether a submission is in progress. */
  get isBusy(): boolean {
    return this.#underWay > 0
  }

  /**
   * Submits records as soon as there is room. `told` is called once they are on disk or refused, in the order of the calls.
   *
   * @throws SyncError the error of an earlier call: `invalid_record`, `busy`, `failed`
   */
  async add(records: readonly SignedRecord[], told?: Told): Promise<void> {
    while (this.#underWay >= MAX_UNDER_WAY && this.#end === undefined) await this.#condition.wait()
    if (this.#end !== undefined) throw this.#end
    this.#underWay += 1
    const { generation } = this.#components.refusals
    const submitted = this.#submit(records)
    // A failure is handled below, in the order of the calls.
    submitted.catch(() => {})
    this.#inOrder = this.#finish(this.#inOrder, async () => {
      const results = await submitted
      this.#note(records, results, generation === this.#components.refusals.generation)
      if (this.#failure === undefined) await told?.(results)
    })
  }

  /** Counts the results of records, after those of earlier records. */
  async #finish(before: Promise<void>, count: () => Promise<void>): Promise<void> {
    await before
    try {
      await count()
    } catch (error) {
      if (this.#failure === undefined) {
        this.#failure = asSyncError(error)
        this.#failed(this.#failure)
      }
    } finally {
      this.#underWay -= 1
      this.#wake()
    }
  }

  /**
   * Resolves once everything is on disk or refused for now. Peers send in the order of created_at, so a record may come long
   * before the records that it cites. Submitted again in the order of counters, a record comes after what it cites.
   */
  async drain(): Promise<void> {
    await this.settled()
    const before = this.totals.accepted
    await this.#refusedForNow.offerAgain(async (items) => {
      if (this.#end !== undefined) throw this.#end
      this.totals.refused -= items.length
      await this.add(items.map(({ record }) => record))
      await this.settled()
    })
    this.#refusedForNow.take()
    if (this.totals.accepted > before) this.#forgetDropped()
    if (this.#end !== undefined) throw this.#end
  }

  /** Resolves once no submission is in progress, whatever its result. */
  async settled(): Promise<void> {
    while (this.#underWay > 0) await this.#condition.wait()
  }

  /** Stops: submissions in progress still reach the disk and are reported; no others begin. */
  stop(reason: SyncError): void {
    this.#stopped ??= reason
    this.#wake()
  }

  get #end(): SyncError | undefined {
    return this.#failure ?? this.#stopped
  }

  #wake(): void {
    this.#condition.notify()
    for (const pause of this.#pauses) pause.notify()
  }

  async #submit(records: readonly SignedRecord[]): Promise<IngestResult[]> {
    if (records.length === 0) return []
    // A session slows down its peer by itself, so it may use all of ingest except the reserve.
    const source = { key: this.#components.host.key, isShared: true }
    return await submitWithRetry(
      () => this.#components.ingest.submit(records, { origin: 'sync', source }),
      async (error, attempts) => {
        if (this.#end !== undefined) throw this.#end
        if (attempts >= MAX_BUSY_ATTEMPTS) {
          throw new SyncError('busy', 'This node has too many records waiting; the rest comes later.', { cause: error })
        }
        await this.#pause(error.retryAfterSeconds * 1_000)
      },
    )
  }

  /** Ends early when one of the submissions here has ended. */
  async #pause(delayMs: number): Promise<void> {
    const pause = new Condition()
    const cancel = this.#components.environment.timers.after(delayMs, () => pause.notify())
    this.#pauses.add(pause)
    await pause.wait()
    this.#pauses.delete(pause)
    cancel()
  }

  /** @param isOfNow whether the policy is the same as when the records were judged */
  #note(records: readonly SignedRecord[], results: readonly IngestResult[], isOfNow: boolean): void {
    for (const [at, result] of results.entries()) {
      const record = records[at]
      if (record === undefined) return
      switch (result.status) {
        case 'stored':
        case 'pending':
          this.totals.accepted += 1
          if (this.#components.refusals.size > 0) this.#components.refusals.forget(keyOf(result.id))
          break
        case 'duplicate':
          this.totals.duplicates += 1
          break
        case 'superseded':
          this.totals.superseded += 1
          this.#components.refusals.forever(keyOf(result.id))
          break
        case 'refused':
          this.totals.refused += 1
          // Otherwise the peer would send all that this node lacks, in every session, for nothing.
          if (this.#components.refusals.isClosed) throw new SyncError('busy', 'This node takes no records now.')
          this.#noteRefused(record, result, isOfNow)
          break
        case 'invalid':
          throw new SyncError('invalid_record', `The peer sent an invalid record (${result.code}): ${result.message}`)
      }
    }
  }

  #noteRefused(record: SignedRecord, result: IngestResult, isOfNow: boolean): void {
    const { refusals } = this.#components
    const key = keyOf(result.id)
    if (result.retry !== true) return isOfNow ? refusals.forever(key) : undefined
    if (result.code === 'created_at_ahead') {
      const createdAt = payloadHead(record.payload)?.createdAt ?? 0
      return refusals.until(key, createdAt * 1_000 - MAX_AHEAD_MS)
    }
    // A record that is refused again was noted the first time.
    if (!refusals.blocks(key)) refusals.forAWhile(key)
    // A copy, because the record is a view of a whole frame.
    const copy = { payload: record.payload.slice(), signature: record.signature.slice() }
    this.#refusedForNow.add({ record: copy, key })
  }

  #drop(key: string): void {
    this.#components.refusals.during(key, DROPPED_MS)
    if (this.#dropped.size < MAX_DROPPED) this.#dropped.add(key)
  }

  /** Dropped records may be requested again at once: the records that had room are stored, so these can be next. */
  #forgetDropped(): void {
    for (const key of this.#dropped) this.#components.refusals.forget(key)
    this.#dropped.clear()
  }
}

function keyOf(id: RecordId | null): string {
  return idKey(hexBytes((id ?? '').padEnd(66, '0'), 2))
}
