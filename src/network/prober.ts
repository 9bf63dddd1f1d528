import type { Libp2p, PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { multiaddr } from '@multiformats/multiaddr'

import type { Clock } from '../platform/environment.ts'
import { Rates } from '../shares/rates.ts'
import type { RateLimits } from '../shares/rates.ts'
import { sourceOfAddress } from './peer-places.ts'
import type { SignedPeer } from './peer-record.ts'
import { pinnedAddresses } from './pinned-addresses.ts'
import type { ResolveHost } from './pinned-addresses.ts'

export interface ProberLimits {
  /** Rate of dials to addresses that strangers told: to one host, and to all. A node is no tool to flood a third party. */
  readonly dials: RateLimits
  readonly timeoutMs: number
}

/** An address of a record, and where it leads now: see `pinnedAddresses`. */
export interface Probe {
  readonly told: Multiaddr
  readonly pinned: Multiaddr
}

export type Prober = ReturnType<typeof createProber>

/**
 * Finds out whether a peer answers at an address, by a handshake under a peer id of its own: the peers of this node and its
 * gossip are not touched, and the connection is closed at once.
 *
 * @param components.createNode makes a libp2p node that only dials; it is made when it is first needed
 */
export function createProber(
  components: {
    readonly clock: Clock
    readonly createNode: () => Promise<Libp2p>
    readonly resolveHost: ResolveHost
  },
  limits: ProberLimits,
) {
  const { clock, createNode, resolveHost } = components
  const dials = new Rates(limits.dials, clock)
  let node: Promise<Libp2p> | undefined

  return {
    /** The addresses of a record that may be dialled now: not those whose host's rate is used up, nor names that are not public. */
    async allowed({ addresses }: SignedPeer): Promise<Probe[]> {
      const allowed: Probe[] = []
      for (const told of addresses) {
        for (const pinned of await pinnedAddresses(told, resolveHost)) {
          // The rate is that of the host that is dialled: any number of names may lead to it.
          if (dials.take(sourceOfAddress(pinned)) === 0) allowed.push({ told, pinned })
        }
      }
      return allowed
    },
    /** The first of the addresses, as it was told, at which the peer, proven by its key, answers. Never throws. */
    async probe(peer: PeerId, probes: readonly Probe[]): Promise<Multiaddr | undefined> {
      node ??= createNode()
      const libp2p = await node
      for (const { told, pinned } of probes) {
        try {
          const signal = AbortSignal.timeout(limits.timeoutMs)
          const connection = await libp2p.dial(withPeer(pinned, peer), { signal, force: true })
          connection.abort(new Error('It works.'))
          return told
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
