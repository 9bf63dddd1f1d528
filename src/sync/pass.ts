import type { Avatar, SignedRecord } from '../record/types.ts'
import { checkArrivals } from './arrivals.ts'
import type { Channel } from './channel.ts'
import { asSyncError, SyncError, type RefusalCode } from './errors.ts'
import type { Frame, RefusedEntry } from './frame-types.ts'
import { idKey, joinBytes, splitIds } from './ids.ts'
import type { Intake } from './intake.ts'
import { PassTracker, type PassMemory, type PassTotals } from './pass-tracker.ts'
import { MAX_REQUEST_IDS } from './limits.ts'
import { Negentropy } from '../negentropy/negentropy.ts'
import { VERSION } from '../negentropy/wire.ts'
import { Condition } from './condition.ts'
import { RecordReader } from './record-reader.ts'
import { fromNegentropy, negentropyOptions, unexpected, type SessionParts } from './session.ts'
import type { SyncSnapshot } from '../store/types.ts'

/** With fewer ids waiting than this, the next Negentropy message is sent; its answer may bring 10,000 more. */
const MAX_WAITING_IDS = 8_192
/** Most unanswered requests, and frames of records: enough to keep a distant peer busy. */
const MAX_REQUESTS = 3
const MAX_PUSHES = 4
interface Reconciling {
  readonly number: number
  readonly readSnapshot: SyncSnapshot
  /** The first message to send, with its avatars; or the answer to a message that was sent. */
  readonly begin: { readonly opening: Uint8Array; readonly subset: Uint8Array } | { readonly answer: Uint8Array }
}

export interface PassPlan {
  /** Null if the ids to fetch are already known. */
  readonly reconciling: Reconciling | null
  readonly fetch?: readonly Uint8Array[]
  /** The avatars of the pass; null for all. */
  readonly avatars: ReadonlySet<Avatar> | null
}

/**
 * One pass of the initiator: finds the differences between two moments, and meanwhile requests what this side lacks and sends
 * what the other side lacks. One loop reads and one writes, because the peer may not read before this side does.
 */
export class Pass {
  readonly #parts: SessionParts
  readonly #channel: Channel
  readonly #intake: Intake
  readonly #plan: PassPlan
  readonly #tracker: PassTracker
  readonly #condition = new Condition()
  readonly #reader: RecordReader
  #negentropy: Negentropy | undefined
  /** The Negentropy message to send next. */
  #message: Uint8Array | null = null
  #awaitsAnswer = false
  readonly #need: Uint8Array[] = []
  readonly #have: Uint8Array[] = []
  /** Ids of each unanswered request that did not come yet. */
  readonly #requests: Map<string, Uint8Array>[] = []
  /** Ids of each frame of records that the peer has not answered yet. */
  readonly #pushes: Set<string>[] = []
  #isOver = false

  constructor(parts: SessionParts, channel: Channel, intake: Intake, plan: PassPlan, memory: PassMemory) {
    this.#parts = parts
    this.#channel = channel
    this.#intake = intake
    this.#plan = plan
    this.#tracker = new PassTracker(parts, memory)
    this.#reader = new RecordReader(parts.source, parts.keccak256, (count) => this.#have.splice(0, count))
  }

  /** @throws SyncError */
  async run(): Promise<PassTotals> {
    const { reconciling, fetch = [] } = this.#plan
    append(this.#need, fetch)
    if (reconciling !== null) {
      if ('answer' in reconciling.begin) await this.#compare(reconciling.begin.answer)
      else this.#message = reconciling.begin.opening
    }
    const ended = await Promise.allSettled([this.#guard(this.#write()), this.#guard(this.#read())])
    for (const end of ended) if (end.status === 'rejected') throw this.#channel.failure ?? end.reason
    await this.#intake.settled()
    const before = { ...this.#intake.totals }
    await this.#intake.drain()
    const after = this.#intake.totals
    const { totals } = this.#tracker
    // Records that were kept back and then stored were counted as refused.
    totals.moved += after.accepted + after.duplicates - before.accepted - before.duplicates
    totals.refusedHere += after.refused + after.superseded - before.refused - before.superseded
    totals.moved += this.#reader.missing.length
    this.#noteProgress()
    return totals
  }

  /** The first failure aborts the stream, which ends the other loop. */
  async #guard(loop: Promise<void>): Promise<void> {
    try {
      await loop
    } catch (error) {
      this.#isOver = true
      this.#channel.fail(asSyncError(error))
      this.#condition.notify()
      throw error
    }
  }

  async #write(): Promise<void> {
    while (!this.#isOver) {
      if (await this.#writeNext()) continue
      if (this.#isIdle()) {
        this.#isOver = true
        this.#condition.notify()
      } else {
        await this.#condition.wait()
      }
    }
  }

  /** Writes one frame; false if there is nothing to write now. */
  async #writeNext(): Promise<boolean> {
    const message = this.#message
    if (message !== null && this.#need.length + this.#have.length <= MAX_WAITING_IDS) {
      this.#message = null
      this.#awaitsAnswer = true
      await this.#sendMessage(message)
      this.#condition.notify()
      return true
    }
    if (this.#need.length > 0 && this.#requests.length < MAX_REQUESTS) {
      const ids = await this.#tracker.lacking(this.#need.splice(0, MAX_REQUEST_IDS))
      if (ids.length === 0) return true
      this.#requests.push(new Map(ids.map((id) => [idKey(id), id])))
      this.#condition.notify()
      await this.#channel.send({ kind: 'request', ids: joinBytes(ids) })
      return true
    }
    if ((this.#have.length > 0 || this.#reader.hasReady) && this.#pushes.length < MAX_PUSHES) {
      const frame = await this.#reader.next()
      if (frame.length === 0) return true
      this.#pushes.push(new Set(frame.map(({ id }) => idKey(id))))
      this.#parts.progress.recordsOut += frame.length
      this.#condition.notify()
      await this.#channel.send({ kind: 'records', records: frame.map(({ record }) => record) })
      return true
    }
    return false
  }

  #isIdle(): boolean {
    const isWaiting = this.#awaitsAnswer || this.#requests.length > 0 || this.#pushes.length > 0
    const hasWork = this.#message !== null || this.#need.length > 0 || this.#have.length > 0 || this.#reader.hasReady
    return !isWaiting && !hasWork
  }

  async #sendMessage(message: Uint8Array): Promise<void> {
    const { reconciling } = this.#plan
    if (reconciling === null) return
    const isFirst = this.#negentropy === undefined && 'opening' in reconciling.begin
    const subset = isFirst && 'subset' in reconciling.begin ? reconciling.begin.subset : new Uint8Array(0)
    await this.#channel.send({ kind: 'reconcile', pass: reconciling.number, message, subset })
  }

  async #read(): Promise<void> {
    while (!this.#isOver) {
      if (!this.#awaitsAnswer && this.#requests.length === 0 && this.#pushes.length === 0) {
        await this.#condition.wait()
        continue
      }
      await this.#handle(await this.#channel.expect())
      this.#condition.notify()
    }
  }

  async #handle(frame: Frame): Promise<void> {
    switch (frame.kind) {
      case 'reconciled':
        if (!this.#awaitsAnswer || frame.pass !== this.#plan.reconciling?.number) throw unexpected(frame)
        return this.#compare(frame.message)
      case 'records':
        return this.#take(frame.records)
      case 'delivered':
        return this.#endRequest(frame)
      case 'taken':
        return this.#endPush(frame.refused)
      case 'refusal':
        throw refusedBy(frame.code, 'The peer ended the session')
      default:
        throw unexpected(frame)
    }
  }

  /** Handles a Negentropy answer. */
  async #compare(answer: Uint8Array): Promise<void> {
    const { reconciling } = this.#plan
    if (reconciling === null) return
    try {
      if (this.#negentropy === undefined) {
        this.#negentropy = new Negentropy(reconciling.readSnapshot, negentropyOptions(this.#parts))
        // This asks about everything, like the opening message that the peer has answered.
        if (answer.length === 1 && answer[0] === VERSION) {
          await reconciling.readSnapshot.close()
          this.#awaitsAnswer = false
          return
        }
        await this.#negentropy.initiate()
      }
      const { message, have, need } = await this.#negentropy.reconcile(answer)
      append(this.#need, await this.#tracker.wanted(need))
      append(this.#have, this.#tracker.offered(have))
      if (message === null) await reconciling.readSnapshot.close()
      this.#message = message
      // Must be last: until then the pass is not idle, whatever the writing loop finds.
      this.#awaitsAnswer = false
      this.#parts.progress.total = (this.#parts.progress.total ?? 0) + have.length + need.length
    } catch (error) {
      throw fromNegentropy(error)
    }
  }

  async #take(records: readonly SignedRecord[]): Promise<void> {
    const asked = this.#requests[0]
    const arrivals = await checkArrivals(this.#parts, records, this.#plan.avatars)
    for (const { id } of arrivals) {
      if (asked?.delete(idKey(id)) !== true) {
        throw new SyncError('unasked_record', 'The peer sent a record that was not asked for.')
      }
    }
    this.#parts.progress.recordsIn += arrivals.length
    const fresh = arrivals.filter(({ isHeld }) => !isHeld)
    this.#tracker.totals.moved += arrivals.length - fresh.length
    await this.#intake.add(
      fresh.map(({ record }) => record),
      (results) => {
        this.#tracker.taken(results)
        this.#noteProgress()
      },
    )
  }

  #noteProgress(): void {
    const { progress } = this.#parts
    progress.accepted = this.#intake.totals.accepted
    const { moved, refusedHere, refusedThere } = this.#tracker.totals
    progress.done = moved + refusedHere + refusedThere
  }

  #endRequest(frame: Extract<Frame, { kind: 'delivered' }>): void {
    const asked = this.#requests.shift()
    if (asked === undefined) throw unexpected(frame)
    for (const id of splitIds(frame.missing)) {
      if (!asked.has(idKey(id))) throw new SyncError('unexpected_frame', 'Ids are missing that were not asked for.')
    }
    this.#tracker.undelivered(asked.keys(), this.#plan.reconciling !== null)
  }

  #endPush(refused: readonly RefusedEntry[]): void {
    const pushed = this.#pushes.shift()
    if (pushed === undefined) throw new SyncError('unexpected_frame', 'The peer answers records that were not sent.')
    this.#tracker.given(pushed, refused)
    this.#noteProgress()
  }
}

/** The error for a refusal by the peer. */
export function refusedBy(code: RefusalCode | 'unknown', what: string): SyncError {
  return new SyncError('refused', `${what}: ${code}.`, code === 'unknown' ? {} : { refusal: code })
}

/** Appends without `push(...)`, whose arguments would go on the stack. */
function append<T>(to: T[], more: readonly T[]): void {
  for (const each of more) to.push(each)
}
