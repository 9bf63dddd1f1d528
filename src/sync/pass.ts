import { concatBytes } from '@noble/hashes/utils.js'

import type { Avatar, SignedRecord } from '../record/types.ts'
import { checkArrivals } from './arrivals.ts'
import { asSyncError, SyncError, type RefusalCode } from './errors.ts'
import type { Frame, RefusedEntry } from './frame-types.ts'
import { idKey, splitIds } from './ids.ts'
import { createPassTracker, type PassMemory, type PassTotals } from './pass-tracker.ts'
import { MAX_REQUEST_IDS } from './limits.ts'
import { Negentropy } from '../negentropy/negentropy.ts'
import { VERSION } from '../negentropy/wire.ts'
import { Condition } from './condition.ts'
import { createRecordReader } from './record-reader.ts'
import { fromNegentropy, negentropyOptions, unexpected, type Session } from './session.ts'
import type { SyncSnapshot } from '../store/types.ts'

/** With fewer ids waiting than this, the next Negentropy message is sent; its answer may bring 10,000 more. */
const MAX_WAITING_IDS = 8_192
/** Most unanswered requests, and frames of records: enough to keep a distant peer busy. */
const MAX_REQUESTS = 3
const MAX_PUSHES = 4

export interface PassPlan {
  /** Null if the ids to fetch are already known. */
  readonly reconciling: {
    readonly number: number
    readonly readSnapshot: SyncSnapshot
    /** The first message to send, with its avatars; or the answer to a message that was sent. */
    readonly begin: { readonly opening: Uint8Array; readonly subset: Uint8Array } | { readonly answer: Uint8Array }
  } | null
  readonly fetch?: readonly Uint8Array[]
  /** The avatars of the pass; null for all. */
  readonly avatars: ReadonlySet<Avatar> | null
}

/**
 * One pass of the initiator: finds the differences between two moments, and meanwhile requests what this side lacks and sends
 * what the other side lacks. One loop reads and one writes, because the peer may not read before this side does.
 *
 * @throws SyncError
 */
export async function runPass(
  { parts, channel, intake }: Session,
  plan: PassPlan,
  memory: PassMemory,
): Promise<PassTotals> {
  const { reconciling, fetch = [], avatars } = plan
  const { progress } = parts
  const tracker = createPassTracker(parts, memory)
  const condition = new Condition()
  let negentropy: Negentropy | undefined
  /** The Negentropy message to send next. */
  let next = null as Uint8Array | null
  let awaitsAnswer = false
  /** Ids to request. */
  const wanted: Uint8Array[] = []
  /** Ids of records to send. */
  const offered: Uint8Array[] = []
  const reader = createRecordReader(parts, offered)
  /** Ids of each unanswered request that did not come yet. */
  const requests: Map<string, Uint8Array>[] = []
  /** Ids of each frame of records that the peer has not answered yet. */
  const pushes: Set<string>[] = []
  let isOver = false

  /** The first failure aborts the stream, which ends the other loop. */
  async function guard(loop: Promise<void>): Promise<void> {
    try {
      await loop
    } catch (error) {
      isOver = true
      channel.fail(asSyncError(error))
      condition.notify()
      throw error
    }
  }

  async function write(): Promise<void> {
    while (!isOver) {
      if (await writeNext()) continue
      if (isIdle()) {
        isOver = true
        condition.notify()
      } else {
        await condition.wait()
      }
    }
  }

  /** Writes one frame; false if there is nothing to write now. */
  async function writeNext(): Promise<boolean> {
    if (next !== null && wanted.length + offered.length <= MAX_WAITING_IDS) {
      const message = next
      next = null
      awaitsAnswer = true
      await sendMessage(message)
      condition.notify()
      return true
    }
    if (wanted.length > 0 && requests.length < MAX_REQUESTS) {
      const ids = await tracker.lacking(wanted.splice(0, MAX_REQUEST_IDS))
      if (ids.length === 0) return true
      requests.push(new Map(ids.map((id) => [idKey(id), id])))
      condition.notify()
      await channel.send({ kind: 'request', ids: concatBytes(...ids) })
      return true
    }
    if ((offered.length > 0 || reader.hasReady()) && pushes.length < MAX_PUSHES) {
      const frame = await reader.next()
      if (frame.length === 0) return true
      pushes.push(new Set(frame.map(({ id }) => idKey(id))))
      progress.recordsOut += frame.length
      condition.notify()
      await channel.send({ kind: 'records', records: frame.map(({ record }) => record) })
      return true
    }
    return false
  }

  function isIdle(): boolean {
    const isWaiting = awaitsAnswer || requests.length > 0 || pushes.length > 0
    const hasWork = next !== null || wanted.length > 0 || offered.length > 0 || reader.hasReady()
    return !isWaiting && !hasWork
  }

  async function sendMessage(message: Uint8Array): Promise<void> {
    if (reconciling === null) return
    const isFirst = negentropy === undefined && 'opening' in reconciling.begin
    const subset = isFirst && 'subset' in reconciling.begin ? reconciling.begin.subset : new Uint8Array(0)
    await channel.send({ kind: 'reconcile', pass: reconciling.number, message, subset })
  }

  async function read(): Promise<void> {
    while (!isOver) {
      if (!awaitsAnswer && requests.length === 0 && pushes.length === 0) {
        await condition.wait()
        continue
      }
      await handle(await channel.expect())
      condition.notify()
    }
  }

  async function handle(frame: Frame): Promise<void> {
    switch (frame.kind) {
      case 'reconciled':
        if (!awaitsAnswer || frame.pass !== reconciling?.number) throw unexpected(frame)
        return compare(frame.message)
      case 'records':
        return take(frame.records)
      case 'delivered':
        return endRequest(frame)
      case 'taken':
        return endPush(frame.refused)
      case 'refusal':
        throw refusedBy(frame.code, 'The peer ended the session')
      default:
        throw unexpected(frame)
    }
  }

  /** Handles a Negentropy answer. */
  async function compare(answer: Uint8Array): Promise<void> {
    if (reconciling === null) return
    try {
      if (negentropy === undefined) {
        negentropy = new Negentropy(reconciling.readSnapshot, negentropyOptions(parts))
        // This asks about everything, like the opening message that the peer has answered.
        if (answer.length === 1 && answer[0] === VERSION) {
          await reconciling.readSnapshot.close()
          awaitsAnswer = false
          return
        }
        await negentropy.initiate()
      }
      const { message, have, need } = await negentropy.reconcile(answer)
      append(wanted, await tracker.wanted(need))
      append(offered, tracker.offered(have))
      if (message === null) await reconciling.readSnapshot.close()
      next = message
      // Must be last: until then the pass is not idle, whatever the writing loop finds.
      awaitsAnswer = false
      progress.total = (progress.total ?? 0) + have.length + need.length
    } catch (error) {
      throw fromNegentropy(error)
    }
  }

  async function take(records: readonly SignedRecord[]): Promise<void> {
    const asked = requests[0]
    const arrivals = await checkArrivals(parts, records, avatars)
    for (const { id } of arrivals) {
      if (asked?.delete(idKey(id)) !== true) {
        throw new SyncError('unasked_record', 'The peer sent a record that was not asked for.')
      }
    }
    progress.recordsIn += arrivals.length
    const fresh = arrivals.filter(({ isHeld }) => !isHeld)
    tracker.totals.moved += arrivals.length - fresh.length
    await intake.add(
      fresh.map(({ record }) => record),
      (results) => {
        tracker.taken(results)
        noteProgress()
      },
    )
  }

  function noteProgress(): void {
    progress.accepted = intake.totals.accepted
    const { moved, refusedHere, refusedThere } = tracker.totals
    progress.done = moved + refusedHere + refusedThere
  }

  function endRequest(frame: Extract<Frame, { kind: 'delivered' }>): void {
    const asked = requests.shift()
    if (asked === undefined) throw unexpected(frame)
    for (const id of splitIds(frame.missing)) {
      if (!asked.has(idKey(id))) throw new SyncError('unexpected_frame', 'Ids are missing that were not asked for.')
    }
    tracker.undelivered(asked.keys(), reconciling !== null)
  }

  function endPush(refused: readonly RefusedEntry[]): void {
    const pushed = pushes.shift()
    if (pushed === undefined) throw new SyncError('unexpected_frame', 'The peer answers records that were not sent.')
    tracker.given(pushed, refused)
    noteProgress()
  }

  append(wanted, fetch)
  if (reconciling !== null) {
    if ('answer' in reconciling.begin) await compare(reconciling.begin.answer)
    else next = reconciling.begin.opening
  }
  const ended = await Promise.allSettled([guard(write()), guard(read())])
  for (const end of ended) if (end.status === 'rejected') throw channel.failure ?? end.reason
  await intake.settled()
  const before = { ...intake.totals }
  await intake.drain()
  const after = intake.totals
  const { totals } = tracker
  // Records that were kept back and then stored were counted as refused.
  totals.moved += after.accepted + after.duplicates - before.accepted - before.duplicates
  totals.refusedHere += after.refused + after.superseded - before.refused - before.superseded
  totals.moved += reader.missing.length
  noteProgress()
  return totals
}

/** The error for a refusal by the peer. */
export function refusedBy(code: RefusalCode | 'unknown', what: string): SyncError {
  return new SyncError('refused', `${what}: ${code}.`, code === 'unknown' ? {} : { refusal: code })
}

/** Appends without `push(...)`, whose arguments would go on the stack. */
function append<T>(to: T[], more: readonly T[]): void {
  for (const each of more) to.push(each)
}
