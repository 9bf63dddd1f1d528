import type { Timers } from '../platform/environment.ts'
import { MigrateError } from './errors.ts'
import { SILENCE_TOLD_MS } from './limits.ts'

/** Waits; throws as soon as `signal` is aborted. @throws MigrateError `stopped` */
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

/** Returns what `work` gives, but does not wait for it once `signal` is aborted. @throws MigrateError `stopped` */
export function orStopped<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(stopped())
    signal.addEventListener('abort', stop)
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}

/** Does `work`, and calls `tell` once if it takes longer than `SILENCE_TOLD_MS`. */
export async function tellingOfSilence<T>(timers: Timers, tell: () => void, work: () => Promise<T>): Promise<T> {
  const cancel = timers.after(SILENCE_TOLD_MS, tell)
  try {
    return await work()
  } finally {
    cancel()
  }
}

/** @throws MigrateError `stopped` */
export function throwIfStopped(signal: AbortSignal): void {
  if (signal.aborted) throw stopped()
}

function stopped(): MigrateError {
  return new MigrateError('stopped', 'The migration was stopped. The next run resumes from here.')
}
