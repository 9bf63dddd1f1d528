import { LRUCache } from 'lru-cache'
import type { Environment } from '../platform/environment.ts'
import type { RecordId } from '../record/types.ts'
import { fraction } from './delays.ts'
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
export class Gaps {
  readonly #components: GapComponents
  readonly #delayMs: number
  /** Created when something goes missing, because it reserves the memory for all of its entries at once. */
  #asked: LRUCache<string, true> | undefined
  readonly #waiting = new Map<string, Uint8Array>()
  readonly #tried = new Set<PeerState>()
  #cancel: (() => void) | null = null
  #postponed = 0
  #broughtBefore = 0
  #isAsking = false

  constructor(components: GapComponents, delayMs: number) {
    this.#components = components
    this.#delayMs = delayMs
  }

  add(ids: readonly RecordId[]): void {
    const asked = (this.#asked ??= new LRUCache<string, true>({ max: MAX_ASKED }))
    for (const text of ids) {
      const id = idBytes(text)
      const key = idKey(id)
      if (asked.has(key) || this.#waiting.size >= MAX_WAITING) continue
      asked.set(key, true)
      this.#waiting.set(key, id)
    }
    this.#arm()
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = null
    this.#waiting.clear()
  }

  #arm(): void {
    if (this.#cancel !== null || this.#isAsking || this.#waiting.size === 0) return
    this.#cancel = this.#components.environment.timers.after(this.#delayMs, () => {
      this.#cancel = null
      void this.#ask()
    })
  }

  async #ask(): Promise<void> {
    await this.#drop()
    if (this.#waiting.size === 0) return this.#rest()
    const peer = this.#choose()
    if (peer === undefined) {
      this.#postponed += 1
      if (this.#postponed > MAX_POSTPONED) this.#rest()
      return this.#arm()
    }
    this.#isAsking = true
    this.#tried.add(peer)
    const ids = [...this.#waiting.values()]
    await this.#components.fetch(peer, ids)
    this.#isAsking = false
    this.#postponed = 0
    await this.#drop()
    if (this.#waiting.size === 0) this.#tried.clear()
    // Ids that were added meanwhile may be dropped too; the timer handles those.
    if (this.#tried.size >= MAX_PEERS) this.#rest()
    this.#arm()
  }

  #rest(): void {
    this.#waiting.clear()
    this.#tried.clear()
    this.#postponed = 0
  }

  /** Removes ids that arrived in the meantime, or that would be refused. */
  async #drop(): Promise<void> {
    const { source, refusals } = this.#components
    const waiting = [...this.#waiting]
    const held = await source.held(waiting.map(([, id]) => id))
    for (const [at, [key]] of waiting.entries()) {
      if (held[at] === true || refusals.blocks(key)) this.#waiting.delete(key)
    }
  }

  #choose(): PeerState | undefined {
    const { free, brought, environment } = this.#components
    const isFlowing = brought() > this.#broughtBefore
    this.#broughtBefore = brought()
    if (isFlowing && this.#postponed < MAX_POSTPONED) return undefined
    const peers = free().filter((peer) => !this.#tried.has(peer))
    return peers[Math.floor(fraction(environment.random) * peers.length)]
  }
}

function idBytes(text: RecordId): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, at) => Number.parseInt(text.slice(2 + at * 2, 4 + at * 2), 16))
}
