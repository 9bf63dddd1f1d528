import { resolve4, resolve6 } from 'node:dns/promises'

import type { Libp2p, PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { multiaddr } from '@multiformats/multiaddr'

import type { Clock } from '../platform/environment.ts'
import { Rates } from '../shares/rates.ts'
import type { RateLimits } from '../shares/rates.ts'
import { sourceOfAddress } from './peer-places.ts'
import type { SignedPeer } from './peer-record.ts'
import { reachOf, scopeOfIp } from './reach.ts'

export interface ProberLimits {
  /** Rate of dials to addresses that strangers told: to one host, and to all. A node is no tool to flood a third party. */
  readonly dials: RateLimits
  readonly timeoutMs: number
}

export type Prober = ReturnType<typeof createProber>

/**
 * Finds out whether a peer answers at an address, by a handshake under a peer id of its own: the peers of this node and its
 * gossip are not touched, and the connection is closed at once.
 *
 * @param components.createNode makes a libp2p node that only dials; it is made when it is first needed
 */
export function createProber(
  { clock, createNode }: { readonly clock: Clock; readonly createNode: () => Promise<Libp2p> },
  limits: ProberLimits,
) {
  const dials = new Rates(limits.dials, clock)
  let node: Promise<Libp2p> | undefined

  return {
    /** The addresses of a record that may be dialled now: not those whose host's rate is used up, nor names that are not public. */
    async allowed({ addresses }: SignedPeer): Promise<Multiaddr[]> {
      const allowed: Multiaddr[] = []
      for (const address of addresses) {
        if (dials.take(sourceOfAddress(address)) > 0) continue
        if (await leadsToPublicHost(address)) allowed.push(address)
      }
      return allowed
    },
    /** The first of the addresses at which the peer, proven by its key, answers. Never throws. */
    async probe(peer: PeerId, addresses: readonly Multiaddr[]): Promise<Multiaddr | undefined> {
      node ??= createNode()
      const libp2p = await node
      for (const address of addresses) {
        try {
          const signal = AbortSignal.timeout(limits.timeoutMs)
          const connection = await libp2p.dial(withPeer(address, peer), { signal, force: true })
          connection.abort(new Error('It works.'))
          return address
        } catch {
          // The next address may work.
        } finally {
          // libp2p remembers every peer that it dialled.
          await libp2p.peerStore.delete(peer).catch(() => undefined)
        }
      }
      return undefined
    },
    async stop(): Promise<void> {
      await (await node)?.stop()
    },
  }
}

/** The address with `/p2p/<peer id>`: libp2p then ends a connection to any other peer. */
export function withPeer(address: Multiaddr, peer: PeerId): Multiaddr {
  return multiaddr(`${address.toString()}/p2p/${peer.toString()}`)
}

/** False for a name that leads to a private address: a stranger must not direct this node into the operator's network. */
async function leadsToPublicHost(address: Multiaddr): Promise<boolean> {
  const reach = reachOf(address)
  if (reach === undefined) return false
  if (!reach.isName) return true
  const found = await Promise.all([resolve4(reach.host), resolve6(reach.host)].map((query) => query.catch(() => [])))
  const ips = found.flat()
  return ips.length > 0 && ips.every((ip) => scopeOfIp(ip) === 'public')
}
