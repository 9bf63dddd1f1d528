import type { Clock } from '../platform/environment.ts'
import { TokenBucket, type Rate } from '../shares/rates.ts'
import { createHealthKeeper, type HealthKeeper } from './health.ts'
import { newPeerMemory, type PeerMemory, type SessionProgress } from './session.ts'

/** Most disconnected peers that are remembered. */
const MAX_GONE = 256
/** Sessions that a peer may open. */
const INBOUND_RATE: Rate = { burst: 8, refillMs: 1_000 }

/** A current session. */
export interface Running {
  readonly controller: AbortController
  readonly progress: SessionProgress
  /** Whether the session has had its turn and must make room for waiting ones. */
  isLong: boolean
}

/** What the scheduler knows about a peer. */
export class PeerState {
  readonly id: string
  readonly memory: PeerMemory
  readonly health: HealthKeeper
  isConnected = false
  /** The number of the last session that this node opened with it, counted over all peers; 0 before the first. */
  lastTurn = 0
  outbound: Running | null = null
  inbound: Running | null = null
  /** Set while a timer runs to the next session. */
  cancelDue: (() => void) | null = null
  /** Whether something happened meanwhile that asks for another session soon. */
  isNudged = false
  readonly #calls: TokenBucket

  constructor(id: string, clock: Clock) {
    this.id = id
    this.#calls = new TokenBucket(INBOUND_RATE, clock)
    this.health = createHealthKeeper(clock)
    this.memory = newPeerMemory(clock)
  }

  get isBusy(): boolean {
    return this.outbound !== null || this.inbound !== null
  }

  /** Whether the peer may open one more session now. */
  mayCall(): boolean {
    return this.#calls.take(0) === 0
  }
}

/** The connected peers and some disconnected ones, in the order in which they connected. */
export class PeerTable {
  readonly #peers = new Map<string, PeerState>()
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get(id: string): PeerState {
    const known = this.#peers.get(id)
    if (known !== undefined) return known
    const made = new PeerState(id, this.#clock)
    this.#peers.set(id, made)
    this.#forget()
    return made
  }

  connected(): PeerState[] {
    return [...this.#peers.values()].filter(({ isConnected }) => isConnected)
  }

  all(): PeerState[] {
    return [...this.#peers.values()]
  }

  #forget(): void {
    const gone = this.all().filter((peer) => !peer.isConnected && !peer.isBusy)
    // The last one was made just now.
    for (const peer of gone.slice(0, -1).slice(0, Math.max(0, gone.length - 1 - MAX_GONE))) this.#peers.delete(peer.id)
  }
}
