import type { Clock, Timers } from '../platform/environment.ts'

export interface MessageRateLimits {
  /** Messages that a source may send at once. */
  readonly burst: number
  /** One more after each, in milliseconds. */
  readonly refillMs: number
  /** Longest pause, in milliseconds. */
  readonly longestPauseMs: number
}

interface Bucket {
  /** Below 0: messages that came beyond the rate. */
  tokens: number
  atMs: number
}

/** Sources remembered: more than can be connected at once. */
const MAX_SOURCES = 1024

export interface MessageRate {
  /** One message of a peer came, of whatever kind. */
  came(peer: string, source: string): void
}

/**
 * Slows down who sends messages faster than a busy node of a large network does. Each message costs time and is remembered
 * for a while, also where it brings nothing. What comes beyond the rate is still handled, but paid for with a pause, in which
 * nothing is read from the peer.
 *
 * @param components.pause stops reading from a peer; the returned function goes on
 */
export function createMessageRate(
  components: { readonly clock: Clock; readonly timers: Timers; readonly pause: (peer: string) => () => void },
  limits: MessageRateLimits,
): MessageRate {
  const { clock, timers, pause } = components
  // In order of the last message.
  const buckets = new Map<string, Bucket>()
  const paused = new Set<string>()

  function bucketOf(source: string): Bucket {
    const now = clock.now()
    const bucket = buckets.get(source) ?? { tokens: limits.burst, atMs: now }
    // A clock that was set back gives nothing, for a moment.
    bucket.tokens = Math.min(limits.burst, bucket.tokens + Math.max(0, now - bucket.atMs) / limits.refillMs)
    bucket.atMs = now
    if (!buckets.has(source) && buckets.size >= MAX_SOURCES) buckets.delete(buckets.keys().next().value as string)
    buckets.set(source, bucket)
    return bucket
  }

  return {
    came(peer, source) {
      const bucket = bucketOf(source)
      bucket.tokens -= 1
      if (bucket.tokens >= 0 || paused.has(peer)) return
      paused.add(peer)
      const resume = pause(peer)
      timers.after(Math.min(limits.longestPauseMs, Math.ceil(-bucket.tokens * limits.refillMs) + 100), () => {
        paused.delete(peer)
        resume()
      })
    },
  }
}
