import type { Libp2p, PeerId } from '@libp2p/interface'

import type { Logger } from '../observe/types.ts'
import { backOffMs } from '../platform/back-off.ts'
import type { Clock, Randomness } from '../platform/environment.ts'
import { messageOf } from '../platform/errors.ts'
import { shuffled } from './address-book.ts'
import { parseSeed, resolveSeed } from './seeds.ts'
import type { ResolveTxt, Seed } from './seeds.ts'

export interface SeedLimits {
  /** First wait before seeds are tried again, and the longest. */
  readonly retryMs: number
  readonly longestRetryMs: number
  readonly dialTimeoutMs: number
  /** Most seeds that are connected at a time: a few are enough to hear of peers. */
  readonly connections: number
}

/** Seeds that are out of reach are logged again after this time. */
const WARN_AGAIN_MS = 600_000
/** Longest reason in the log: part of it may come from the other side. */
const MAX_REASON_CHARACTERS = 300

/**
 * Connects to a few of the seeds, each at its first address that works, and tells the operator if one is out of reach.
 *
 * @throws NetworkError `invalid_address` for a seed that cannot be used
 */
export function createSeedDialler(
  components: {
    readonly clock: Clock
    readonly random: Randomness
    readonly logger: Logger
    readonly libp2p: Pick<Libp2p, 'dial' | 'getConnections'>
    readonly resolveTxt: ResolveTxt
  },
  texts: readonly string[],
  limits: SeedLimits,
) {
  const { clock, random, logger, libp2p, resolveTxt } = components
  const seeds = texts.map(parseSeed)
  const warnedAtMs = new Map<string, number>()
  /** The peer that answered for each seed. */
  const reachedPeers = new Map<string, PeerId>()
  let failures = 0
  let nextAtMs = 0
  let isBusy = false
  let stopped = false

  function isConnected({ text }: Seed): boolean {
    const known = reachedPeers.get(text)
    return known !== undefined && libp2p.getConnections(known).length > 0
  }

  async function reach(seed: Seed): Promise<boolean> {
    if (isConnected(seed)) return true
    let problem: unknown
    try {
      for (const { address } of await resolveSeed(seed, resolveTxt)) {
        if (stopped) return false
        try {
          const connection = await libp2p.dial(address, { signal: AbortSignal.timeout(limits.dialTimeoutMs) })
          reachedPeers.set(seed.text, connection.remotePeer)
          logger.debug({ seed: seed.text, peer: connection.remotePeer.toString() }, 'connected to a seed')
          return true
        } catch (error) {
          problem = error
        }
      }
    } catch (error) {
      problem = error
    }
    if (!stopped) fail(seed, messageOf(problem).slice(0, MAX_REASON_CHARACTERS))
    return false
  }

  function fail({ text }: Seed, reason: string): void {
    const now = clock.now()
    const level = now - (warnedAtMs.get(text) ?? Number.NEGATIVE_INFINITY) >= WARN_AGAIN_MS ? 'warn' : 'debug'
    if (level === 'warn') warnedAtMs.set(text, now)
    logger[level]({ seed: text, reason }, 'cannot reach a seed; the node tries again')
  }

  async function dialAll(): Promise<void> {
    isBusy = true
    // Each in the same part of the cases, and connected ones first, so that they count.
    const waiting = shuffled(seeds, random).toSorted((a, b) => Number(isConnected(b)) - Number(isConnected(a)))
    const reached: boolean[] = []
    async function reachNext(): Promise<void> {
      for (let seed = waiting.shift(); seed !== undefined; seed = waiting.shift()) {
        const isReached = await reach(seed)
        reached.push(isReached)
        if (isReached) return
      }
    }
    await Promise.all(Array.from({ length: limits.connections }, reachNext))
    isBusy = false
    failures = reached.includes(true) ? 0 : failures + 1
    nextAtMs = clock.now() + backOffMs(failures, limits.retryMs, limits.longestRetryMs)
  }

  return {
    /** Dials seeds until enough are connected, unless that was done a moment ago. */
    dial(): void {
      if (seeds.length > 0 && !isBusy && !stopped && clock.now() >= nextAtMs) void dialAll()
    },
    /** The next call of `dial` need not wait. */
    wake(): void {
      failures = 0
      nextAtMs = 0
    },
    stop(): void {
      stopped = true
    },
  }
}
