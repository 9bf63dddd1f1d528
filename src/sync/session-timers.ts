import type { Environment } from '../platform/environment.ts'
import { between, jittered } from '../platform/back-off.ts'
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
export function createSessionTimers(
  { timers, random }: Pick<Environment, 'timers' | 'random'>,
  intervalMs: number,
  onDue: (peer: PeerState) => void,
) {
  /** Sets the next session to `delayMs` from now, whatever was set before. Ignores peers that are not connected. */
  function arm(peer: PeerState, delayMs: number): void {
    if (!peer.isConnected) return
    cancel(peer)
    peer.cancelDue = timers.after(delayMs, () => {
      peer.cancelDue = null
      onDue(peer)
    })
  }

  /** As `arm`, with some jitter. */
  function armAbout(peer: PeerState, delayMs: number): void {
    arm(peer, jittered(random, delayMs))
  }

  function armBetween(peer: PeerState, [leastMs, mostMs]: readonly [number, number]): void {
    arm(peer, between(random, leastMs, mostMs))
  }

  function armInterval(peer: PeerState): void {
    if (peer.isNudged) armBetween(peer, NUDGE_MS)
    else armAbout(peer, intervalMs)
    peer.isNudged = false
  }

  function cancel(peer: PeerState): void {
    peer.cancelDue?.()
    peer.cancelDue = null
  }

  return { arm, armAbout, armBetween, armInterval, cancel }
}
