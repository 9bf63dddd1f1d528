import type { Timers } from '../platform/environment.ts'
import { MigrateError } from './errors.ts'

/**
 * Waits; throws as soon as `signal` is aborted.
 *
 * @throws MigrateError `stopped`
 */
export async function pause(timers: Timers, delayMs: number, signal: AbortSignal): Promise<void> {
  throwIfStopped(signal)
  await new Promise<void>((resolve) => {
    const done = (): void => {
      cancel()
      clearInterval(alive)
      signal.removeEventListener('abort', done)
      resolve()
    }
    // The environment's timers do not keep the process alive, and nothing else may.
    const alive = setInterval(() => undefined, 60_000)
    const cancel = timers.after(delayMs, done)
    signal.addEventListener('abort', done)
  })
  throwIfStopped(signal)
}

/** @throws MigrateError `stopped` */
export function throwIfStopped(signal: AbortSignal): void {
  if (signal.aborted) throw new MigrateError('stopped', 'The migration was stopped. The next run resumes from here.')
}
