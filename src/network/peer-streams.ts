import type { Connection, Libp2p, PeerId, Stream } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'

import type { Logger, Metrics } from '../observe/types.ts'
import type { FrameStream, PeerListener, SyncTransport } from '../sync/types.ts'
import { NetworkError } from './errors.ts'
import { createFrameStream } from './frame-stream.ts'
import type { PeerPlaces } from './peer-places.ts'
import type { PeerReputation } from './peer-reputation.ts'

/** docs/protocol.md, "Between nodes". */
export const SYNC_PROTOCOL = '/avatar-kv/sync/2'

/** docs/protocol.md, "Where an avatar lives". */
const FIND_PROTOCOL = '/avatar-kv/find/1'

/** docs/protocol.md, "Following". */
const FOLLOW_PROTOCOL = '/avatar-kv/follow/1'

/** A batch of records (1 MiB at most) and the framing around it. */
export const MAX_SYNC_FRAME_BYTES = 1_048_576 + 4096

/** One stream is in use with a peer at a time. The second is for one that begins while the last one is ending. */
const MAX_STREAMS_PER_PEER = 2

/** An answer of 4 hosts with 5 addresses of 256 characters each takes about 8 KB, its homes 4 KB. */
const MAX_FIND_FRAME_BYTES = 32_768

interface PeerProtocol {
  /** Names the protocol in log lines and metrics. */
  readonly part: 'sync' | 'find' | 'follow'
  readonly id: string
  /** Longest frame in either direction. */
  readonly maxFrameBytes: number
}

interface PeerStreamComponents {
  readonly libp2p: Libp2p
  readonly reputation: PeerReputation
  readonly places: Pick<PeerPlaces, 'active' | 'offended'>
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'stranger'>
  readonly hostOf: SyncTransport['hostOf']
  readonly isConfigured: SyncTransport['isConfigured']
}

/**
 * The transport of a protocol over libp2p: streams of frames with connected peers that say (identify) that they support it.
 * It never dials; other modules decide which peers are connected.
 */
function createPeerStreams(protocol: PeerProtocol, components: PeerStreamComponents) {
  const { libp2p, reputation, places, logger, metrics, hostOf, isConfigured } = components
  const present = new Set<string>()
  const open = new Map<Stream, { readonly peer: string; readonly frames: FrameStream }>()
  let listener: PeerListener | undefined

  function speaks(peer: PeerId): void {
    const id = peer.toString()
    // Identify may end after the connection has.
    if (present.has(id) || libp2p.getConnections(peer).length === 0) return
    present.add(id)
    listener?.connected(id)
  }

  const onIdentify: Parameters<typeof libp2p.addEventListener<'peer:identify'>>[1] = ({ detail }) => {
    if (detail.protocols.includes(protocol.id)) speaks(detail.peerId)
  }
  const onDisconnect = ({ detail: peer }: CustomEvent<PeerId>): void => {
    if (present.delete(peer.toString())) listener?.disconnected(peer.toString())
  }

  function adopt(stream: Stream, peer: string): FrameStream {
    const frames = createFrameStream(stream, {
      maxFrameBytes: protocol.maxFrameBytes,
      onInvalid: () => penalize(peer, 'frame_invalid'),
    })
    open.set(stream, { peer, frames })
    stream.addEventListener('close', () => open.delete(stream))
    return frames
  }

  function onInbound(stream: Stream, { remotePeer }: Connection): void {
    const peer = remotePeer.toString()
    const own = [...open].filter(([each, { peer: of }]) => of === peer && each.direction === 'inbound')
    const isGone = libp2p.getConnections(remotePeer).length === 0
    if (listener === undefined || isGone || own.length >= MAX_STREAMS_PER_PEER) {
      stream.abort(new NetworkError('stream_broken', `No more streams of ${protocol.part} are taken now.`))
      return
    }
    places.active(peer)
    listener.stream(peer, adopt(stream, peer))
    speaks(remotePeer)
  }

  function penalize(peer: string, code: string): void {
    const isCutOff = reputation.offence(peer, code)
    places.offended(peer)
    metrics.stranger(protocol.part, code)
    logger.debug({ peer, code, protocol: protocol.part }, 'a peer broke the rules of a protocol')
    if (!isCutOff) return
    metrics.stranger(protocol.part, 'cut_off')
    logger.debug(
      { peer, code, protocol: protocol.part },
      'a peer broke the rules of a protocol repeatedly; the node disconnects and refuses it for a while',
    )
    for (const connection of libp2p.getConnections(peerIdFromString(peer))) {
      connection.abort(new Error(`It broke the rules of ${protocol.part}: ${code}`))
    }
  }

  const transport: SyncTransport = {
    localPeer: libp2p.peerId.toString(),
    peers: () => [...present],
    hostOf,
    isConfigured,
    async open(peer, signal) {
      const connection = libp2p.getConnections(peerIdFromString(peer)).find(({ status }) => status === 'open')
      if (connection === undefined) throw new NetworkError('not_connected', `There is no connection to ${peer} now.`)
      return adopt(await connection.newStream([protocol.id], { signal }), peer)
    },
    listen(one) {
      if (listener !== undefined) throw new Error('Peers are reported to one listener.')
      listener = one
      return () => {
        listener = undefined
      }
    },
    penalize,
  }
  return {
    ...transport,
    /** Call this before the node starts, so that peers learn of the protocol. */
    async start() {
      libp2p.addEventListener('peer:identify', onIdentify)
      libp2p.addEventListener('peer:disconnect', onDisconnect)
      await libp2p.handle(protocol.id, onInbound, {
        maxInboundStreams: MAX_STREAMS_PER_PEER,
        maxOutboundStreams: MAX_STREAMS_PER_PEER,
      })
    },
    /** Aborts all streams. */
    stop() {
      libp2p.removeEventListener('peer:identify', onIdentify)
      libp2p.removeEventListener('peer:disconnect', onDisconnect)
      for (const { frames } of [...open.values()]) frames.abort(new Error('The node stops.'))
    },
  }
}

/** The transports of all protocols between peers that are made of streams of frames. */
export function createAllPeerStreams(components: PeerStreamComponents) {
  const protocols = {
    sync: createPeerStreams({ part: 'sync', id: SYNC_PROTOCOL, maxFrameBytes: MAX_SYNC_FRAME_BYTES }, components),
    find: createPeerStreams({ part: 'find', id: FIND_PROTOCOL, maxFrameBytes: MAX_FIND_FRAME_BYTES }, components),
    follow: createPeerStreams({ part: 'follow', id: FOLLOW_PROTOCOL, maxFrameBytes: MAX_SYNC_FRAME_BYTES }, components),
  }
  return {
    protocols,
    /** Call this before the node starts, so that peers learn of the protocols. */
    async start(): Promise<void> {
      await Promise.all(Object.values(protocols).map((each) => each.start()))
    },
    /** Aborts all streams. */
    stop(): void {
      for (const each of Object.values(protocols)) each.stop()
    },
  }
}
