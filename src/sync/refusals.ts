import { backOffMs } from '../platform/back-off.ts'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../platform/environment.ts'

/** Ids remembered by one node: about 10 MB. */
const REFUSALS_CAPACITY = 65_536
const FIRST_RETRY_MS = 60_000
const LAST_RETRY_MS = 600_000

interface Entry {
  /** Times that it was refused. */
  readonly times: number
  /** By the node's clock. */
  readonly untilMs: number
  /** Whoever has longer to wait than this has seen the clock set back: it is over then. */
  readonly mostMs: number
}

/**
 * Ids that are not to be asked for, or offered, until some moment; bounded: the ones unused for longest are forgotten
 * first. In memory alone, so a restart asks once more.
 */
export interface Refusals {
  readonly size: number
  /** Whether an id is to be left alone now. Keys are those of `idKey`. */
  blocks(key: string): boolean
  /** For good, as far as memory goes. */
  forever(key: string): void
  /** Until a moment of the node's clock, in milliseconds. */
  until(key: string, untilMs: number): void
  /** For so many milliseconds, which counts as no try. */
  during(key: string, delayMs: number): void
  /** For a minute, and twice as long each time, up to ten minutes. Returns how many times that makes. */
  forAWhile(key: string): number
  /** When to try again, in whole seconds from now and at least 1; 0: never; undefined: now. */
  retrySeconds(key: string): number | undefined
  forget(key: string): void
  /** Forgets all: for when the node's policy has changed. */
  clear(): void
  /** How often that was: what was judged before it says nothing of what would be refused now. */
  readonly generation: number
}

export function createRefusals(clock: Clock, capacity: number = REFUSALS_CAPACITY): Refusals {
  // Made when something is refused: it takes the room for all it may hold at once, and most peers refuse nothing.
  let made: LRUCache<string, Entry> | undefined
  let generation = 0
  const entries = (): LRUCache<string, Entry> => (made ??= new LRUCache<string, Entry>({ max: capacity }))

  /** How long an entry still holds. */
  function restMs(entry: Entry | undefined): number {
    if (entry === undefined) return 0
    const rest = entry.untilMs - clock.now()
    return rest > entry.mostMs ? 0 : Math.max(0, rest)
  }

  return {
    get size() {
      return made?.size ?? 0
    },
    blocks: (key) => restMs(made?.get(key)) > 0,
    forever: (key) => void entries().set(key, { times: 1, untilMs: Infinity, mostMs: Infinity }),
    until: (key, untilMs) => void entries().set(key, { times: 1, untilMs, mostMs: Infinity }),
    during(key, delayMs) {
      entries().set(key, { times: 0, untilMs: clock.now() + delayMs, mostMs: delayMs })
    },
    forAWhile(key) {
      const times = (made?.get(key)?.times ?? 0) + 1
      const delayMs = backOffMs(times - 1, FIRST_RETRY_MS, LAST_RETRY_MS)
      entries().set(key, { times, untilMs: clock.now() + delayMs, mostMs: delayMs })
      return times
    },
    retrySeconds(key) {
      const rest = restMs(made?.get(key))
      if (rest === 0) return undefined
      return rest === Infinity ? 0 : Math.ceil(rest / 1_000)
    },
    forget: (key) => void made?.delete(key),
    clear() {
      made?.clear()
      generation += 1
    },
    get generation() {
      return generation
    },
  }
}
