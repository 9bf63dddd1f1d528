import { orAborted, throwIfAborted } from './deadline.ts'

/**
 * Runs what is given for one key in order, one after the other; what fails does not stop the next. What a signal ends before
 * its turn is not run. @throws ClientError `aborted`
 */
export function createWriteQueue(): <T>(
  key: string,
  run: () => Promise<T>,
  signals?: readonly (AbortSignal | undefined)[],
) => Promise<T> {
  const last = new Map<string, Promise<unknown>>()
  return async (key, run, signals = []) => {
    throwIfAborted(signals)
    let begin = (): void => {}
    const turn = new Promise<void>((resolve) => (begin = resolve))
    const start = (): ReturnType<typeof run> => {
      begin()
      throwIfAborted(signals)
      return run()
    }
    const before = last.get(key) ?? Promise.resolve()
    const mine = before.then(start)
    const ended = (): void => {
      if (last.get(key) === settled) last.delete(key)
    }
    const settled = mine.then(ended, ended)
    last.set(key, settled)
    await orAborted(turn, signals)
    return await mine
  }
}
