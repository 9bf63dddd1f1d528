import type { GossipSubComponents } from '@chainsafe/libp2p-gossipsub'
import type { AddressManager, TransportManager } from '@libp2p/interface-internal'

/** Parts of libp2p that its own interface does not show. */
export type Libp2pParts = GossipSubComponents & {
  readonly transportManager: TransportManager
  readonly addressManager: AddressManager
}
