import { backOffMs, between } from '../platform/back-off.ts'
import type { Connection, PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

import { messageOf } from '../platform/errors.ts'
import type { Environment } from '../platform/environment.ts'
import type { Logger } from '../observe/types.ts'

/** First wait after a failure; it doubles with each further failure. */
const FIRST_DELAY_MS = 1000

/** Longest wait: a peer that was away for long is found again within this time. */
const LONGEST_DELAY_MS = 60_000

/** A connection that ends sooner counts as a failure: the peer is full, or something disconnects this node. */
const STABLE_AFTER_MS = 10_000

/** A peer that stays unreachable is logged again after this time, so that a wrong address is not overlooked. */
const WARN_AGAIN_MS = 600_000

/** Longest reason in the log: part of it may come from the other side. */
const MAX_REASON_CHARACTERS = 300

/** Enough for DNS, TCP, Noise and Yamux over a bad line. */
const DIAL_TIMEOUT_MS = 15_000

interface Target {
  readonly address: Multiaddr
  peer: PeerId | undefined
  failures: number
  connectedAtMs: number
  warnedAtMs: number
  /** Cancels the current timer or dial. Undefined if connected or given up. */
  cancel: (() => void) | undefined
  /** Whether that is a timer. */
  isWaiting: boolean
}

/**
 * Keeps connections to the configured peers: dials all at the start, and again, without end, when one fails or is lost. It backs
 * off exponentially from 1 s to 60 s, half of it random, so that two nodes that lost each other do not dial in lockstep.
 *
 * @param targets addresses; the peer id is taken from the address, or from the node that answers there
 */
export function createRedial(
  components: {
    readonly environment: Environment
    readonly logger: Logger
    readonly dial: (address: Multiaddr, signal: AbortSignal) => Promise<Connection>
    /** Whether a connection to the peer is open, in either direction. */
    readonly isConnected: (peer: PeerId) => boolean
    /** Called for every peer that an address led to. */
    readonly onPeer: (peer: PeerId) => void
  },
  targets: readonly { readonly address: Multiaddr; readonly peer: PeerId | undefined }[],
) {
  const { environment, logger } = components
  const list: Target[] = targets.map(({ address, peer }) => ({
    address,
    peer,
    failures: 0,
    connectedAtMs: 0,
    warnedAtMs: Number.NEGATIVE_INFINITY,
    cancel: undefined,
    isWaiting: false,
  }))
  let stopped = false

  function dialLater(target: Target): void {
    const longest = backOffMs(target.failures, FIRST_DELAY_MS, LONGEST_DELAY_MS)
    const delayMs = between(environment.random, longest / 2, longest)
    target.isWaiting = true
    target.cancel = environment.timers.after(delayMs, () => void dialNow(target))
  }

  async function dialNow(target: Target): Promise<void> {
    target.isWaiting = false
    if (target.peer !== undefined && components.isConnected(target.peer)) {
      return connected(target, target.peer)
    }
    const abort = new AbortController()
    const cancelTimeout = environment.timers.after(DIAL_TIMEOUT_MS, () => abort.abort(new Error('no answer in time')))
    target.cancel = () => abort.abort(new Error('stopped'))
    try {
      const connection = await components.dial(target.address, abort.signal)
      if (stopped) return
      connected(target, connection.remotePeer)
    } catch (error) {
      if (!stopped) failed(target, error)
    } finally {
      cancelTimeout()
    }
  }

  function connected(target: Target, peer: PeerId): void {
    target.peer = peer
    target.cancel = undefined
    target.connectedAtMs = environment.clock.now()
    target.warnedAtMs = Number.NEGATIVE_INFINITY
    components.onPeer(peer)
    logger.info({ peer: peer.toString(), address: target.address.toString() }, 'connected to peer')
    // The connection may already be gone.
    if (!components.isConnected(peer)) lost(target)
  }

  function failed(target: Target, error: unknown): void {
    if (isSelfDial(error)) {
      target.cancel = undefined
      logger.warn({ address: target.address.toString() }, 'a configured peer is this node itself; not dialled again')
      return
    }
    const now = environment.clock.now()
    const level = now - target.warnedAtMs >= WARN_AGAIN_MS ? 'warn' : 'debug'
    if (level === 'warn') target.warnedAtMs = now
    const line = { address: target.address.toString(), reason: reasonOf(error) }
    logger[level](line, 'cannot connect to a configured peer; the node keeps trying')
    target.failures += 1
    dialLater(target)
  }

  function lost(target: Target): void {
    if (stopped || target.cancel !== undefined) return
    const lastedMs = environment.clock.now() - target.connectedAtMs
    target.failures = lastedMs < STABLE_AFTER_MS ? target.failures + 1 : 0
    const level = target.failures <= 1 ? 'info' : 'debug'
    logger[level](
      { peer: target.peer?.toString(), address: target.address.toString() },
      'connection to peer lost; dialling again',
    )
    dialLater(target)
  }

  return {
    start() {
      for (const target of list) void dialNow(target)
    },
    /** Call this when the last connection to a peer has closed. */
    disconnected(peer: PeerId): void {
      for (const target of list) {
        if (target.peer?.equals(peer) === true) lost(target)
      }
    },
    /** Dials at once all that wait, as after a change of this machine's addresses. */
    wake(): void {
      for (const target of list.filter(({ isWaiting }) => isWaiting)) {
        target.cancel?.()
        target.failures = 0
        void dialNow(target)
      }
    },
    /** Configured addresses without a connection now. */
    missing: () => list.filter(({ peer }) => peer === undefined || !components.isConnected(peer)).length,
    stop() {
      stopped = true
      for (const target of list) target.cancel?.()
    },
  }
}

/** Why a peer cannot be reached, and what the operator can do about it. */
function reasonOf(error: unknown): string {
  const text = messageOf(error)
  if (/\bENOTFOUND\b|\bENODATA\b/.test(text)) return 'no such host: check the address given with --peer'
  if (text.includes('does not match expected remote identity key')) {
    return 'a node with another peer id answers there: check the peer id in the address given with --peer'
  }
  return text.slice(0, MAX_REASON_CHARACTERS)
}

/** libp2p compares peer ids, at the latest after the Noise handshake; it has no error class of its own for this. */
function isSelfDial(error: unknown): boolean {
  return error instanceof Error && error.name === 'InvalidPeerIdError' && error.message === 'Can not dial self'
}
