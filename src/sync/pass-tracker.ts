import type { IngestResult } from '../ingest/types.ts'
import { SyncError } from './errors.ts'
import type { RefusedEntry } from './frame-types.ts'
import { idKey } from './ids.ts'
import type { SessionParts } from './session.ts'

/** Undelivered claims in one session before the peer is penalised. A snapshot may drop many records at once, but rarely this many. */
const MAX_UNDELIVERED = 4_096
/** Most remembered ids that were needed and then found held. */
const MAX_SEEN_HELD = 65_536
/** Undelivered claims of one id, minutes apart, before the peer is penalised. */
const PATIENCE = 3
/** Longest time for which a peer can postpone a record, unless it refuses the record for good. */
const MAX_RETRY_S = 86_400

/** What one pass found, and the results. */
export interface PassTotals {
  /** Ids that only one side has. */
  found: number
  /** Of those, settled now: stored by this node or by the peer, or gone. */
  moved: number
  /** Refused by this node, now or before. */
  refusedHere: number
  /** Refused by the peer, now or before. */
  refusedThere: number
  /** Claimed by the peer and not delivered, now or before. */
  undelivered: number
}

/** State that the passes of one session share. */
export interface PassMemory {
  /** Keys of ids that were needed and yet held. */
  readonly seenHeld: Set<string>
  undelivered: number
  /** Whether the peer repeatedly claims an id that it does not deliver. */
  isWithholding: boolean
}

export function newPassMemory(): PassMemory {
  return { seenHeld: new Set(), undelivered: 0, isWithholding: false }
}

/** Tracks the ids of one pass: which ones to transfer, and the results of those. */
export function createPassTracker(
  { source, refusals, memory }: Pick<SessionParts, 'source' | 'refusals' | 'memory'>,
  session: PassMemory,
) {
  const totals: PassTotals = { found: 0, moved: 0, refusedHere: 0, refusedThere: 0, undelivered: 0 }

  /** The ids to request, of those that the peer claims. */
  async function wanted(need: readonly Uint8Array[]): Promise<Uint8Array[]> {
    totals.found += need.length
    return (await lacking(need)).filter((id) => {
      const key = idKey(id)
      const isRefused = refusals.blocks(key)
      const isWithheld = !isRefused && memory.undelivered.blocks(key)
      if (isRefused) totals.refusedHere += 1
      if (isWithheld) totals.undelivered += 1
      return !isRefused && !isWithheld
    })
  }

  /** The ids to send, of those that the peer lacks. */
  function offered(have: readonly Uint8Array[]): Uint8Array[] {
    totals.found += have.length
    return have.filter((id) => {
      const isRefused = memory.refusedThere.blocks(idKey(id))
      if (isRefused) totals.refusedThere += 1
      return !isRefused
    })
  }

  /** The ids among these that are not held. */
  async function lacking(ids: readonly Uint8Array[]): Promise<Uint8Array[]> {
    const held = await source.held(ids)
    return ids.filter((id, at) => {
      if (held[at] === true) noteHeld(idKey(id))
      return held[at] !== true
    })
  }

  /** An id was needed and is already held. The first time, gossip was faster; the second time, it is superseded here. */
  function noteHeld(key: string): void {
    const { seenHeld } = session
    if (refusals.blocks(key)) {
      totals.refusedHere += 1
    } else if (seenHeld.has(key) || seenHeld.size >= MAX_SEEN_HELD) {
      totals.refusedHere += 1
      refusals.forAWhile(key)
    } else {
      seenHeld.add(key)
      totals.moved += 1
    }
  }

  /** Counts the results of requested records. */
  function taken(results: readonly IngestResult[]): void {
    for (const { status } of results) {
      if (status === 'refused' || status === 'superseded') totals.refusedHere += 1
      else totals.moved += 1
    }
  }

  /**
   * Counts ids that were requested and did not come.
   *
   * @param isClaimed whether the peer said that it has them
   * @throws SyncError `withheld`
   */
  function undelivered(keys: Iterable<string>, isClaimed: boolean): void {
    for (const key of keys) {
      totals.undelivered += 1
      if (!isClaimed) continue
      session.undelivered += 1
      if (memory.undelivered.forAWhile(key) >= PATIENCE) session.isWithholding = true
    }
    if (session.undelivered <= MAX_UNDELIVERED) return
    memory.withheld += 1
    const message = `The peer claims ${session.undelivered} records that it does not deliver.`
    throw new SyncError('withheld', message, { blame: memory.withheld > 1 })
  }

  /**
   * Counts the peer's results for records that were sent to it.
   *
   * @param pushed their keys
   * @throws SyncError `unexpected_frame`
   */
  function given(pushed: Set<string>, refused: readonly RefusedEntry[]): void {
    for (const { id, retrySeconds } of refused) {
      const key = idKey(id)
      if (!pushed.delete(key)) throw new SyncError('unexpected_frame', 'The peer refuses a record that was not sent.')
      totals.refusedThere += 1
      if (retrySeconds === 0) memory.refusedThere.forever(key)
      else memory.refusedThere.during(key, Math.min(retrySeconds, MAX_RETRY_S) * 1_000)
    }
    totals.moved += pushed.size
  }

  return { totals, wanted, offered, lacking, taken, undelivered, given }
}
