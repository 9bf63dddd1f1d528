/**
 * Keeps an avatar the same on two hosts, whichever of them it is written to.
 *
 * What both show is compared in every look: hosts that differ though nothing moves are read and given all anew, and where
 * that does not help either, it is told.
 */
import { backOffMs } from '../platform/back-off.ts'
import type { Timers } from '../platform/environment.ts'
import { MigrateError } from './errors.ts'
import { WATCH_MAX_PAUSE_MS, WATCH_POLL_MS, WATCH_SETTLE_MS } from './limits.ts'
import type { MigrationParts } from './migrate.ts'
import { refusalError } from './refusals.ts'
import type { Refusal, Side, Standing } from './types.ts'
import { pause } from './wait.ts'

/**
 * Looks in a row that moved nothing and found a host to show something else than it should, before nothing that is
 * remembered of it counts any more. One is not enough: a session with a peer that moved something ends unequal.
 */
const DOUBTED_LOOKS = 2

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
  const doubts = new Map<Side, number>()
  let failures = 0
  let told: string | undefined
  while (!signal.aborted) {
    try {
      await exchange(parts, listener, doubts)
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
    await bell.wait(backOffMs(failures, WATCH_POLL_MS, WATCH_MAX_PAUSE_MS), failures === 0)
  }
  await Promise.all(followers)
}

/**
 * One look at both, and what differs moved.
 *
 * @param doubts looks in a row in which a host was unequal and nothing moved
 */
async function exchange(
  { from, to, staging }: MigrationParts,
  listener: WatchListener,
  doubts: Map<Side, number>,
): Promise<void> {
  const trust = (side: Side) => ({ anew: doubts.get(side) === DOUBTED_LOOKS })
  const here = await from.take(trust(from))
  const there = await to.take(trust(to))
  const back = await from.give(trust(from))
  const on = await to.give(trust(to))
  const toTarget = on.added
  const toSource = back.added
  const standing = await staging.standing()
  const hasMoved = toTarget + toSource + here.added + there.added > 0
  if (hasMoved) listener.moved(toTarget, toSource, standing)
  throwRefused(to, on.refused)
  throwRefused(from, back.refused)
  for (const [side, { digest }] of [[from, here] as const, [to, there] as const]) {
    doubts.set(side, hasMoved || digest === standing?.digest ? 0 : (doubts.get(side) ?? 0) + 1)
  }
  for (const [{ name }, looks] of doubts) if (looks > DOUBTED_LOOKS) throw unequal(name)
}

function unequal(name: string): MigrateError {
  return new MigrateError(
    'target_unsound',
    `${name} shows another state than its records and those given to it make, also after all were read and given anew. ` +
      'It may be broken, or keep something back: ask its operator.',
  )
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
