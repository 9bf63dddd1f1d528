/** Keeps an avatar the same on two hosts, whichever of them it is written to. */
import type { Timers } from '../environment.ts'
import { MigrateError } from './errors.ts'
import { WATCH_MAX_PAUSE_MS, WATCH_POLL_MS, WATCH_SETTLE_MS } from './limits.ts'
import type { MigrationParts } from './migrate.ts'
import { refusalError } from './refusals.ts'
import type { Refusal, Side, Standing } from './types.ts'
import { pause } from './wait.ts'

export interface WatchListener {
  /** Records went from one to the other, and what both hold now. */
  moved(toTarget: number, toSource: number, standing: Standing | undefined): void
  /** A look failed; it goes on. The same problem is told once. */
  failed(problem: string): void
  /** It works again. */
  recovered(): void
}

/** Resolves once `parts.signal` is given; what goes wrong meanwhile is told and tried again, for ever. */
export async function watch(parts: MigrationParts, listener: WatchListener): Promise<void> {
  const { environment, from, to, signal } = parts
  const bell = new Bell(environment.timers, signal)
  const followers = [from, to].map((side) => follow(environment.timers, side, () => bell.ring(), signal))
  let failures = 0
  let told: string | undefined
  while (!signal.aborted) {
    try {
      await exchange(parts, listener)
      if (told !== undefined) listener.recovered()
      failures = 0
      told = undefined
    } catch (error) {
      if (signal.aborted) break
      if (!(error instanceof MigrateError)) throw error
      failures += 1
      if (told !== error.message) listener.failed(error.message)
      told = error.message
    }
    await bell.wait(Math.min(WATCH_POLL_MS * 2 ** Math.min(failures, 10), WATCH_MAX_PAUSE_MS), failures === 0)
  }
  await Promise.all(followers)
}

/** One look at both, and what differs moved. */
async function exchange({ from, to, staging }: MigrationParts, listener: WatchListener): Promise<void> {
  const here = await from.take()
  const there = await to.take()
  const back = await from.give()
  const on = await to.give()
  const toTarget = on.added
  const toSource = back.added
  if (toTarget + toSource + here.added + there.added > 0) listener.moved(toTarget, toSource, await staging.standing())
  throwRefused(to, on.refused)
  throwRefused(from, back.refused)
}

function throwRefused({ name }: Side, refused: ReadonlyMap<string, Refusal>): void {
  if (refused.size > 0) throw refusalError(name, refused)
}

/** Listens to a host again and again, as far as it can be heard. */
async function follow(timers: Timers, side: Side, changed: () => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await side.follow(changed, signal).catch(() => undefined)
    await pause(timers, WATCH_POLL_MS, signal).catch(() => undefined)
  }
}

/** Wakes who waits. */
class Bell {
  readonly #timers: Timers
  readonly #signal: AbortSignal
  #isRung = false
  #wake: () => void = () => {}

  constructor(timers: Timers, signal: AbortSignal) {
    this.#timers = timers
    this.#signal = signal
  }

  ring(): void {
    this.#isRung = true
    this.#wake()
  }

  /** At most so long; until it rings, if `hears`. */
  async wait(mostMs: number, hears: boolean): Promise<void> {
    const early = new AbortController()
    const end = (): void => early.abort()
    this.#signal.addEventListener('abort', end)
    this.#wake = hears ? end : () => {}
    if (this.#signal.aborted || (hears && this.#isRung)) end()
    await pause(this.#timers, mostMs, early.signal).catch(() => undefined)
    this.#signal.removeEventListener('abort', end)
    this.#wake = () => {}
    if (this.#isRung && !this.#signal.aborted)
      await pause(this.#timers, WATCH_SETTLE_MS, this.#signal).catch(() => undefined)
    this.#isRung = false
  }
}
