import { useEffect, useState } from 'preact/hooks'
import { messageOf } from './format.ts'

export type Answer<T> =
  | { readonly phase: 'loading' }
  | { readonly phase: 'failed'; readonly message: string }
  | { readonly phase: 'ready'; readonly value: T }

/**
 * Asks for something, and again when `inputs` change, or at an interval; what was there stays until the next answer.
 *
 * @param ask undefined where there is nothing to ask for
 */
export function useAnswer<T>(
  ask: ((signal: AbortSignal) => Promise<T>) | undefined,
  inputs: readonly unknown[],
  everyMs?: number,
): Answer<T> {
  const [answer, setAnswer] = useState<Answer<T>>({ phase: 'loading' })
  useEffect(() => {
    setAnswer({ phase: 'loading' })
    const stop = new AbortController()
    const run = async (): Promise<void> => {
      if (ask === undefined) return
      try {
        const value = await ask(stop.signal)
        if (!stop.signal.aborted) setAnswer({ phase: 'ready', value })
      } catch (error) {
        if (!stop.signal.aborted) setAnswer({ phase: 'failed', message: messageOf(error) })
      }
    }
    void run()
    const timer = everyMs === undefined ? undefined : setInterval(() => void run(), everyMs)
    return () => {
      stop.abort()
      clearInterval(timer)
    }
  }, inputs)
  return answer
}
