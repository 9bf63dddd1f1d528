/**
 * Who may be connected to this node: places for peers, divided between hosts.
 *
 * Guarantees: connections that have not shown their peer id, and peers that connected on their own, each stay within a
 * bound; a host that holds much loses places to a host that holds little, those that speak no protocol of this node first;
 * configured peers always have a place, and no stranger can take it. A host is an IPv4 address or an IPv6 network of 64 bits.
 * Not guaranteed: a fair division with a party that has many hosts.
 */
import type { Connection, ConnectionGater, MultiaddrConnection, PeerId } from '@libp2p/interface'

import type { Clock, Timers } from '../platform/environment.ts'
import { hostOf } from '../shares/host.ts'
import { Rates } from '../shares/rates.ts'
import type { RateLimits } from '../shares/rates.ts'
import { Shares } from '../shares/shares.ts'
import type { Activity, Hold, ShareLimits, Source } from '../shares/types.ts'

export interface PeerPlaceLimits {
  /** New connections from others: each costs a handshake, about a millisecond of CPU. */
  readonly arrivals: RateLimits
  /** Connections from others that have not shown their peer id. */
  readonly handshakes: ShareLimits
  /** Connections that peers made which are not configured. */
  readonly strangers: ShareLimits
  /** Connections with one peer. The oldest is closed for a new one: it may be the rest of one that broke. */
  readonly connectionsPerPeer: number
  /** A peer that has not shown a protocol of this node after so long is cut off, in milliseconds. */
  readonly proveMs: number
}

/** Why a connection from another host was not taken, or was closed. */
export type PeerPlaceLoss = 'rate' | 'handshakes' | 'places' | 'evicted' | 'unproven' | 'too_many_of_peer'

export interface PeerPlaces {
  readonly gater: ConnectionGater
  /** The peer speaks a protocol of this node. */
  proven(peer: PeerId): void
  /** The peer has brought something new, or syncs: of its host's places, its own is the last to go. */
  active(peer: string): void
  /** The peer has broken rules: of its host's places, its own is the first to go. */
  offended(peer: string): void
  /** Connections lost or not taken since the start, by reason. */
  readonly losses: ReadonlyMap<PeerPlaceLoss, number>
}

export interface PeerPlaceComponents {
  readonly clock: Clock
  readonly timers: Timers
  readonly isConfigured: (peer: PeerId) => boolean
  /** Whether the peer broke the rules not long ago. */
  readonly isRefused: (peer: PeerId) => boolean
}

/** Many nodes, or a tunnel to all others, may stand behind loopback. Other addresses of this machine are hosts like any. */
const LOOPBACK: readonly string[] = ['127.0.0.1', '::1']

export function createPeerPlaces(components: PeerPlaceComponents, limits: PeerPlaceLimits): PeerPlaces {
  const { clock, timers, isConfigured, isRefused } = components
  const arrivals = new Rates(limits.arrivals, clock)
  const handshakes = new Shares(limits.handshakes)
  const strangers = new Shares(limits.strangers)
  const perPeer = new Shares({
    total: Number.MAX_SAFE_INTEGER,
    perKey: limits.connectionsPerPeer,
    reserve: 0,
    small: 1,
    replacesIdle: true,
  })
  const handshakeOf = new WeakMap<MultiaddrConnection, Hold>()
  /** Places of connected strangers, by peer id. */
  const places = new Map<string, Set<Hold>>()
  const provenPeers = new Set<string>()
  const losses = new Map<PeerPlaceLoss, number>()

  function lose(reason: PeerPlaceLoss): true {
    losses.set(reason, (losses.get(reason) ?? 0) + 1)
    return true
  }

  function cut(connection: MultiaddrConnection, reason: PeerPlaceLoss): void {
    lose(reason)
    connection.abort(new Error(`The connection made room for others: ${reason}.`))
  }

  /** A connection came in: whether it is refused. */
  function arrives(connection: MultiaddrConnection): boolean {
    const source = sourceOfAddress(connection.remoteAddr)
    if (arrivals.take(source) > 0) return lose('rate')
    const hold = handshakes.take(source, 1, () => cut(connection, 'handshakes'))
    if (typeof hold === 'string') return lose('handshakes')
    hold.mark('idle')
    handshakeOf.set(connection, hold)
    connection.addEventListener('close', () => hold.release())
    return false
  }

  /** A connection that came in has shown its peer id: whether it is refused. */
  function arrived(peer: PeerId, connection: MultiaddrConnection): boolean {
    handshakeOf.get(connection)?.release()
    // It broke during the handshake, and its end would not be told any more.
    if (connection.status !== 'open') return true
    if (isRefused(peer) || !isWithinPeerBound(peer, connection)) return true
    return isConfigured(peer) ? false : !hasPlace(peer, connection)
  }

  function isWithinPeerBound(peer: PeerId, connection: MultiaddrConnection): boolean {
    const hold = perPeer.take({ key: peer.toString() }, 1, () => cut(connection, 'too_many_of_peer'))
    if (typeof hold === 'string') return false
    hold.mark('idle')
    connection.addEventListener('close', () => hold.release())
    return true
  }

  function hasPlace(peer: PeerId, connection: MultiaddrConnection): boolean {
    const hold = strangers.take(sourceOfAddress(connection.remoteAddr), 1, () => cut(connection, 'evicted'))
    if (typeof hold === 'string') {
      lose('places')
      return false
    }
    const id = peer.toString()
    hold.mark(provenPeers.has(id) ? 'busy' : 'idle')
    const own = places.get(id) ?? new Set()
    places.set(id, own.add(hold))
    const cancel = timers.after(limits.proveMs, () => {
      if (!provenPeers.has(id)) cut(connection, 'unproven')
    })
    connection.addEventListener('close', () => {
      cancel()
      hold.release()
      own.delete(hold)
      if (own.size > 0 || places.get(id) !== own) return
      places.delete(id)
      provenPeers.delete(id)
    })
    return true
  }

  function mark(peer: string, activity: Activity): void {
    for (const hold of places.get(peer) ?? []) hold.mark(activity)
  }

  return {
    gater: {
      // Any address may be dialled, private ones too: a node may well live in a private network.
      denyDialMultiaddr: () => false,
      denyInboundConnection: arrives,
      denyInboundEncryptedConnection: arrived,
      denyOutboundEncryptedConnection: isRefused,
    },
    proven(peer) {
      const id = peer.toString()
      if (!places.has(id)) return
      provenPeers.add(id)
      mark(id, 'busy')
    },
    active: (peer) => mark(peer, 'busy'),
    offended: (peer) => mark(peer, 'idle'),
    losses,
  }
}

/** The host behind the address of a connection. */
export function sourceOfAddress(address: Connection['remoteAddr']): Source {
  const key = hostOf(address.getComponents()[0]?.value ?? '')
  return { key, isShared: LOOPBACK.includes(key) }
}
