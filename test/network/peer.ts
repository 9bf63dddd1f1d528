import '../../src/platform/promise-with-resolvers.ts'

import { identify } from '@libp2p/identify'
import type { Identify } from '@libp2p/identify'
import type { Libp2p, PrivateKey } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import type { TCPSocketOptions } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

import { SYNC_PROTOCOL } from '../../src/network/peer-streams.ts'
import { until } from '../support/until.ts'
import { addressOf, stopLater, type TestNode } from './nodes.ts'

export type Peer = Libp2p<{ identify: Identify }>

export interface PeerOptions {
  /** The address of this machine to come from; on Linux all of 127.0.0.0/8 are. */
  readonly from: string
  readonly privateKey?: PrivateKey
  /** Whether it says that it speaks sync. Default true. */
  readonly speaks?: boolean
}

/** A peer that connects over TCP from an address of its own and does nothing more. Not connected yet. */
export async function createPeer({ from, privateKey, speaks = true }: PeerOptions): Promise<Peer> {
  const libp2p = await createLibp2p({
    ...(privateKey === undefined ? {} : { privateKey }),
    // Passed on to node:net, though its type does not name it.
    transports: [tcp({ dialOpts: { localAddress: from } as TCPSocketOptions })],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    // By itself it would ask at the same time as `getsIn`, and a connection has room for one such request.
    services: { identify: identify({ runOnConnectionOpen: false }) },
  })
  stopLater({ stop: async () => libp2p.stop() })
  if (speaks) await libp2p.handle(SYNC_PROTOCOL, (stream) => stream.abort(new Error('not now')))
  return libp2p
}

/**
 * Whether the node takes a new connection from the peer: whether it answers a request that is made over it. Resolves once the node knows
 * what the peer speaks, too.
 */
export async function getsIn(node: TestNode, libp2p: Peer): Promise<boolean> {
  try {
    const connection = await libp2p.dial(multiaddr(addressOf(node)), { force: true })
    await libp2p.services.identify.identify(connection)
    const id = libp2p.peerId.toString()
    const speaks = libp2p.getProtocols().includes(SYNC_PROTOCOL)
    await until(
      () => !speaks || connection.status !== 'open' || node.network.sync.peers().includes(id),
      'the node knows what the peer speaks',
    )
    return connection.status === 'open'
  } catch {
    return false
  }
}
