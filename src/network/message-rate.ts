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
  /** Negative: the number of messages beyond the rate. */
  tokens: number
  atMs: number
}

/** Sources remembered: more than can be connected at once. */
const MAX_SOURCES = 1024

/**
 * Slows down peers that send messages faster than a busy node of a large network does. Each message costs time and is
 * remembered for a while, even if it brings nothing new. Messages beyond the rate are still handled; then the node pauses
 * reading from the peer.
 *
 * @param components.pause stops reading from a peer; the returned function resumes
 */
export function createMessageRate(
  components: { readonly clock: Clock; readonly timers: Timers; readonly pause: (peer: string) => () => void },
  limits: MessageRateLimits,
) {
  const { clock, timers, pause } = components
  // In order of the last message.
  const buckets = new Map<string, Bucket>()
  const paused = new Set<string>()

  function bucketOf(source: string): Bucket {
    const now = clock.now()
    const bucket = buckets.get(source) ?? { tokens: limits.burst, atMs: now }
    // If the clock was set back, no tokens are added for a moment.
    bucket.tokens = Math.min(limits.burst, bucket.tokens + Math.max(0, now - bucket.atMs) / limits.refillMs)
    bucket.atMs = now
    if (!buckets.has(source) && buckets.size >= MAX_SOURCES) buckets.delete(buckets.keys().next().value as string)
    buckets.set(source, bucket)
    return bucket
  }

  return {
    /** A message of any kind came from a peer. */
    came(peer: string, source: string): void {
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
