import { LRUCache } from 'lru-cache'

import type { Clock } from '../platform/environment.ts'
import type { Source } from './types.ts'

/** `burst` events may come at once, and one more after each `refillMs`. */
export interface Rate {
  readonly burst: number
  readonly refillMs: number
}

export interface RateLimits {
  /** Of one key. */
  readonly perKey: Rate
  /** Of all keys together. */
  readonly total: Rate
  /** The last events of `total.burst`: only for keys that have used less than half of their own burst. */
  readonly reserve: number
}

/** Keys remembered, about 200 bytes each. A forgotten one starts with a full burst. */
const MAX_KEYS = 10_000

/** Divides a rate between hosts. A shared key (a proxy) is bounded by the total rate, less the reserve. */
export class Rates {
  readonly #limits: RateLimits
  readonly #clock: Clock
  readonly #keys = new LRUCache<string, TokenBucket>({ max: MAX_KEYS })
  readonly #total: TokenBucket

  constructor(limits: RateLimits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
    this.#total = new TokenBucket(limits.total, clock)
  }

  /** Takes one event and returns 0, or returns the whole seconds until one is available. */
  take({ key, isShared = false }: Source): number {
    const { perKey, reserve } = this.#limits
    if (isShared) return this.#total.take(reserve)
    const bucket = this.#keys.get(key) ?? new TokenBucket(perKey, this.#clock)
    this.#keys.set(key, bucket)
    const kept = bucket.left() > perKey.burst / 2 ? 0 : reserve
    const waitSeconds = bucket.wait(0) || this.#total.take(kept)
    if (waitSeconds === 0) bucket.take(0)
    return waitSeconds
  }
}

/** A token bucket. */
export class TokenBucket {
  readonly #rate: Rate
  readonly #clock: Clock
  #tokens: number
  #atMs: number

  constructor(rate: Rate, clock: Clock) {
    this.#rate = rate
    this.#clock = clock
    this.#tokens = rate.burst
    this.#atMs = clock.now()
  }

  left(): number {
    const now = this.#clock.now()
    // If the clock was set back, no tokens are added for a moment.
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + Math.max(0, now - this.#atMs) / this.#rate.refillMs)
    this.#atMs = now
    return this.#tokens
  }

  /** Whole seconds until there are more than `kept` tokens; 0 if there are now. */
  wait(kept: number): number {
    const missing = kept + 1 - this.left()
    return missing <= 0 ? 0 : Math.max(1, Math.ceil((missing * this.#rate.refillMs) / 1_000))
  }

  take(kept: number): number {
    const waitSeconds = this.wait(kept)
    if (waitSeconds === 0) this.#tokens -= 1
    return waitSeconds
  }

  /** Takes a token even if there is none. Returns the tokens left: below 0, the events beyond the rate. */
  spend(): number {
    this.#tokens = this.left() - 1
    return this.#tokens
  }
}
