import { TICK_MS } from './limits.ts'

/** What a platform may have to listen to; none of it in Node. */
interface Listening {
  addEventListener?(type: string, listener: () => void): void
  removeEventListener?(type: string, listener: () => void): void
}

export interface ResumeCalls {
  /** The device slept, or the network came back: connections are dead, whatever they say. */
  readonly woke: () => void
  /** The page is seen again: other tabs may have written, and messages may have been missed. */
  readonly seen: () => void
}

/** Tells when a device or a page wakes up. @returns what ends it */
export function detectResume({ woke, seen }: ResumeCalls): () => void {
  let last = Date.now()
  const timer: unknown = setInterval(() => {
    const now = Date.now()
    if (now - last > 3 * TICK_MS) woke()
    last = now
  }, TICK_MS)
  // What only waits for sleep shall not keep a program alive.
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
