import type { GossipSub } from '@chainsafe/libp2p-gossipsub'
import type { Connection, PeerId, Stream } from '@libp2p/interface'

/** The members of gossipsub 17's class that open and accept streams; its interface does not declare them. */
interface StreamMaker {
  readonly streamsInbound: ReadonlyMap<string, { readonly rawStream: Stream; readonly source: AsyncIterable<unknown> }>
  createInboundStream(peer: PeerId, stream: Stream): void
  createOutboundStream(peer: PeerId, connection: Connection): Promise<void>
  pipePeerReadStream(peer: PeerId, source: AsyncIterable<unknown>): Promise<void>
}

/**
 * Bounds the gossip streams of a peer, and corrects what gossipsub 17 does with several:
 *
 * - A second inbound stream replaces the first, but gossipsub reads on from both, and each may gather a frame of 4 MiB. Here
 *   the first is reset.
 * - An error on a stream that was replaced makes gossipsub forget the peer, and the peer gets no messages. Here it does not.
 * - Gossipsub opens its outbound streams one after another and waits 10 s for each answer, so one peer that does not answer
 *   keeps gossip from all others. Here each peer waits for itself alone.
 *
 * @param onInbound called with each new inbound stream, before anything is read from it
 */
export function boundGossipStreams(service: GossipSub, onInbound: (peer: string, stream: Stream) => void): void {
  const maker = service as unknown as StreamMaker
  const takeStream = maker.createInboundStream.bind(service)
  const readStream = maker.pipePeerReadStream.bind(service)
  const openStream = maker.createOutboundStream.bind(service)
  /** Peers that a stream is being opened to, each with the connection to try next. */
  const opening = new Map<string, Connection | undefined>()

  maker.createInboundStream = (peer, stream) => {
    const id = peer.toString()
    const previous = maker.streamsInbound.get(id)?.rawStream
    onInbound(id, stream)
    takeStream(peer, stream)
    if (previous !== stream) previous?.abort(new Error('The peer opened another gossip stream.'))
  }

  maker.pipePeerReadStream = (peer, source) => readStream(peer, untilReplaced(peer.toString(), source))

  async function* untilReplaced(peer: string, source: AsyncIterable<unknown>): AsyncGenerator<unknown> {
    try {
      yield* source
    } catch (error) {
      if (maker.streamsInbound.get(peer)?.source === source) throw error
    }
  }

  maker.createOutboundStream = async (peer, connection) => {
    const id = peer.toString()
    if (opening.has(id)) opening.set(id, connection)
    else void openInTurn(peer, connection)
  }

  /** `openStream` throws nothing, and opens nothing where a stream is open. */
  async function openInTurn(peer: PeerId, connection: Connection): Promise<void> {
    const id = peer.toString()
    for (let next: Connection | undefined = connection; next !== undefined; next = opening.get(id)) {
      opening.set(id, undefined)
      await openStream(peer, next)
    }
    opening.delete(id)
  }
}
