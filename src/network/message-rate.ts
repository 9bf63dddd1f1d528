import { LRUCache } from 'lru-cache'

import type { Clock, Timers } from '../platform/environment.ts'
import { TokenBucket, type Rate } from '../shares/rates.ts'

/** The messages of one source, and the longest pause. */
export interface MessageRateLimits extends Rate {
  readonly longestPauseMs: number
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
  const buckets = new LRUCache<string, TokenBucket>({ max: MAX_SOURCES })
  const paused = new Set<string>()

  return {
    /** A message of any kind came from a peer. */
    came(peer: string, source: string): void {
      const bucket = buckets.get(source) ?? new TokenBucket(limits, clock)
      buckets.set(source, bucket)
      const left = bucket.spend()
      if (left >= 0 || paused.has(peer)) return
      paused.add(peer)
      const resume = pause(peer)
      timers.after(Math.min(limits.longestPauseMs, Math.ceil(-left * limits.refillMs) + 100), () => {
        paused.delete(peer)
        resume()
      })
    },
  }
}
