import type { IngestResult } from '../ingest/types.ts'
import { SyncError } from './errors.ts'
import type { RefusedEntry } from './frame-types.ts'
import { idKey } from './ids.ts'
import type { SessionParts } from './session.ts'

/** Claims that a peer may fail to keep in one session: a snapshot may drop many records at once, but rarely so many. */
const MAX_UNDELIVERED = 4_096
/** Ids found held, though a moment ago they were not. */
const MAX_SEEN_HELD = 65_536
/** Times that one id may be claimed and not delivered, minutes apart, before it is a lie. */
const PATIENCE = 3
/** Longest time that a peer can keep a record from being offered again, if it is not for good. */
const MAX_RETRY_S = 86_400

/** What one look at both sides found, and what became of it. */
export interface PassTotals {
  /** Ids that one side has and the other has not. */
  found: number
  /** Of those, settled now: taken by this node or by the peer, or gone. */
  moved: number
  /** Refused by this node, now or before. */
  refusedHere: number
  /** Refused by the peer, now or before. */
  refusedThere: number
  /** Claimed by the peer and not delivered, now or before. */
  undelivered: number
}

/** What passes of one session share. */
export interface PassMemory {
  /** Keys of ids that were needed and yet held. */
  readonly seenHeld: Set<string>
  undelivered: number
  /** Whether the peer claims one id again and again. */
  isWithholding: boolean
}

export function newPassMemory(): PassMemory {
  return { seenHeld: new Set(), undelivered: 0, isWithholding: false }
}

/** Keeps the books of one pass: which ids are worth moving, and what became of those that were. */
export class PassTracker {
  readonly totals: PassTotals = { found: 0, moved: 0, refusedHere: 0, refusedThere: 0, undelivered: 0 }
  readonly #parts: SessionParts
  readonly #memory: PassMemory

  constructor(parts: SessionParts, memory: PassMemory) {
    this.#parts = parts
    this.#memory = memory
  }

  /** Of the ids that the peer claims: those to ask for. */
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

  /** Of the ids that the peer lacks: those to send. */
  offered(have: readonly Uint8Array[]): Uint8Array[] {
    this.totals.found += have.length
    return have.filter((id) => {
      const isRefused = this.#parts.memory.refusedThere.blocks(idKey(id))
      if (isRefused) this.totals.refusedThere += 1
      return !isRefused
    })
  }

  /** Of these ids those that are not held. */
  async lacking(ids: readonly Uint8Array[]): Promise<Uint8Array[]> {
    const held = await this.#parts.source.held(ids)
    return ids.filter((id, at) => {
      if (held[at] === true) this.#noteHeld(idKey(id))
      return held[at] !== true
    })
  }

  /** An id that is needed and yet held: once, gossip was quicker; again, it is superseded here. */
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

  /** Records that were asked for have gone through the door. */
  taken(results: readonly IngestResult[]): void {
    for (const { status } of results) {
      if (status === 'refused' || status === 'superseded') this.totals.refusedHere += 1
      else this.totals.moved += 1
    }
  }

  /**
   * Ids that were asked for and did not come.
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
   * What the peer made of records that were sent to it.
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
