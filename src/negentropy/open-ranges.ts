import { compareBounds } from './order.ts'
import type { Bound } from './types.ts'

/** A stretch of the order of items: `lower` inclusive, `upper` exclusive. */
export interface Span {
  readonly lower: Bound
  readonly upper: Bound
}

/** About 10 MB. Beyond it spans are joined over what lies between them, so that ids there may be named twice. */
const MAX_SPANS = 65_536

/**
 * What an initiator has asked about and not yet settled. A full message ends with one fingerprint of all that follows, which
 * opens settled ranges again; with this memory they are left out of the answer, and no id is named twice.
 */
export class OpenRanges {
  readonly #spans: Span[]
  #at = 0

  constructor(spans: Span[] = []) {
    this.#spans = spans
  }

  /** Adds a span; they must come in ascending order. */
  add(lower: Bound, upper: Bound): void {
    const last = this.#spans.at(-1)
    if (last !== undefined && (this.#spans.length >= MAX_SPANS || compareBounds(last.upper, lower) === 0)) {
      this.#spans[this.#spans.length - 1] = { lower: last.lower, upper: copy(upper) }
    } else {
      this.#spans.push({ lower: copy(lower), upper: copy(upper) })
    }
  }

  /** The open parts of a stretch in order. Stretches must be asked for in ascending order, too. */
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

/** Bounds are views into messages, which must not stay in memory for them. */
function copy(bound: Bound): Bound {
  return { timestamp: bound.timestamp, id: bound.id.slice() }
}
