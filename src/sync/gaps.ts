import { LRUCache } from 'lru-cache'
import type { Environment } from '../platform/environment.ts'
import { hexBytes } from '../record/hex.ts'
import type { RecordId } from '../record/types.ts'
import { fraction } from '../platform/back-off.ts'
import { idKey } from './ids.ts'
import type { PeerState } from './peers.ts'
import type { Refusals } from './refusals.ts'
import type { SyncSource } from '../store/types.ts'

/** Missing ids that are remembered as asked for; older ones are forgotten. */
const MAX_ASKED = 65_536
/** Most missing ids that wait to be requested. The timer handles more. */
const MAX_WAITING = 4_096
/** Most peers that are asked for one id. */
const MAX_PEERS = 3
/** How often a request is postponed while a session brings records, or no peer is free. */
const MAX_POSTPONED = 10

export interface GapComponents {
  readonly source: Pick<SyncSource, 'held'>
  readonly environment: Pick<Environment, 'timers' | 'random'>
  readonly refusals: Refusals
  /** Peers that could be asked now. */
  readonly free: () => readonly PeerState[]
  /** A number that grows with every record that a session brings. */
  readonly brought: () => number
  /** Asks one peer; resolves when it has answered, or failed to. */
  readonly fetch: (peer: PeerState, ids: readonly Uint8Array[]) => Promise<void>
}

/**
 * Requests ids that newly went missing, once: from one peer, then from two others if it does not have them. The next session on
 * the timer handles the rest.
 */
export function createGaps({ source, environment, refusals, free, brought, fetch }: GapComponents, delayMs: number) {
  /** Created when something goes missing, because it reserves the memory for all of its entries at once. */
  let asked: LRUCache<string, true> | undefined
  const waiting = new Map<string, Uint8Array>()
  const tried = new Set<PeerState>()
  let cancel: (() => void) | null = null
  let postponed = 0
  let broughtBefore = 0
  let isAsking = false

  function add(ids: readonly RecordId[]): void {
    asked ??= new LRUCache<string, true>({ max: MAX_ASKED })
    for (const text of ids) {
      const id = hexBytes(text, 2)
      const key = idKey(id)
      if (asked.has(key) || waiting.size >= MAX_WAITING) continue
      asked.set(key, true)
      waiting.set(key, id)
    }
    arm()
  }

  function stop(): void {
    cancel?.()
    cancel = null
    waiting.clear()
  }

  function arm(): void {
    if (cancel !== null || isAsking || waiting.size === 0) return
    cancel = environment.timers.after(delayMs, () => {
      cancel = null
      void ask()
    })
  }

  async function ask(): Promise<void> {
    await drop()
    if (waiting.size === 0) return rest()
    const peer = choose()
    if (peer === undefined) {
      postponed += 1
      if (postponed > MAX_POSTPONED) rest()
      return arm()
    }
    isAsking = true
    tried.add(peer)
    const ids = [...waiting.values()]
    await fetch(peer, ids)
    isAsking = false
    postponed = 0
    await drop()
    if (waiting.size === 0) tried.clear()
    // Ids that were added meanwhile may be dropped too; the timer handles those.
    if (tried.size >= MAX_PEERS) rest()
    arm()
  }

  function rest(): void {
    waiting.clear()
    tried.clear()
    postponed = 0
  }

  /** Removes ids that arrived in the meantime, or that would be refused. */
  async function drop(): Promise<void> {
    const ids = [...waiting]
    const held = await source.held(ids.map(([, id]) => id))
    for (const [at, [key]] of ids.entries()) {
      if (held[at] === true || refusals.blocks(key)) waiting.delete(key)
    }
  }

  function choose(): PeerState | undefined {
    const isFlowing = brought() > broughtBefore
    broughtBefore = brought()
    if (isFlowing && postponed < MAX_POSTPONED) return undefined
    const peers = free().filter((peer) => !tried.has(peer))
    return peers[Math.floor(fraction(environment.random) * peers.length)]
  }

  return { add, stop }
}
