import '../../src/platform/promise-with-resolvers.ts'

import { gossipsub } from '@chainsafe/libp2p-gossipsub'
import type { GossipSub } from '@chainsafe/libp2p-gossipsub'
import { identify } from '@libp2p/identify'
import type { Connection, Libp2p } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

import { messageId, recordsTopic } from '../../src/network/gossip-settings.ts'
import { until } from '../support/until.ts'
import { addressOf, stopLater } from './nodes.ts'
import type { TestNode } from './nodes.ts'

export interface Stranger {
  readonly libp2p: Libp2p
  readonly gossip: GossipSub
  /** Data of the messages received. */
  readonly received: Uint8Array[]
  send(data: Uint8Array, topic?: string): Promise<void>
  /** Its streams from the node, over which it gets messages. */
  inboundGossip(): Connection['streams']
}

/** A peer that speaks gossipsub with no rule of ours, connected to a node, and sends what it likes. */
export async function startStranger(target: TestNode): Promise<Stranger> {
  const topic = recordsTopic('test')
  const libp2p = await createLibp2p({
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: {
      identify: identify(),
      gossip: gossipsub({
        globalSignaturePolicy: 'StrictNoSign',
        allowPublishToZeroTopicPeers: true,
        floodPublish: true,
        msgIdFn: (message) => messageId(message.data),
      }),
    },
  })
  stopLater({ stop: async () => libp2p.stop() })
  const gossip: GossipSub = libp2p.services.gossip
  const received: Uint8Array[] = []
  gossip.addEventListener('message', ({ detail }) => received.push(detail.data))
  gossip.subscribe(topic)
  await libp2p.dial(multiaddr(addressOf(target)))
  const peer = libp2p.peerId.toString()
  await until(
    () =>
      gossip.getSubscribers(topic).length > 0 &&
      target.network.peers().some((info) => info.peer_id === peer && info.gossip),
    'the stranger follows the topic',
  )
  return {
    libp2p,
    gossip,
    received,
    send: async (data, other = topic) => void (await gossip.publish(other, data)),
    inboundGossip: () =>
      libp2p
        .getConnections()
        .flatMap(({ streams }) => streams)
        .filter(({ direction, protocol }) => direction === 'inbound' && protocol.startsWith('/meshsub/')),
  }
}
