/** Submits records to ingest again: if it was busy, or if it refused records for now. */
import type { Timers } from '../platform/environment.ts'
import { payloadHead } from '../record/payload-head.ts'
import type { SignedRecord } from '../record/types.ts'
import type { Source } from '../shares/types.ts'
import { IngestBusyError } from './errors.ts'
import type { Ingest, IngestResult } from './types.ts'

/** Submits records to ingest; one result each, in order. It waits while ingest is busy. */
export type Submit = (records: readonly SignedRecord[]) => Promise<readonly IngestResult[]>

/** Ingest has room again within a fraction of a second, and an attempt costs nothing. */
const WAIT_MS = 100
/** Ingest that is busy for five minutes is stuck. */
const MAX_WAITS = 3_000
/** Records offered again at a time. */
const OFFER_RECORDS = 256
/** Share that stays when the buffer is full, so that it is not sorted again for each further record. */
const KEPT_SHARE = 3 / 4

/**
 * Submits, and again as long as ingest is busy.
 *
 * @param wait called before each further attempt, with how many there were; it throws to give up
 */
export async function submitWithRetry<T>(
  submit: () => Promise<T>,
  wait: (error: IngestBusyError, attempts: number) => Promise<void>,
): Promise<T> {
  for (let attempts = 1; ; attempts++) {
    try {
      return await submit()
    } catch (error) {
      if (!(error instanceof IngestBusyError)) throw error
      await wait(error, attempts)
    }
  }
}

/**
 * Submits the records of an archive. It waits while ingest is busy, which slows down the sender.
 *
 * @param source the host that sends the archive. Default: all archives count as one host
 * @throws IngestBusyError if ingest stays busy for five minutes; other errors of ingest
 */
export function importDoor(ingest: Ingest, timers: Timers, source?: Source): Submit {
  const options = { origin: 'import', ...(source === undefined ? {} : { source }) } as const
  return (records) =>
    submitWithRetry(
      () => ingest.submit(records, options),
      async (error, attempts) => {
        if (attempts > MAX_WAITS) throw error
        await new Promise<void>((resolve) => {
          timers.after(WAIT_MS, resolve)
        })
      },
    )
}

export interface RetryLimits {
  readonly maxRecords: number
  /** Of payloads. */
  readonly maxBytes: number
}

/**
 * Records that ingest refused for now, in bounded memory: those with the least counters that fit. What a record cites has
 * a lesser counter, so every round with the least ones makes progress. With those that came first, a chain that arrives in
 * reverse would gain one record a round.
 */
export class RetryBuffer<T extends { readonly record: SignedRecord }> {
  readonly #limits: RetryLimits
  readonly #dropped: (item: T) => void
  #held: { readonly counter: number; readonly item: T }[] = []
  #bytes = 0
  /** No record from this counter on is held: one with a lesser counter was dropped. */
  #below = Infinity

  /** @param dropped called with each item for which there is no room */
  constructor(limits: RetryLimits, dropped: (item: T) => void) {
    this.#limits = limits
    this.#dropped = dropped
  }

  get size(): number {
    return this.#held.length
  }

  add(item: T): void {
    const { payload } = item.record
    const counter = payloadHead(payload)?.counter ?? 0
    if (counter >= this.#below) return this.#dropped(item)
    this.#held.push({ counter, item })
    this.#bytes += payload.length
    if (this.#isBeyond(1)) this.#makeRoom()
  }

  /** Removes and returns all, the least counter first. */
  take(): T[] {
    const items = this.#sorted().map(({ item }) => item)
    this.#held = []
    this.#bytes = 0
    this.#below = Infinity
    return items
  }

  /**
   * Offers all again, the least counter first, until nothing is left or a round did not help. What is left stays.
   *
   * @param offer submits some of them, and adds those again that are refused again
   */
  async offerAgain(offer: (items: readonly T[]) => Promise<void>): Promise<void> {
    for (let before = Infinity; this.size > 0 && this.size < before;) {
      before = this.size
      const items = this.take()
      for (let at = 0; at < items.length; at += OFFER_RECORDS) await offer(items.slice(at, at + OFFER_RECORDS))
    }
  }

  #isBeyond(share: number): boolean {
    const { maxRecords, maxBytes } = this.#limits
    return this.#held.length > maxRecords * share || this.#bytes > maxBytes * share
  }

  #sorted(): { readonly counter: number; readonly item: T }[] {
    return this.#held.sort((a, b) => a.counter - b.counter)
  }

  #makeRoom(): void {
    const held = this.#sorted()
    while (this.#isBeyond(KEPT_SHARE)) {
      const last = held.pop()
      if (last === undefined) return
      this.#bytes -= last.item.record.payload.length
      this.#below = last.counter
      this.#dropped(last.item)
    }
  }
}
