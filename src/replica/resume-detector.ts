import { TICK_MS } from './limits.ts'

/** Events that browsers have and Node lacks. */
interface Listening {
  addEventListener?(type: string, listener: () => void): void
  removeEventListener?(type: string, listener: () => void): void
}

export interface ResumeCalls {
  /** The device slept, or the network came back: open connections are dead, even if they look alive. */
  readonly woke: () => void
  /** The page is seen again: other tabs may have written, and messages may have been missed. */
  readonly seen: () => void
}

/** Calls back when a device or a page resumes. @returns a function that ends it */
export function detectResume({ woke, seen }: ResumeCalls): () => void {
  let last = Date.now()
  const timer: unknown = setInterval(() => {
    const now = Date.now()
    if (now - last > 3 * TICK_MS) woke()
    last = now
  }, TICK_MS)
  // This timer alone must not keep a program running.
  if (typeof timer === 'object' && timer !== null && 'unref' in timer && typeof timer.unref === 'function')
    timer.unref()
  const page: Listening = globalThis
  const visible = (): void => {
    if (document.visibilityState === 'visible') seen()
  }
  const heard: readonly (readonly [Listening, string, () => void])[] = [
    [page, 'online', woke],
    [page, 'pageshow', seen],
    ...(typeof document === 'undefined' ? [] : [[document, 'visibilitychange', visible] as const]),
  ]
  for (const [target, type, listener] of heard) target.addEventListener?.(type, listener)
  return () => {
    clearInterval(timer as Parameters<typeof clearInterval>[0])
    for (const [target, type, listener] of heard) target.removeEventListener?.(type, listener)
  }
}
