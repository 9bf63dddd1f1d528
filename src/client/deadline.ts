import { ClientError } from './errors.ts'

/** One signal for a piece of work, ended by the caller's, by silence, or after all too long a time. Must be closed. */
export interface Deadline {
  readonly signal: AbortSignal
  /** Whether it was time that ended it, not the caller. */
  readonly timedOut: boolean
  /** Something moved: silence begins anew. */
  touch(): void
  /** The work is done. */
  close(): void
  /** Whatever is left of the work is to end. */
  abort(): void
}

/**
 * @param signals of the caller; the first that is aborted ends the work
 * @param silenceMs longest time between two touches
 * @param totalMs longest time in all
 */
export function createDeadline(
  signals: readonly (AbortSignal | undefined)[],
  silenceMs: number,
  totalMs?: number,
): Deadline {
  const controller = new AbortController()
  const given = signals.filter((each) => each !== undefined)
  let timedOut = false
  const expire = (): void => {
    timedOut = true
    controller.abort()
  }
  const follow = (): void => controller.abort()
  for (const each of given) {
    if (each.aborted) controller.abort()
    else each.addEventListener('abort', follow)
  }
  let silence = setTimeout(expire, silenceMs)
  const close = (): void => {
    clearTimeout(silence)
    clearTimeout(total)
    for (const each of given) each.removeEventListener('abort', follow)
  }
  const total = totalMs === undefined ? undefined : setTimeout(expire, totalMs)
  return {
    signal: controller.signal,
    get timedOut() {
      return timedOut
    },
    touch() {
      clearTimeout(silence)
      silence = setTimeout(expire, silenceMs)
    },
    close,
    abort() {
      close()
      controller.abort()
    },
  }
}

export function isAborted(signals: readonly (AbortSignal | undefined)[]): boolean {
  return signals.some((each) => each?.aborted === true)
}

/** @throws ClientError `aborted` */
export function throwIfAborted(signals: readonly (AbortSignal | undefined)[]): void {
  const aborted = signals.find((each) => each?.aborted === true)
  if (aborted !== undefined) throw new ClientError('aborted', 'It was ended by its signal.', { cause: aborted.reason })
}

/** Waits; ends early, without an error, where a signal is aborted. */
export function pause(ms: number, signals: readonly (AbortSignal | undefined)[]): Promise<void> {
  return new Promise((resolve) => {
    if (isAborted(signals)) return resolve()
    const end = (): void => {
      clearTimeout(timer)
      for (const each of signals) each?.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    for (const each of signals) each?.addEventListener('abort', end)
    return undefined
  })
}
