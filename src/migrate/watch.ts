/**
 * Keeps an avatar the same on two hosts, also while it is written to on both.
 *
 * Every look compares what both show. If a host differs though nothing moves, it is read and sent everything again. If it still
 * differs, the watch reports an error.
 */
import { backOffMs } from '../platform/back-off.ts'
import type { Timers } from '../platform/environment.ts'
import { MigrateError } from './errors.ts'
import { WATCH_MAX_PAUSE_MS, WATCH_POLL_MS, WATCH_SETTLE_MS } from './limits.ts'
import type { MigrationParts } from './migrate.ts'
import { refusalError } from './refusals.ts'
import type { Refusal, Side, AvatarStatus } from './types.ts'
import { pause } from './wait.ts'

/**
 * Looks in a row that moved nothing and found a wrong state on a host, after which everything is read and sent again. One is
 * not enough: a session with a peer that moved something ends unequal.
 */
const DOUBTED_LOOKS = 2

export interface WatchListener {
  /** Records were moved. @param status what both hold now */
  moved(toTarget: number, toSource: number, status: AvatarStatus | undefined): void
  /** A look failed; the watch goes on. The same problem is reported once. */
  failed(problem: string): void
  /** The first look after a failure worked. */
  recovered(): void
}

/** Runs until `parts.signal`. Whatever fails is reported and tried again. */
export async function watch(parts: MigrationParts, listener: WatchListener): Promise<void> {
  const { environment, from, to, signal } = parts
  const changes = new ChangeSignal(environment.timers, signal)
  const followers = [from, to].map((side) => follow(environment.timers, side, () => changes.notify(), signal))
  const doubts = new Map<Side, number>()
  let failures = 0
  let reported: string | undefined
  while (!signal.aborted) {
    try {
      await exchange(parts, listener, doubts)
      if (reported !== undefined) listener.recovered()
      failures = 0
      reported = undefined
    } catch (error) {
      if (signal.aborted) break
      if (!(error instanceof MigrateError)) throw error
      failures += 1
      if (reported !== error.message) listener.failed(error.message)
      reported = error.message
    }
    await changes.wait(backOffMs(failures, WATCH_POLL_MS, WATCH_MAX_PAUSE_MS), failures === 0)
  }
  await Promise.all(followers)
}

/**
 * Looks at both hosts and moves what differs.
 *
 * @param doubts looks in a row in which a host was unequal and nothing moved
 */
async function exchange(
  { from, to, staging }: MigrationParts,
  listener: WatchListener,
  doubts: Map<Side, number>,
): Promise<void> {
  const trust = (side: Side) => ({ fromStart: doubts.get(side) === DOUBTED_LOOKS })
  const here = await from.take(trust(from))
  const there = await to.take(trust(to))
  const back = await from.give(trust(from))
  const on = await to.give(trust(to))
  const toTarget = on.added
  const toSource = back.added
  const status = await staging.avatarStatus()
  const hasMoved = toTarget + toSource + here.added + there.added > 0
  if (hasMoved) listener.moved(toTarget, toSource, status)
  throwRefused(to, on.refused)
  throwRefused(from, back.refused)
  for (const [side, { digest }] of [[from, here] as const, [to, there] as const]) {
    doubts.set(side, hasMoved || digest === status?.digest ? 0 : (doubts.get(side) ?? 0) + 1)
  }
  for (const [{ name }, looks] of doubts) if (looks > DOUBTED_LOOKS) throw unequal(name)
}

function unequal(name: string): MigrateError {
  return new MigrateError(
    'target_unsound',
    `${name} shows another state than its records and those sent to it make, even after all were read and sent again. ` +
      'It may be broken, or withhold something. Ask its operator.',
  )
}

function throwRefused({ name }: Side, refused: ReadonlyMap<string, Refusal>): void {
  if (refused.size > 0) throw refusalError(name, refused)
}

/** Follows a host, and connects again when the connection ends. */
async function follow(timers: Timers, side: Side, changed: () => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await side.follow(changed, signal).catch(() => undefined)
    await pause(timers, WATCH_POLL_MS, signal).catch(() => undefined)
  }
}

/** Ends the pause between two looks when a host reports a change. */
class ChangeSignal {
  readonly #timers: Timers
  readonly #signal: AbortSignal
  #isNotified = false
  #wake: () => void = () => {}

  constructor(timers: Timers, signal: AbortSignal) {
    this.#timers = timers
    this.#signal = signal
  }

  notify(): void {
    this.#isNotified = true
    this.#wake()
  }

  /** @param endsEarly whether a change ends the wait */
  async wait(mostMs: number, endsEarly: boolean): Promise<void> {
    const early = new AbortController()
    const end = (): void => early.abort()
    this.#signal.addEventListener('abort', end)
    this.#wake = endsEarly ? end : () => {}
    if (this.#signal.aborted || (endsEarly && this.#isNotified)) end()
    await pause(this.#timers, mostMs, early.signal).catch(() => undefined)
    this.#signal.removeEventListener('abort', end)
    this.#wake = () => {}
    if (this.#isNotified && !this.#signal.aborted)
      await pause(this.#timers, WATCH_SETTLE_MS, this.#signal).catch(() => undefined)
    this.#isNotified = false
  }
}
