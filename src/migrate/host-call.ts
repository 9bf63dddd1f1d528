import type { Environment } from '../platform/environment.ts'
import { HostError, hostFailed } from './errors.ts'
import { MAX_BUSY_WAIT_MS, MAX_BUSY_WAITS, RETRY_MS } from './limits.ts'
import type { Progress } from './types.ts'
import { orStopped, pause, tellingOfSilence, throwIfStopped } from './wait.ts'

export interface CallComponents {
  readonly environment: Environment
  readonly progress: Progress
  readonly signal: AbortSignal
}

/**
 * Calls a host by HTTP. Waits while the host is busy, tries again a few times if it cannot be reached, and tells if that takes long. A stop does
 * not wait for the answer.
 *
 * @param name the host, as the progress names it
 * @throws MigrateError `stopped`, `unreachable`, `failed`
 */
export function callHost<T>(components: CallComponents, name: string, call: () => Promise<T>): Promise<T> {
  const { environment, progress } = components
  return tellingOfSilence(
    environment.timers,
    () => progress('waiting for', name, 0),
    () => retry(components, call),
  )
}

async function retry<T>({ environment, signal }: CallComponents, call: () => Promise<T>): Promise<T> {
  let failures = 0
  for (let waits = 0; ;) {
    throwIfStopped(signal)
    try {
      return await orStopped(call(), signal)
    } catch (error) {
      throwIfStopped(signal)
      if (!(error instanceof HostError)) throw error
      const delayMs = error.isUnreachable ? RETRY_MS[failures++] : undefined
      const seconds = error.retry?.afterSeconds ?? 1
      const isBusy = error.retry !== null && waits++ < MAX_BUSY_WAITS
      if (delayMs !== undefined) await pause(environment.timers, delayMs, signal)
      else if (isBusy) await pause(environment.timers, Math.min(seconds * 1_000, MAX_BUSY_WAIT_MS), signal)
      else throw hostFailed(error)
    }
  }
}
