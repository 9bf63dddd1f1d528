import { hexToBytes } from '@noble/hashes/utils.js'
import type { Environment } from '../platform/environment.ts'
import { RetryBuffer, submitWithRetry } from '../ingest/retry.ts'
import type { Ingest, IngestResult } from '../ingest/types.ts'
import type { RecordId, SignedRecord } from '../record/types.ts'
import type { Source } from '../shares/types.ts'
import { asSyncError, SyncError } from './errors.ts'
import { idKey } from './ids.ts'
import { Condition } from './condition.ts'
import { payloadHead } from '../record/payload-head.ts'
import type { Refusals } from './refusals.ts'

/**
 * Frames of records on their way to disk at once, so that some are verified while others are committed, and commits are
 * large: about 4,000 small records, half of what may wait at the door.
 */
const MAX_UNDER_WAY = 8
/** Records refused for now that one session holds, to offer them again: about 16,000 small ones. */
const RETRY_LIMITS = { maxRecords: 65_536, maxBytes: 8 * 1_024 * 1_024 }
/** Ids that are remembered of records for which there was no room: as many as are remembered of refused ones. */
const MAX_DROPPED = 65_536
/** Such a record had no second try, so it waits no longer than this the next time. */
const DROPPED_MS = 60_000
/** Attempts at a busy door, a second apart: together less than what a peer waits for us. */
const MAX_BUSY_ATTEMPTS = 20
/** A record whose created_at is further ahead than this of the node's clock is refused until then (docs/protocol.md). */
const MAX_AHEAD_MS = 3_600_000

export interface IntakeComponents {
  readonly ingest: Pick<Ingest, 'submit'>
  readonly environment: Pick<Environment, 'timers'>
  readonly refusals: Refusals
  /** The host that the peer counts for. */
  readonly host: Source
}

/** What became of all records of one session. */
export interface IntakeTotals {
  /** New to this node, and on disk. */
  accepted: number
  duplicates: number
  superseded: number
  refused: number
}

interface UnderWay {
  readonly records: readonly SignedRecord[]
  /** Of the refusals, when they were submitted. */
  readonly generation: number
  readonly submitted: Promise<IngestResult[]>
}

type Told = (results: readonly IngestResult[]) => void | Promise<void>

/**
 * The way of one session's records through the ingest door: a few frames under way at once, the next one waits, which holds
 * the sender back. What was refused is remembered, and what is only too early is offered again.
 */
export class Intake {
  readonly totals: IntakeTotals = { accepted: 0, duplicates: 0, superseded: 0, refused: 0 }
  readonly #components: IntakeComponents
  readonly #condition = new Condition()
  /** Of submissions that found the door busy. */
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

  /** Whether something is under way. */
  get isBusy(): boolean {
    return this.#underWay > 0
  }

  /**
   * Takes records as soon as there is room for them; `told` is called once they are on disk or refused, in the order of
   * the calls.
   *
   * @throws SyncError what an earlier call has come to: `invalid_record`, `busy`, `failed`
   */
  async add(records: readonly SignedRecord[], told?: Told): Promise<void> {
    while (this.#underWay >= MAX_UNDER_WAY && this.#end === undefined) await this.#condition.wait()
    if (this.#end !== undefined) throw this.#end
    this.#underWay += 1
    const { generation } = this.#components.refusals
    const submitted = this.#submit(records)
    // Its failure is noticed below, in its turn.
    submitted.catch(() => {})
    this.#inOrder = this.#finish(this.#inOrder, { records, generation, submitted }, told)
  }

  /** Notes what became of records, after those before them. */
  async #finish(
    before: Promise<void>,
    { records, generation, submitted }: UnderWay,
    told: Told | undefined,
  ): Promise<void> {
    await before
    try {
      const results = await submitted
      this.#note(records, results, generation === this.#components.refusals.generation)
      if (this.#failure === undefined) await told?.(results)
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
   * Resolves once everything is on disk or refused for now. Peers send in the order of created_at, in which a record may come
   * long before what it cites. Offered again in the order of counters, the first of them never waits for another.
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

  /** Resolves once nothing is under way, well or badly. */
  async settled(): Promise<void> {
    while (this.#underWay > 0) await this.#condition.wait()
  }

  /** What is under way still gets to disk, and is told of; nothing else is taken. */
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
    // A session holds its peer back itself, so it may have all of the door except the reserve.
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

  /** Ends early when something under way here has ended. */
  async #pause(delayMs: number): Promise<void> {
    const pause = new Condition()
    const cancel = this.#components.environment.timers.after(delayMs, () => pause.notify())
    this.#pauses.add(pause)
    await pause.wait()
    this.#pauses.delete(pause)
    cancel()
  }

  /** @param isOfNow whether the policy is still the one by which they were judged */
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

  /** Dropped records may be asked for again at once: those that had room were taken, so they can be next. */
  #forgetDropped(): void {
    for (const key of this.#dropped) this.#components.refusals.forget(key)
    this.#dropped.clear()
  }
}

function keyOf(id: RecordId | null): string {
  return idKey(hexToBytes((id ?? '').slice(2).padEnd(64, '0')))
}
