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
export class PassTracker {
  readonly totals: PassTotals = { found: 0, moved: 0, refusedHere: 0, refusedThere: 0, undelivered: 0 }
  readonly #parts: SessionParts
  readonly #memory: PassMemory

  constructor(parts: SessionParts, memory: PassMemory) {
    this.#parts = parts
    this.#memory = memory
  }

  /** The ids to request, of those that the peer claims. */
  async wanted(need: readonly Uint8Array[]): Promise<Uint8Array[]> {
    const { refusals, memory } = this.#parts
    this.totals.found += need.length
    return (await this.lacking(need)).filter((id) => {
      const key = idKey(id)
      const isRefused = refusals.blocks(key)
      const isWithheld = !isRefused && memory.undelivered.blocks(key)
      if (isRefused) this.totals.refusedHere += 1
      if (isWithheld) this.totals.undelivered += 1
      return !isRefused && !isWithheld
    })
  }

  /** The ids to send, of those that the peer lacks. */
  offered(have: readonly Uint8Array[]): Uint8Array[] {
    this.totals.found += have.length
    return have.filter((id) => {
      const isRefused = this.#parts.memory.refusedThere.blocks(idKey(id))
      if (isRefused) this.totals.refusedThere += 1
      return !isRefused
    })
  }

  /** The ids among these that are not held. */
  async lacking(ids: readonly Uint8Array[]): Promise<Uint8Array[]> {
    const held = await this.#parts.source.held(ids)
    return ids.filter((id, at) => {
      if (held[at] === true) this.#noteHeld(idKey(id))
      return held[at] !== true
    })
  }

  /** An id was needed and is already held. The first time, gossip was faster; the second time, it is superseded here. */
  #noteHeld(key: string): void {
    const { seenHeld } = this.#memory
    const { refusals } = this.#parts
    if (refusals.blocks(key)) {
      this.totals.refusedHere += 1
    } else if (seenHeld.has(key) || seenHeld.size >= MAX_SEEN_HELD) {
      this.totals.refusedHere += 1
      refusals.forAWhile(key)
    } else {
      seenHeld.add(key)
      this.totals.moved += 1
    }
  }

  /** Counts the results of requested records. */
  taken(results: readonly IngestResult[]): void {
    for (const { status } of results) {
      if (status === 'refused' || status === 'superseded') this.totals.refusedHere += 1
      else this.totals.moved += 1
    }
  }

  /**
   * Counts ids that were requested and did not come.
   *
   * @param isClaimed whether the peer said that it has them
   * @throws SyncError `withheld`
   */
  undelivered(keys: Iterable<string>, isClaimed: boolean): void {
    const { memory } = this.#parts
    for (const key of keys) {
      this.totals.undelivered += 1
      if (!isClaimed) continue
      this.#memory.undelivered += 1
      if (memory.undelivered.forAWhile(key) >= PATIENCE) this.#memory.isWithholding = true
    }
    if (this.#memory.undelivered <= MAX_UNDELIVERED) return
    memory.withheld += 1
    const message = `The peer claims ${this.#memory.undelivered} records that it does not deliver.`
    throw new SyncError('withheld', message, { blame: memory.withheld > 1 })
  }

  /**
   * Counts the peer's results for records that were sent to it.
   *
   * @param pushed their keys
   * @throws SyncError `unexpected_frame`
   */
  given(pushed: Set<string>, refused: readonly RefusedEntry[]): void {
    const { memory } = this.#parts
    for (const { id, retrySeconds } of refused) {
      const key = idKey(id)
      if (!pushed.delete(key)) throw new SyncError('unexpected_frame', 'The peer refuses a record that was not sent.')
      this.totals.refusedThere += 1
      if (retrySeconds === 0) memory.refusedThere.forever(key)
      else memory.refusedThere.during(key, Math.min(retrySeconds, MAX_RETRY_S) * 1_000)
    }
    this.totals.moved += pushed.size
  }
}
