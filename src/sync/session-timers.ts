import type { Environment } from '../platform/environment.ts'
import { between, jittered } from './delays.ts'
import type { PeerState } from './peers.ts'

/** The side with the smaller id calls at once; the other side waits a little. */
export const CONNECT_MS = { first: [0, 50], second: [1_000, 1_500] } as const
/** After a peer that has a session just now, or too many with others. */
export const BUSY_MS = [1_000, 3_000] as const
export const FULL_MS = [4_000, 8_000] as const
/** Delay after gossip lost messages: it may lose many, and one session is enough for all. */
export const NUDGE_MS = [500, 1_500] as const
/** When a session of another kind has ended, during which this node's own became due. */
export const AFTER_OTHER_MS = [500, 1_500] as const

/** When the next session with each peer is due. */
export class SessionTimers {
  readonly #environment: Pick<Environment, 'timers' | 'random'>
  readonly #intervalMs: number
  readonly #onDue: (peer: PeerState) => void

  constructor(
    environment: Pick<Environment, 'timers' | 'random'>,
    intervalMs: number,
    onDue: (peer: PeerState) => void,
  ) {
    this.#environment = environment
    this.#intervalMs = intervalMs
    this.#onDue = onDue
  }

  /** Sets the next session to `delayMs` from now, whatever was set before. Ignores peers that are not connected. */
  arm(peer: PeerState, delayMs: number): void {
    if (!peer.isConnected) return
    this.cancel(peer)
    peer.cancelDue = this.#environment.timers.after(delayMs, () => {
      peer.cancelDue = null
      this.#onDue(peer)
    })
  }

  /** As `arm`, with some jitter. */
  armAbout(peer: PeerState, delayMs: number): void {
    this.arm(peer, jittered(this.#environment.random, delayMs))
  }

  armBetween(peer: PeerState, [leastMs, mostMs]: readonly [number, number]): void {
    this.arm(peer, between(this.#environment.random, leastMs, mostMs))
  }

  armInterval(peer: PeerState): void {
    if (peer.isNudged) this.armBetween(peer, NUDGE_MS)
    else this.armAbout(peer, this.#intervalMs)
    peer.isNudged = false
  }

  cancel(peer: PeerState): void {
    peer.cancelDue?.()
    peer.cancelDue = null
  }
}
