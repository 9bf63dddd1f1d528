/**
 * Finds nodes of the same network on the local link by mDNS (libp2p specs, discovery/mdns), under a service name of its own.
 *
 * Guarantees: only private addresses are announced and believed; a node that listens on this machine alone announces nothing; dials
 * are bounded by host, and so is the number of connections.
 */
import type { Libp2p, PeerInfo } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

import type { Logger } from '../observe/types.ts'
import type { Clock } from '../platform/environment.ts'
import { messageOf } from '../platform/errors.ts'
import { Rates } from '../shares/rates.ts'
import type { RateLimits } from '../shares/rates.ts'
import type { Libp2pParts } from './libp2p-parts.ts'
import type { OwnAddresses } from './own-addresses.ts'
import { sourceOfAddress } from './peer-places.ts'
import { withPeer } from './prober.ts'
import { reachOf } from './reach.ts'

export interface LocalNetworkLimits {
  /** How often the node asks the link. */
  readonly intervalMs: number
  /** Most connections that are made because of mDNS. */
  readonly connections: number
  readonly dials: RateLimits
  readonly dialTimeoutMs: number
}

/** The service name: nodes of other networks, and other programs, do not answer to it. */
function mdnsService(network: string): string {
  return `_avatar-kv-${network}._tcp.local`
}

export function createLocalNetwork(
  components: {
    readonly clock: Clock
    readonly logger: Logger
    readonly libp2p: Libp2p
    readonly parts: () => Libp2pParts
    readonly own: OwnAddresses
    readonly isRefused: (peer: string) => boolean
  },
  network: string,
  limits: LocalNetworkLimits,
) {
  const { clock, logger, libp2p, parts, own, isRefused } = components
  const dials = new Rates(limits.dials, clock)
  const dialing = new Set<string>()
  /** Peers that were found here. */
  const found = new Set<string>()
  let stopService: (() => Promise<void>) | undefined

  const privateAddresses = (): Multiaddr[] => own.all().filter((address) => reachOf(address)?.scope === 'private')

  async function dial({ id, multiaddrs }: PeerInfo): Promise<void> {
    const peer = id.toString()
    if (id.equals(libp2p.peerId) || dialing.has(peer) || isRefused(peer) || libp2p.getConnections(id).length > 0) return
    for (const each of found) if (!libp2p.getPeers().some((other) => other.toString() === each)) found.delete(each)
    if (found.size + dialing.size >= limits.connections) return
    const addresses = multiaddrs.filter(
      (address) => reachOf(address)?.scope === 'private' && dials.take(sourceOfAddress(address)) === 0,
    )
    if (addresses.length === 0) return
    dialing.add(peer)
    try {
      const signal = AbortSignal.timeout(limits.dialTimeoutMs)
      const connection = await libp2p.dial(
        addresses.map((address) => withPeer(address, id)),
        { signal },
      )
      found.add(peer)
      logger.info({ peer, address: connection.remoteAddr.toString() }, 'connected to a node on the local network')
    } catch (error) {
      logger.debug({ peer, reason: messageOf(error) }, 'cannot connect to a node on the local network')
      // libp2p remembers every peer that it dialled.
      if (libp2p.getConnections(id).length === 0) await libp2p.peerStore.delete(id).catch(() => undefined)
    } finally {
      dialing.delete(peer)
    }
  }

  return {
    /** Call this when the node listens. A link without multicast is no error: nothing is found there. */
    async start(): Promise<void> {
      if (privateAddresses().length === 0) return
      const { mdns } = await import('@libp2p/mdns')
      const service = mdns({ serviceTag: mdnsService(network), interval: limits.intervalMs })({
        logger: parts().logger,
        // Only what the local network may know.
        addressManager: {
          getAddresses: () => privateAddresses().map((address) => withPeer(address, libp2p.peerId)),
        } as unknown as Libp2pParts['addressManager'],
      })
      service.addEventListener('peer', ({ detail }) => void dial(detail))
      const { start, stop } = service as unknown as { start(): Promise<void>; stop(): Promise<void> }
      stopService = () => stop.call(service)
      await start.call(service)
    },
    async stop(): Promise<void> {
      await stopService?.()
    },
  }
}
