import { setTimeout as sleep } from 'node:timers/promises'

export { sleep }

/** Longest wait for a condition: far above what is needed, so that a busy machine fails no test. config/vitest.config.ts gives it to `expect.poll`. */
export const PATIENCE_MS = 60_000
/** The same for `vi.waitFor`, whose own default is a second. */
export const WAIT = { timeout: PATIENCE_MS, interval: 20 }

/**
 * Resolves once `condition` holds; asks every 20 ms.
 *
 * @throws Error naming `what` after `timeoutMs`, with the last error that `condition` threw as its cause
 */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  timeoutMs = PATIENCE_MS,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  let cause: unknown
  for (;;) {
    try {
      if (await condition()) return
      cause = undefined
    } catch (error) {
      cause = error
    }
    if (performance.now() > deadline) throw new Error(`Not within ${timeoutMs} ms: ${what}.`, { cause })
    await sleep(20)
  }
}
