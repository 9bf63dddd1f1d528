import type { SignedRecord } from '../record/types.ts'
import { payloadHead } from '../record/payload-head.ts'
import type { Refusals } from './refusals.ts'

/** About 16,000 small records. */
const MAX_HELD_BACK_BYTES = 8 * 1_024 * 1_024
/** Ids of records that there was no room for: as many as are remembered of refused ones. */
const MAX_DROPPED = 65_536
/** They had no second try, so they wait no longer the next time. */
const DROPPED_MS = 60_000
/** What is left where there was no more room, so that room is not made for each record anew. */
const KEPT_SHARE = 3 / 4

interface Held {
  readonly counter: number
  readonly key: string
  readonly record: SignedRecord
}

/**
 * Records of one session that were refused for now, to be offered again: those of the least counters that fit. What a record
 * cites has a lesser counter, so with the least ones every round gets somewhere; with the first that came, which are the
 * least in created_at, a chain that was dated backwards would gain one record a session.
 */
export class HeldBack {
  readonly #refusals: Refusals
  readonly #maxBytes: number
  #held: Held[] = []
  #bytes = 0
  /** No record from this counter on is kept: a lesser one was dropped. */
  #below = Infinity
  readonly #dropped = new Set<string>()

  constructor(refusals: Refusals, maxBytes: number = MAX_HELD_BACK_BYTES) {
    this.#refusals = refusals
    this.#maxBytes = maxBytes
  }

  get size(): number {
    return this.#held.length
  }

  /** @param key of its id (`idKey`) */
  add(record: SignedRecord, key: string): void {
    const counter = payloadHead(record.payload)?.counter ?? 0
    if (counter >= this.#below) return this.#drop(key)
    // A copy, for the record is a view of a whole frame.
    const copy = { payload: record.payload.slice(), signature: record.signature.slice() }
    this.#held.push({ counter, key, record: copy })
    this.#bytes += copy.payload.length
    if (this.#bytes > this.#maxBytes) this.#makeRoom()
  }

  /** Hands out all, in the order of counters, and begins anew. */
  take(): SignedRecord[] {
    const records = this.#sorted().map(({ record }) => record)
    this.#held = []
    this.#bytes = 0
    this.#below = Infinity
    return records
  }

  /** Those that there was no room for may be asked for again at once: what was kept has got somewhere. */
  forgetDropped(): void {
    for (const key of this.#dropped) this.#refusals.forget(key)
    this.#dropped.clear()
  }

  #sorted(): Held[] {
    return this.#held.sort((a, b) => a.counter - b.counter)
  }

  #makeRoom(): void {
    const held = this.#sorted()
    while (this.#bytes > this.#maxBytes * KEPT_SHARE) {
      const last = held.pop()
      if (last === undefined) return
      this.#bytes -= last.record.payload.length
      this.#below = last.counter
      this.#drop(last.key)
    }
  }

  #drop(key: string): void {
    this.#refusals.during(key, DROPPED_MS)
    if (this.#dropped.size < MAX_DROPPED) this.#dropped.add(key)
  }
}
