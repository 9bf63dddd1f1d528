import { randomFillSync } from 'node:crypto'

import type { Environment } from './environment.ts'

/** Longest delay of `setTimeout` (2^31 − 1 ms, Node.js "Timers"). A longer one would fire at once. */
const MAX_DELAY_MS = 2_147_483_647

/** The operating system's clock, timers and randomness. */
export function systemEnvironment(): Environment {
  return {
    clock: { now: () => Date.now() },
    timers: {
      after(delayMs, run) {
        const timer = setTimeout(run, Math.min(Math.max(delayMs, 0), MAX_DELAY_MS))
        timer.unref()
        return () => clearTimeout(timer)
      },
    },
    random: { bytes: (length) => randomFillSync(new Uint8Array(length)) },
  }
}
