import type { PeerId, PrivateKey } from '@libp2p/interface'
import type { TransportManager } from '@libp2p/interface-internal'
import type { Multiaddr } from '@multiformats/multiaddr'

import type { Clock } from '../platform/environment.ts'
import { sealPeerRecord } from './peer-record.ts'
import { reachOf } from './reach.ts'
import type { Scope } from './reach.ts'

export type OwnAddresses = ReturnType<typeof createOwnAddresses>

/** The addresses at which this node can be dialled, and the records that it signs about them: one for each scope. */
export function createOwnAddresses(components: {
  readonly clock: Clock
  readonly privateKey: PrivateKey
  readonly peerId: PeerId
  /** Addresses that the operator states, without `/p2p/<peer id>`. */
  readonly announced: readonly Multiaddr[]
  readonly transports: () => Pick<TransportManager, 'getAddrs'>
}) {
  const { clock, privateKey, peerId, announced, transports } = components
  const records = new Map<Scope, { readonly text: string; readonly bytes: Promise<Uint8Array> }>()
  /** Addresses at which peers were seen to reach this node. */
  let learned: readonly Multiaddr[] = []
  let lastSeq = 0n

  function all(): Multiaddr[] {
    const found = [...announced, ...transports().getAddrs(), ...learned]
    return [...new Map(found.map((address) => [address.toString(), address])).values()]
  }

  function nextSeq(): bigint {
    const now = BigInt(clock.now())
    lastSeq = now > lastSeq ? now : lastSeq + 1n
    return lastSeq
  }

  return {
    /** Without `/p2p/<peer id>`. */
    all,
    announced,
    /** Addresses of this machine. */
    listening: (): Multiaddr[] => transports().getAddrs(),
    /** Replaces the addresses at which peers were seen to reach this node. */
    learn(addresses: readonly Multiaddr[]): void {
      learned = addresses
    },
    /** With `/p2p/<peer id>`. */
    list: (): string[] => all().map((address) => `${address.toString()}/p2p/${peerId.toString()}`),
    /** This node's own signed record for peers in a scope; undefined if no address of the node is in it. */
    record(scope: Scope): Promise<Uint8Array> | undefined {
      const own = all().filter((address) => reachOf(address)?.scope === scope)
      if (own.length === 0) return undefined
      const text = own.join()
      const known = records.get(scope)
      if (known?.text === text) return known.bytes
      const bytes = sealPeerRecord(privateKey, own, nextSeq())
      records.set(scope, { text, bytes })
      return bytes
    },
  }
}
