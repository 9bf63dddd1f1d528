import '../../src/platform/promise-with-resolvers.ts'

import { identify } from '@libp2p/identify'
import type { Libp2p, PrivateKey } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import type { TCPSocketOptions } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

import { SYNC_PROTOCOL } from '../../src/network/sync-streams.ts'
import { sleep } from '../support/until.ts'
import { addressOf, stopLater, type TestNode } from './nodes.ts'

export interface PeerOptions {
  /** The address of this machine to come from; on Linux all of 127.0.0.0/8 are. */
  readonly from: string
  readonly privateKey?: PrivateKey
  /** Whether it says that it speaks sync. Default true. */
  readonly speaks?: boolean
}

/** A peer that connects over TCP from an address of its own and does nothing more. Not connected yet. */
export async function createPeer({ from, privateKey, speaks = true }: PeerOptions): Promise<Libp2p> {
  const libp2p = await createLibp2p({
    ...(privateKey === undefined ? {} : { privateKey }),
    // Passed on to node:net, though its type does not name it.
    transports: [tcp({ dialOpts: { localAddress: from } as TCPSocketOptions })],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify() },
  })
  stopLater({ stop: async () => libp2p.stop() })
  if (speaks) await libp2p.handle(SYNC_PROTOCOL, (stream) => stream.abort(new Error('not now')))
  return libp2p
}

/** Whether the node takes a new connection from the peer, and keeps it for a moment. */
export async function getsIn(node: TestNode, libp2p: Libp2p): Promise<boolean> {
  try {
    const connection = await libp2p.dial(multiaddr(addressOf(node)), { force: true })
    await sleep(200)
    return connection.status === 'open'
  } catch {
    return false
  }
}
