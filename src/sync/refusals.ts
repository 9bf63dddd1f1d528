import { backOffMs } from '../platform/back-off.ts'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../platform/environment.ts'

/** Ids remembered by one node: about 10 MB. */
const REFUSALS_CAPACITY = 65_536
const FIRST_RETRY_MS = 60_000
const LAST_RETRY_MS = 600_000
/** When a peer may offer a record again to a node that takes none now. */
const CLOSED_RETRY_S = 60

interface Entry {
  /** Times that it was refused. */
  readonly times: number
  /** By the node's clock. */
  readonly untilMs: number
  /** Longest possible wait. A longer one means that the clock was set back; then the wait is over. */
  readonly mostMs: number
}

/**
 * Ids that must not be requested or offered before some time. The number is bounded; the least recently used are removed first.
 * They are in memory only, so a restart asks once more.
 */
export interface Refusals {
  readonly size: number
  /** Whether this node takes no records at all now. Then every id is blocked. */
  readonly isClosed: boolean
  /** Whether an id is blocked now. Keys are those of `idKey`. */
  blocks(key: string): boolean
  /** Blocks for good, as long as it is remembered. */
  forever(key: string): void
  /** Blocks until a time of the node's clock, in milliseconds. */
  until(key: string, untilMs: number): void
  /** Blocks for some milliseconds, without counting an attempt. */
  during(key: string, delayMs: number): void
  /** Blocks for a minute, twice as long each time, up to ten minutes. Returns how many times it was blocked. */
  forAWhile(key: string): number
  /** When to try again, in whole seconds from now and at least 1; 0: never; undefined: now. */
  retrySeconds(key: string): number | undefined
  forget(key: string): void
  /** Removes all, because the node's policy has changed. */
  clear(): void
  /** How often `clear` was called. A result from before the last call says nothing about the current policy. */
  readonly generation: number
}

/** @param isClosed whether this node takes no records at all now */
export function createRefusals(
  clock: Clock,
  capacity: number = REFUSALS_CAPACITY,
  isClosed: () => boolean = () => false,
): Refusals {
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
    get isClosed() {
      return isClosed()
    },
    blocks: (key) => isClosed() || restMs(made?.get(key)) > 0,
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
      if (rest === 0) return isClosed() ? CLOSED_RETRY_S : undefined
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
