import { setTimeout as sleep } from 'node:timers/promises'

export { sleep }

/**
 * Resolves once `condition` holds, asking every 20 ms. The time is far above what is needed, for machines under load.
 *
 * @throws Error naming `what` after `timeoutMs`, with the last error that `condition` threw as its cause
 */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  timeoutMs = 30_000,
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
