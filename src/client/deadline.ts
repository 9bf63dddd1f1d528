import { ClientError } from './errors.ts'

const calls = new WeakMap<AbortSignal, Set<() => void>>()

/**
 * Calls back once a signal is aborted. It gets one listener however many wait for it: Node warns of more than ten.
 *
 * @returns what ends it
 */
function onAbort(signal: AbortSignal, call: () => void): () => void {
  let all = calls.get(signal)
  if (all === undefined) {
    const fresh = (all = new Set())
    calls.set(signal, fresh)
    signal.addEventListener('abort', () => fresh.forEach((each) => each()))
  }
  // A function of its own, so that a callback that is given twice is called until both registrations end.
  const own = (): void => call()
  all.add(own)
  return () => void all.delete(own)
}

/** The same for any of several, at once where one is aborted already. */
function onAny(signals: Signals, call: () => void): () => void {
  if (isAborted(signals)) call()
  const ends = signals.map((each) => each && onAbort(each, call))
  return () => ends.forEach((end) => end?.())
}

export type Signals = readonly (AbortSignal | undefined)[]

export type Deadline = ReturnType<typeof createDeadline>

/**
 * One signal for a piece of work, aborted by the caller's, by silence, or after too long a time. Close it when the work is done.
 *
 * @param signals of the caller; the first that is aborted ends the work
 * @param silenceMs longest time between two touches
 * @param totalMs longest time in all
 */
export function createDeadline(signals: Signals, silenceMs: number, totalMs?: number) {
  const work = joinSignals(signals)
  let timedOut = false
  const expire = (): void => {
    timedOut = true
    work.abort()
  }
  let silence = setTimeout(expire, silenceMs)
  const total = totalMs === undefined ? undefined : setTimeout(expire, totalMs)
  const close = (): void => {
    clearTimeout(silence)
    clearTimeout(total)
    work.close()
  }
  return {
    signal: work.signal,
    /** Whether it was time that ended it, not the caller. */
    get timedOut(): boolean {
      return timedOut
    },
    /** Something arrived: the time of silence starts again. @param ms how long it may be this once */
    touch(ms = silenceMs): void {
      clearTimeout(silence)
      silence = setTimeout(expire, ms)
    },
    /** The work is done. */
    close,
    /** What is left of the work is to end. */
    abort(): void {
      close()
      work.abort()
    },
  }
}

/**
 * One signal for several, aborted with the first of them. Close it when the work is done: unlike `AbortSignal.any`, nothing is
 * left at the signals then, however often this is called.
 */
export function joinSignals(signals: Signals) {
  const controller = new AbortController()
  const abort = (): void => controller.abort()
  return { signal: controller.signal, abort, close: onAny(signals, abort) }
}

export function isAborted(signals: Signals): boolean {
  return signals.some((each) => each?.aborted === true)
}

/** @throws ClientError `aborted` */
export function throwIfAborted(signals: Signals): void {
  if (isAborted(signals)) throw abortionOf(signals)
}

function abortionOf(signals: Signals): ClientError {
  const cause: unknown = signals.find((each) => each?.aborted)?.reason
  return new ClientError('aborted', 'It was ended by its signal.', { cause })
}

/** What work gives, unless a signal ends the waiting for it. @throws ClientError `aborted` */
export function orAborted<T>(work: Promise<T>, signals: Signals): Promise<T> {
  return new Promise((resolve, reject) => {
    const forget = onAny(signals, () => reject(abortionOf(signals)))
    work.then(resolve, reject).finally(forget)
  })
}

/** Waits; ends early, without an error, where a signal is aborted. */
export function pause(ms: number, signals: Signals): Promise<void> {
  return new Promise((resolve) => {
    if (isAborted(signals)) return resolve()
    const end = (): void => {
      clearTimeout(timer)
      forget()
      resolve()
    }
    const timer = setTimeout(end, ms)
    const forget = onAny(signals, end)
    return undefined
  })
}
