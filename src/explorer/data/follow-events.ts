/** How often at most the page asks again because of events. */
const PAUSE_MS = 2_000

/**
 * Calls back when the host stores a record, of any avatar, or has been away. The browser connects again by itself.
 *
 * @returns a function that ends it
 */
export function followEvents(changed: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined
  const source = new EventSource('v2/events')
  const notice = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined
      changed()
    }, PAUSE_MS)
  }
  let opened = 0
  // What came while the stream was away is not told.
  source.addEventListener('open', () => void (opened++ > 0 && notice()))
  for (const type of ['record', 'superseded', 'reset']) source.addEventListener(type, notice)
  return () => {
    clearTimeout(timer)
    source.close()
  }
}
