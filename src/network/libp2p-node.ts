import '../platform/promise-with-resolvers.ts'

import { gossipsub } from '@chainsafe/libp2p-gossipsub'
import type { GossipsubOpts } from '@chainsafe/libp2p-gossipsub'
import { identify } from '@libp2p/identify'
import type { ConnectionGater, Libp2p, PrivateKey } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import type { Multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

import { createLibp2pLogger } from '../observe/libp2p-logger.ts'
import type { Logger, Metrics } from '../observe/types.ts'
import type { Libp2pParts } from './libp2p-parts.ts'
import { CONNECTION_LIMITS } from './limits.ts'
import type { createListening } from './listening.ts'
import { reachOf } from './reach.ts'
import type { WebSocketListenerComponents } from './websocket-listener.ts'
import { webSockets } from './websockets.ts'

export interface Libp2pNodeOptions {
  readonly privateKey: PrivateKey
  readonly logger: Logger
  readonly metrics: Metrics
  readonly agent: string
  readonly listen: readonly string[]
  /** Addresses to tell besides those of this machine. */
  readonly announced: readonly Multiaddr[]
  readonly listening: ReturnType<typeof createListening>
  readonly clients: WebSocketListenerComponents['clients']
  readonly gater: ConnectionGater
  readonly gossip: Partial<GossipsubOpts>
}

const overTcp = tcp({ dialOpts: { noDelay: true }, listenOpts: { noDelay: true } })

/** The libp2p node behind a network, with the bounds of limits.ts. Not started. */
export async function createLibp2pNode(options: Libp2pNodeOptions) {
  const { privateKey, logger, metrics, agent, listen, announced, listening, clients, gater, gossip } = options
  const overWebSockets = webSockets({ components: { logger, metrics, clients }, limits: CONNECTION_LIMITS.webSockets })
  let parts: Libp2pParts | undefined
  const libp2p = await createLibp2p({
    start: false,
    privateKey,
    logger: createLibp2pLogger(logger, metrics),
    nodeInfo: { userAgent: agent },
    addresses: {
      listen: [...listen],
      appendAnnounce: announced.map(String),
      // What identify tells everybody. Peers on private networks learn of private addresses by peer exchange and mDNS.
      announceFilter: (addresses) => addresses.filter((address) => reachOf(address)?.scope === 'public'),
    },
    transports: [
      (components) => listening.watched(overTcp(components)),
      (components) => listening.watched(overWebSockets(components)),
    ],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux(CONNECTION_LIMITS.yamux)],
    connectionManager: CONNECTION_LIMITS.manager,
    connectionMonitor: CONNECTION_LIMITS.monitor,
    connectionGater: gater,
    services: {
      identify: identify(),
      gossip: (components: Libp2pParts) => {
        parts = components
        return gossipsub(gossip)(components)
      },
    },
  })
  return {
    libp2p,
    parts(): Libp2pParts {
      if (parts === undefined) throw new Error('libp2p made no services.')
      return parts
    },
  }
}

/** A libp2p node that only dials, under a peer id of its own: for probes. Started. */
export function createDialOnlyNode(logger: Logger, metrics: Metrics): Promise<Libp2p> {
  return createLibp2p({
    logger: createLibp2pLogger(logger, metrics),
    transports: [overTcp, webSockets(undefined)],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux(CONNECTION_LIMITS.yamux)],
    connectionManager: CONNECTION_LIMITS.manager,
    connectionMonitor: { enabled: false },
    connectionGater: { denyDialMultiaddr: () => false },
  })
}
