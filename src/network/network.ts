import type { Connection, PeerId, PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'

import type { Environment } from '../platform/environment.ts'
import type { Ingest } from '../ingest/types.ts'
import type { Logger, Metrics } from '../observe/types.ts'
import { createClientAddresses } from '../shares/client-address.ts'
import type { Source } from '../shares/types.ts'
import { parseAnnouncedAddress, parseListenAddress, parsePeerAddress } from './addresses.ts'
import { createBeingReached } from './being-reached.ts'
import { createDiscovery } from './discovery.ts'
import type { DiscoveryOptions } from './discovery.ts'
import { NetworkError } from './errors.ts'
import { createGossip } from './gossip.ts'
import { gossipSettings, recordsTopic } from './gossip-settings.ts'
import { createInterfaceWatch, machineAddresses } from './interface-watch.ts'
import { createDialOnlyNode, createLibp2pNode } from './libp2p-node.ts'
import { defaultNetworkLimits } from './limits.ts'
import type { NetworkLimits } from './limits.ts'
import { createListening } from './listening.ts'
import { registerNetworkMetrics } from './network-metrics.ts'
import { createOwnAddresses } from './own-addresses.ts'
import { createPeerBook } from './peer-book.ts'
import { createPeerPlaces, sourceOfAddress } from './peer-places.ts'
import { createRedial } from './redial.ts'
import { createPeerReputation } from './peer-reputation.ts'
import { createStreamRepair, isGossipProtocol } from './stream-repair.ts'
import { createAllPeerStreams, SYNC_PROTOCOL } from './peer-streams.ts'
import type { Network } from './types.ts'
import { within } from './within.ts'

/** How long `stop` waits for queued records to be sent, and then for connections to close cleanly. */
const STOP_FLUSH_MS = 500
const STOP_CLOSE_MS = 1000

export interface NetworkComponents {
  readonly ingest: Ingest
  readonly environment: Environment
  readonly logger: Logger
  readonly metrics: Metrics
  /** The node's own key: see `loadPeerKey`. */
  readonly privateKey: PrivateKey
  /** IP addresses of this machine. Default: those of the system. */
  readonly machineAddresses?: () => readonly string[]
  /** Called when gossip has dropped records because there were too many; sync must bring them. */
  readonly onGossipLoss?: () => void
}

export interface NetworkOptions {
  /** Name of the network whose records are exchanged. */
  readonly network: string
  /** Multiaddrs to listen on; none: this node only dials. */
  readonly listen: readonly string[]
  /** Multiaddrs of peers to stay connected to. */
  readonly peers: readonly string[]
  /** Multiaddrs that the node tells others as its own, besides those that it finds: of a proxy in front of it, or of a router. Default: none. */
  readonly announce?: readonly string[]
  /** Reverse proxies that name the clients of WebSockets, as `createNetworkList` takes them. Default: this machine. */
  readonly trustedProxies?: readonly string[]
  /** What this node tells others that it runs, like `avatar-kv/1.2.3`. Default `avatar-kv`. */
  readonly agent?: string
  /** Whether records are passed on by gossip. Default true. */
  readonly gossip?: boolean
  /** Whether the node is on the gossip topic from the start; see `Network.useGossip`. Default true. */
  readonly joinsGossip?: boolean
  /** Whether the router of the local network is asked to forward the TCP port, by UPnP or NAT-PMP. Default false. */
  readonly upnp?: boolean
  /** How this node finds peers; undefined: it connects to `peers` alone. */
  readonly discovery?: DiscoveryOptions | undefined
  readonly limits?: Partial<NetworkLimits>
}

/**
 * The peer-to-peer part of a node (docs/protocol.md, "Between nodes"): libp2p over TCP and WebSockets, Noise and Yamux, identify, and
 * gossip of records. Nothing is opened before `start`.
 *
 * @throws NetworkError `invalid_address`, `invalid_network`; `start` throws `listen_failed`
 */
export async function createNetwork(components: NetworkComponents, options: NetworkOptions): Promise<Network> {
  const { ingest, environment, metrics, privateKey } = components
  const logger = components.logger.child({ part: 'network' })
  const limits = { ...defaultNetworkLimits, ...options.limits }
  if (!/^[a-z0-9-]{1,32}$/.test(options.network)) {
    throw new NetworkError(
      'invalid_network',
      `"${options.network}" is not a network name: 1 to 32 of a-z, 0-9 and "-" are allowed.`,
    )
  }
  const listen = [...new Set(options.listen.map((text) => parseListenAddress(text).toString()))]
  const targets = options.peers.map(parsePeerAddress)
  const ownPeerId = peerIdFromPrivateKey(privateKey)
  const announced = (options.announce ?? []).map((text) => parseAnnouncedAddress(text, ownPeerId))
  const topic = recordsTopic(options.network)
  const reputation = createPeerReputation(environment)
  /** Configured peers whose peer id is known: from their address, or because they were reached. */
  const configured = new Set(targets.flatMap(({ peer }) => (peer === undefined ? [] : [peer.toString()])))
  const places = createPeerPlaces(
    {
      clock: environment.clock,
      timers: environment.timers,
      isConfigured: (peer) => configured.has(peer.toString()),
      isRefused: (peer) => reputation.isRefused(peer.toString()),
    },
    limits.places,
  )

  const listening = createListening()
  let duplicates = 0
  let tellDuplicate: (peer: string) => void = () => {}
  const onDuplicate = (peer: string): void => {
    duplicates += 1
    tellDuplicate(peer)
  }
  const { libp2p, parts } = await createLibp2pNode({
    privateKey,
    logger,
    metrics,
    agent: options.agent ?? 'avatar-kv',
    listen,
    announced,
    listening,
    clients: createClientAddresses(options.trustedProxies ?? ['loopback']),
    gater: places.gater,
    gossip: gossipSettings(topic, reputation.score, onDuplicate),
  })
  const own = createOwnAddresses({
    clock: environment.clock,
    privateKey,
    peerId: libp2p.peerId,
    announced,
    transports: () => parts().transportManager,
  })

  const connections = (): Connection[] => libp2p.getConnections()

  const book = createPeerBook({ clock: environment.clock, libp2p })
  const service = libp2p.services.gossip
  /** Hosts of connected peers, by peer id. */
  const sources = new Map<string, Source>()
  const sourceOf = (peer: string): Source => sources.get(peer) ?? { key: peer }
  libp2p.addEventListener('peer:connect', ({ detail: peer }) => {
    const [connection] = libp2p.getConnections(peer)
    const source = connection === undefined ? undefined : sourceOfAddress(connection.remoteAddr)
    // Each peer on this machine counts as a host of its own: many nodes may run here.
    if (source?.isShared === false) sources.set(peer.toString(), source)
  })
  const onNews = (peer: string, records: number): void => {
    places.active(peer)
    book.received(peer, records)
  }
  const onLoss = components.onGossipLoss ?? (() => undefined)
  const gossip = createGossip(
    { service, connections, ingest, environment, logger, metrics, onLoss, onNews, sourceOf },
    topic,
    limits,
  )
  tellDuplicate = gossip.duplicate
  const gossips = options.gossip ?? true
  const redial = createRedial(
    {
      environment,
      logger,
      dial: (address, signal) => libp2p.dial(address, { signal }),
      isConnected: (peer) => libp2p.getConnections(peer).length > 0,
      onPeer(peer) {
        configured.add(peer.toString())
        book.keep(peer)
      },
    },
    targets,
  )
  const isConfigured = (peer: string): boolean => configured.has(peer)
  const streams = createAllPeerStreams({ libp2p, reputation, places, logger, metrics, hostOf: sourceOf, isConfigured })
  await streams.start()
  const discovery =
    options.discovery === undefined
      ? undefined
      : createDiscovery(
          {
            environment,
            logger,
            metrics,
            libp2p,
            parts,
            own,
            isRefused: reputation.isRefused,
            createProbeNode: () => createDialOnlyNode(logger, metrics),
          },
          { ...options.discovery, network: options.network },
          limits.discovery,
        )
  const reached = createBeingReached(
    { environment, logger, metrics, libp2p, parts, own },
    { asksRouter: options.upnp === true },
    limits,
  )
  await reached.prepare()
  await discovery?.prepare()
  const interfaces = createInterfaceWatch(
    {
      timers: environment.timers,
      logger,
      addresses: components.machineAddresses ?? machineAddresses,
      connections,
      ask: (connection, signal) => libp2p.services.identify.identify(connection, { signal }),
      onChange() {
        reached.renew()
        discovery?.wake()
        redial.wake()
      },
    },
    limits.interfaces,
  )
  const repair = createStreamRepair(
    { timers: environment.timers, logger, connections, speaksGossip: book.speaksGossip, announce },
    limits.repairIntervalMs,
  )

  function announce(peer: PeerId, connection: Connection): void {
    for (const protocol of service.protocols) {
      for (const topology of parts().registrar.getTopologies(protocol)) {
        // All versions have the same topology, so registering one is enough.
        void topology.onConnect?.(peer, connection)
        return
      }
    }
  }

  libp2p.addEventListener('peer:identify', ({ detail: { peerId, protocols } }) => {
    if (protocols.some((name) => name === SYNC_PROTOCOL || isGossipProtocol(name))) places.proven(peerId)
  })
  libp2p.addEventListener('peer:disconnect', ({ detail: peer }) => {
    sources.delete(peer.toString())
    redial.disconnected(peer)
  })
  registerNetworkMetrics(metrics, {
    places,
    gossip,
    peers: () => libp2p.getPeers().length,
    missing: redial.missing,
    duplicates: () => duplicates,
  })

  let state: 'new' | 'started' | 'stopped' = 'new'
  const addresses = (): string[] => (state === 'started' ? own.list() : [])

  return {
    peerId: libp2p.peerId.toString(),
    addresses,
    peers: () => book.list(gossips ? gossip.subscribers() : new Set()),
    reachability: reached.reachability,
    ...streams.protocols,
    useGossip: (on) => (state === 'started' && gossips ? gossip.join(on) : undefined),
    publish(records) {
      if (state === 'started' && gossips) gossip.publish(records)
    },
    async start() {
      if (state !== 'new') throw new Error('A network starts once.')
      try {
        await libp2p.start()
        listening.check()
      } catch (error) {
        await libp2p.stop()
        listening.check()
        throw error
      }
      state = 'started'
      if (gossips) {
        gossip.start()
        if (options.joinsGossip !== false) gossip.join(true)
        repair.start()
      }
      reached.start()
      interfaces.start()
      redial.start()
      await discovery?.start()
      logger.debug({ peer_id: libp2p.peerId.toString(), addresses: addresses() }, 'listening for peers')
    },
    async stop() {
      if (state !== 'started') return
      state = 'stopped'
      const waiting = { timers: environment.timers, logger }
      interfaces.stop()
      redial.stop()
      repair.stop()
      streams.stop()
      await within(waiting, STOP_FLUSH_MS, Promise.all([gossip.flush(), discovery?.stop(), reached.stop()]))
      gossip.stop()
      book.stop()
      const closed = await within(waiting, STOP_CLOSE_MS, Promise.resolve(libp2p.stop()))
      if (!closed) for (const connection of connections()) connection.abort(new Error('the node stops'))
    },
  }
}
