import { backOffMs } from '../../platform/back-off.ts'
import { useEffect, useState } from 'preact/hooks'
import { messageOf } from '../../platform/errors.ts'

export type Answer<T> =
  | { readonly phase: 'loading' }
  /** Nothing came yet. It is asked for again by itself. */
  | { readonly phase: 'failed'; readonly message: string }
  /** `stale`: why the last attempt failed, and when the value came. It is asked for again by itself. */
  | {
      readonly phase: 'ready'
      readonly value: T
      readonly stale?: { readonly message: string; readonly since: number }
    }

/** The first wait after a failure. It doubles, so that a host that refuses is not asked for ever at that pace. */
const RETRY_MS = 2_000
const MAX_RETRY_MS = 16_000

/**
 * Asks for something, and again when `inputs` change, after a failure, when the device is online again, and at an interval. The
 * last value stays until the next one.
 *
 * @param subscribe called once; calls back whenever the answer may have changed. @returns what ends it
 */
export function useAnswer<T>(
  ask: (signal: AbortSignal) => Promise<T>,
  inputs: readonly unknown[],
  everyMs?: number,
  subscribe?: (again: () => void) => () => void,
): Answer<T> {
  const [answer, setAnswer] = useState<Answer<T>>({ phase: 'loading' })
  useEffect(() => {
    setAnswer({ phase: 'loading' })
    const stop = new AbortController()
    const { signal } = stop
    let timer: ReturnType<typeof setTimeout> | undefined
    let failures = 0
    let isAsking = false
    let since = 0
    const run = async (): Promise<void> => {
      if (isAsking || signal.aborted) return
      isAsking = true
      clearTimeout(timer)
      let nextMs = everyMs
      try {
        const value = await ask(signal)
        if (signal.aborted) return
        since = Date.now()
        failures = 0
        setAnswer({ phase: 'ready', value })
      } catch (error) {
        if (signal.aborted) return
        const message = messageOf(error)
        setAnswer((last) =>
          last.phase === 'ready' ? { ...last, stale: { message, since } } : { phase: 'failed', message },
        )
        nextMs = backOffMs(failures++, RETRY_MS, MAX_RETRY_MS)
      } finally {
        isAsking = false
      }
      if (nextMs !== undefined) timer = setTimeout(() => void run(), nextMs)
    }
    void run()
    addEventListener('online', () => void run(), { signal })
    const unsubscribe = subscribe?.(() => void run())
    return () => {
      unsubscribe?.()
      stop.abort()
      clearTimeout(timer)
    }
  }, inputs)
  return answer
}
