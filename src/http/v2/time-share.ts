import { performance } from 'node:perf_hooks'

import type { Clock, Timers } from '../../platform/environment.ts'

/** Limits some work to a share of the time. */
export interface TimeShare {
  /**
   * Resolves once the work may go on.
   *
   * @param mayUseIdle whether it may also use time in which the event loop of the node had nothing to do
   */
  ready(mayUseIdle: boolean): Promise<void>
  /** Counts time that the work took. */
  spend(ms: number): void
}

/** Idle time is noticed at least this often. */
const MAX_WAIT_MS = 5

/**
 * @param share the part of the time that the work may take, in 0..1
 * @param burstMs the most that it may take at once after it took nothing for a while
 */
export function createTimeShare(
  { clock, timers }: { readonly clock: Clock; readonly timers: Timers },
  { share, burstMs }: { readonly share: number; readonly burstMs: number },
): TimeShare {
  let leftMs = burstMs
  let atMs = clock.now()
  let idleMs = performance.eventLoopUtilization().idle

  function refill(mayUseIdle: boolean): void {
    const now = clock.now()
    const { idle } = performance.eventLoopUtilization()
    // The clock of the system may be set back.
    const gained = Math.max(0, now - atMs) * share + (mayUseIdle ? (idle - idleMs) * (1 - share) : 0)
    leftMs = Math.min(burstMs, leftMs + gained)
    atMs = now
    idleMs = idle
  }

  return {
    async ready(mayUseIdle) {
      for (refill(mayUseIdle); leftMs <= 0; refill(mayUseIdle)) {
        const waitMs = Math.min(MAX_WAIT_MS, Math.ceil((1 - leftMs) / share))
        await new Promise<void>((resolve) => void timers.after(waitMs, resolve))
      }
    },
    spend(ms) {
      leftMs -= Math.max(0, ms)
    },
  }
}
