import { compareBounds } from './order.ts'
import type { Bound } from './types.ts'

/** An interval in the order of items: `lower` inclusive, `upper` exclusive. */
export interface Span {
  readonly lower: Bound
  readonly upper: Bound
}

/** About 10 MB. Further spans are joined with the last one, gap included, so ids in the gap may be reported twice. */
const MAX_SPANS = 65_536

/**
 * The ranges that an initiator has asked about and not settled yet. A full message ends with one fingerprint of all that
 * follows, which includes settled ranges. With this list the initiator skips them in its answer, and reports no id twice.
 */
export class OpenRanges {
  readonly #spans: Span[]
  #at = 0

  constructor(spans: Span[] = []) {
    this.#spans = spans
  }

  /** Adds a span. Spans must be added in ascending order. */
  add(lower: Bound, upper: Bound): void {
    const last = this.#spans.at(-1)
    if (last !== undefined && (this.#spans.length >= MAX_SPANS || compareBounds(last.upper, lower) === 0)) {
      this.#spans[this.#spans.length - 1] = { lower: last.lower, upper: copy(upper) }
    } else {
      this.#spans.push({ lower: copy(lower), upper: copy(upper) })
    }
  }

  /** The open parts of an interval, in order. Calls must be in ascending order, too. */
  within(lower: Bound, upper: Bound): Span[] {
    for (let span = this.#spans[this.#at]; span !== undefined; span = this.#spans[this.#at]) {
      if (compareBounds(span.upper, lower) > 0) break
      this.#at += 1
    }
    const parts: Span[] = []
    for (let at = this.#at; at < this.#spans.length; at += 1) {
      const span = this.#spans[at] as Span
      if (compareBounds(span.lower, upper) >= 0) break
      parts.push({
        lower: compareBounds(span.lower, lower) > 0 ? span.lower : lower,
        upper: compareBounds(span.upper, upper) < 0 ? span.upper : upper,
      })
    }
    return parts
  }
}

/** Copies a bound, which is a view that would keep its message in memory. */
function copy(bound: Bound): Bound {
  return { timestamp: bound.timestamp, id: bound.id.slice() }
}
