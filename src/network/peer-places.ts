/**
 * Which peers may be connected to this node: places for connections, divided between hosts.
 *
 * Guarantees: connections that have not shown their peer id, and peers that connected on their own, each stay within a
 * bound. A host with many places loses places to a host with few; peers that support no protocol of this node lose theirs
 * first. Configured peers always have a place, and no stranger can take it. A host is an IPv4 address or an IPv6 network of 64 bits.
 * The hosts of one network of 24 bits (IPv6: 56) never hold all places together.
 * Not guaranteed: a fair division with a party that has many networks.
 */
import type { Connection, ConnectionGater, MultiaddrConnection, PeerId } from '@libp2p/interface'

import type { Clock, Timers } from '../platform/environment.ts'
import { hostOf } from '../shares/host.ts'
import { Rates } from '../shares/rates.ts'
import type { RateLimits } from '../shares/rates.ts'
import { Shares } from '../shares/shares.ts'
import type { Activity, Hold, ShareLimits, Source } from '../shares/types.ts'
import { reachOf, siteOf } from './reach.ts'
import { createSitePlaces } from './site-places.ts'

export interface PeerPlaceLimits {
  /** Rate of new inbound connections. Each costs a handshake, about a millisecond of CPU. */
  readonly arrivals: RateLimits
  /** Inbound connections that have not shown their peer id. */
  readonly handshakes: ShareLimits
  /** Inbound connections of peers that are not configured. */
  readonly strangers: ShareLimits
  /** Most of `handshakes`, and of `strangers`, for the hosts of one network of 24 bits (IPv6: 56). */
  readonly handshakesPerSite: number
  readonly strangersPerSite: number
  /** Most connections with one peer. A new one replaces the oldest, which may be broken. */
  readonly connectionsPerPeer: number
  /** A peer that has not used a protocol of this node within this time is disconnected; milliseconds. */
  readonly proveMs: number
}

/** Why an inbound connection was refused or closed. */
type PeerPlaceLoss = 'rate' | 'handshakes' | 'places' | 'evicted' | 'unproven' | 'too_many_of_peer'

export type PeerPlaces = ReturnType<typeof createPeerPlaces>

/** Many nodes, or a tunnel from elsewhere, may use loopback. Other addresses of this machine are ordinary hosts. */
const LOOPBACK: readonly string[] = ['127.0.0.1', '::1']

/** @param components.isRefused whether the peer is refused because it broke the rules recently */
export function createPeerPlaces(
  components: {
    readonly clock: Clock
    readonly timers: Timers
    readonly isConfigured: (peer: PeerId) => boolean
    readonly isRefused: (peer: PeerId) => boolean
  },
  limits: PeerPlaceLimits,
) {
  const { clock, timers, isConfigured, isRefused } = components
  const arrivals = new Rates(limits.arrivals, clock)
  const handshakes = new Shares(limits.handshakes)
  const strangers = new Shares(limits.strangers)
  const siteHandshakes = createSitePlaces(limits.handshakesPerSite)
  const siteStrangers = createSitePlaces(limits.strangersPerSite)
  const perPeer = new Shares({
    total: Number.MAX_SAFE_INTEGER,
    perKey: limits.connectionsPerPeer,
    reserve: 0,
    small: 1,
    replacesIdle: true,
  })
  /** What ends the handshake of a connection. */
  const handshakeOf = new WeakMap<MultiaddrConnection, () => void>()
  /** Places of connected strangers, by peer id. */
  const places = new Map<string, Set<Hold>>()
  const provenPeers = new Set<string>()
  /** Connections closed or refused since the start, by reason. */
  const losses = new Map<PeerPlaceLoss, number>()

  function lose(reason: PeerPlaceLoss): true {
    losses.set(reason, (losses.get(reason) ?? 0) + 1)
    return true
  }

  function cut(connection: MultiaddrConnection, reason: PeerPlaceLoss): void {
    lose(reason)
    connection.abort(new Error(`The connection made room for others: ${reason}.`))
  }

  /** Whether a new inbound connection is refused. */
  function arrives(connection: MultiaddrConnection): boolean {
    const source = sourceOfAddress(connection.remoteAddr)
    if (arrivals.take(source) > 0) return lose('rate')
    const evict = (): void => cut(connection, 'handshakes')
    const leaveSite = siteHandshakes.take(siteOfAddress(connection.remoteAddr), source.key, evict)
    if (leaveSite === undefined) return lose('handshakes')
    const hold = handshakes.take(source, 1, evict)
    if (typeof hold === 'string') {
      leaveSite()
      return lose('handshakes')
    }
    hold.mark('idle')
    const release = (): void => {
      hold.release()
      leaveSite()
    }
    handshakeOf.set(connection, release)
    connection.addEventListener('close', release)
    return false
  }

  /** Whether an inbound connection is refused, now that it has shown its peer id. */
  function arrived(peer: PeerId, connection: MultiaddrConnection): boolean {
    handshakeOf.get(connection)?.()
    // It broke during the handshake, and its end will not be reported.
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
    const source = sourceOfAddress(connection.remoteAddr)
    const evict = (): void => cut(connection, 'evicted')
    const leaveSite = siteStrangers.take(siteOfAddress(connection.remoteAddr), source.key, evict)
    const hold = leaveSite === undefined ? 'full' : strangers.take(source, 1, evict)
    if (leaveSite === undefined || typeof hold === 'string') {
      leaveSite?.()
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
      leaveSite()
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

  const gater: ConnectionGater = {
    // Any address may be dialled, private ones too: nodes may run in a private network.
    denyDialMultiaddr: () => false,
    denyInboundConnection: arrives,
    denyInboundEncryptedConnection: arrived,
    denyOutboundEncryptedConnection: isRefused,
  }
  return {
    gater,
    /** The peer supports a protocol of this node. */
    proven(peer: PeerId) {
      const id = peer.toString()
      if (!places.has(id)) return
      provenPeers.add(id)
      mark(id, 'busy')
    },
    /** The peer has brought something new, or syncs: its place is the last of its host to be evicted. */
    active: (peer: string) => mark(peer, 'busy'),
    /** The peer has broken rules: its place is the first of its host to be evicted. */
    offended: (peer: string) => mark(peer, 'idle'),
    losses,
  }
}

function siteOfAddress(address: Connection['remoteAddr']): string | undefined {
  const reach = reachOf(address)
  return reach === undefined ? undefined : siteOf(reach)
}

/** The host behind the address of a connection. */
export function sourceOfAddress(address: Connection['remoteAddr']): Source {
  const key = hostOf(address.getComponents()[0]?.value ?? '')
  return { key, isShared: LOOPBACK.includes(key) }
}
