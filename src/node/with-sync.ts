import { multiaddr } from '@multiformats/multiaddr'

import { reachOf } from '../network/reach.ts'
import type { Network } from '../network/types.ts'
import type { Sync } from '../sync/sync.ts'

/** The network for the HTTP part: peers together with the health of sync with each of them. */
export function withSync(network: Network, sync: Sync) {
  return {
    peerId: network.peerId,
    addresses: () => network.addresses(),
    reachability: () => network.reachability(),
    publicAddresses: () => network.addresses().filter((address) => reachOf(multiaddr(address))?.scope === 'public'),
    peers() {
      const all = new Map(sync.peers().map(({ peer_id, ...health }) => [peer_id, health]))
      return network.peers().map((peer) => ({ ...peer, sync: all.get(peer.peer_id) ?? null }))
    },
  }
}
