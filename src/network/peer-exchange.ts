/**
 * Peers tell each other where peers are (docs/protocol.md, "Peer exchange"): frames over one stream, each a signed peer record.
 *
 * Guarantees: a request costs the answering node at most one record of the caller and `records` answers, once per peer and
 * interval; a peer hears of no address that is not its own or did not work for the answering node, and of none in a nearer scope.
 */
import type { Connection, Libp2p, PeerId, Stream } from '@libp2p/interface'

import type { Logger, Metrics } from '../observe/types.ts'
import type { Environment } from '../platform/environment.ts'
import { messageOf } from '../platform/errors.ts'
import { Rates } from '../shares/rates.ts'
import type { RateLimits } from '../shares/rates.ts'
import type { AddressBook } from './address-book.ts'
import { NetworkError } from './errors.ts'
import { createFrameStream } from './frame-stream.ts'
import type { OwnAddresses } from './own-addresses.ts'
import { sourceOfAddress } from './peer-places.ts'
import { MAX_PEER_RECORD_BYTES, openPeerRecord } from './peer-record.ts'
import { mayHearOf, providerOf, reachOf } from './reach.ts'
import type { Scope } from './reach.ts'

export interface PeerExchangeLimits {
  /** Most records of an answer. */
  readonly records: number
  /** Requests answered: of one host, and of all. */
  readonly answers: RateLimits
  /** Requests answered of one peer. */
  readonly perPeerMs: number
  /** Longest exchange, in milliseconds. */
  readonly timeoutMs: number
}

export function peersProtocol(network: string): string {
  return `/avatar-kv/${network}/peers/1`
}

export function createPeerExchange(
  components: {
    readonly libp2p: Libp2p
    readonly environment: Environment
    readonly logger: Logger
    readonly metrics: Pick<Metrics, 'stranger'>
    readonly book: AddressBook
    readonly own: OwnAddresses
  },
  protocol: string,
  limits: PeerExchangeLimits,
) {
  const { libp2p, environment, logger, metrics, book, own } = components
  const answers = new Rates(limits.answers, environment.clock)
  /** When each connected peer was last answered. */
  const answeredAtMs = new Map<string, number>()

  function mayAsk({ remotePeer, remoteAddr }: Connection): boolean {
    const now = environment.clock.now()
    const id = remotePeer.toString()
    const sinceMs = now - (answeredAtMs.get(id) ?? Number.NEGATIVE_INFINITY)
    // A clock that was set back locks nobody out.
    if (sinceMs >= 0 && sinceMs < limits.perPeerMs) return false
    if (answers.take(sourceOfAddress(remoteAddr)) > 0) return false
    if (libp2p.getConnections(remotePeer).length > 0) answeredAtMs.set(id, now)
    return true
  }

  async function take(frame: Uint8Array, connection: Connection, scope: Scope): Promise<PeerId> {
    const signed = await openPeerRecord(frame)
    const isOwn = signed.peer.equals(libp2p.peerId)
    if (!isOwn && mayHearOf(scope, signed.scope)) book.add(signed, tellerOf(connection))
    return signed.peer
  }

  async function answer(stream: Stream, connection: Connection): Promise<void> {
    const scope = reachOf(connection.remoteAddr)?.scope
    if (scope === undefined || !mayAsk(connection)) {
      stream.abort(new NetworkError('stream_broken', 'The peer asks too often.'))
      metrics.stranger('network', 'peers_asked_too_often')
      return
    }
    await bounded(stream, async (frames) => {
      const introduction = await frames.receive()
      if (introduction !== null && introduction.length > 0) await takeIntroduction(introduction, connection, scope)
      const mine = await own.record(scope)
      if (mine !== undefined) await frames.send(mine)
      for (const record of book.toTell(scope, limits.records - 1, connection.remotePeer.toString())) {
        await frames.send(record)
      }
      await frames.close()
    })
  }

  async function takeIntroduction(frame: Uint8Array, connection: Connection, scope: Scope): Promise<void> {
    const { peer } = await openPeerRecord(frame)
    if (!peer.equals(connection.remotePeer)) {
      throw new NetworkError('peer_record_invalid', 'A peer introduced itself with the record of another.')
    }
    await take(frame, connection, scope)
  }

  async function bounded(
    stream: Stream,
    work: (frames: ReturnType<typeof createFrameStream>) => Promise<void>,
  ): Promise<void> {
    const frames = createFrameStream(stream, { maxFrameBytes: MAX_PEER_RECORD_BYTES, onInvalid: () => undefined })
    const cancel = environment.timers.after(limits.timeoutMs, () =>
      frames.abort(new Error('The exchange took too long.')),
    )
    try {
      await work(frames)
    } catch (error) {
      frames.abort(error instanceof Error ? error : new Error(messageOf(error)))
      throw error
    } finally {
      cancel()
    }
  }

  const forgetPeer = ({ detail }: CustomEvent<PeerId>): void => void answeredAtMs.delete(detail.toString())

  return {
    async start(): Promise<void> {
      libp2p.addEventListener('peer:disconnect', forgetPeer)
      await libp2p.handle(
        protocol,
        (stream, connection) => {
          answer(stream, connection).catch((error: unknown) => {
            metrics.stranger('network', 'peers_bad_request')
            logger.debug({ err: error, peer: connection.remotePeer.toString() }, 'a peer asked for peers and broke off')
          })
        },
        { maxInboundStreams: 1, maxOutboundStreams: 1 },
      )
    },
    /**
     * Introduces this node to a peer and asks it for peers. What the peer tells goes to the book.
     *
     * @throws an error if the peer breaks off or sends something else than valid records
     */
    async ask(connection: Connection): Promise<void> {
      const scope = reachOf(connection.remoteAddr)?.scope
      if (scope === undefined) return
      const signal = AbortSignal.timeout(limits.timeoutMs)
      const stream = await connection.newStream([protocol], { signal })
      await bounded(stream, async (frames) => {
        await frames.send((await own.record(scope)) ?? new Uint8Array(0))
        for (let count = 0; count < limits.records; count += 1) {
          const frame = await frames.receive()
          if (frame === null) break
          await take(frame, connection, scope)
        }
        await frames.close()
      })
    },
    stop(): void {
      libp2p.removeEventListener('peer:disconnect', forgetPeer)
    },
  }
}

/** Who told something: the provider's network of a peer, or the peer itself on a private network and on this machine. */
function tellerOf({ remoteAddr, remotePeer }: Connection): string {
  const reach = reachOf(remoteAddr)
  return (reach === undefined ? undefined : providerOf(reach)) ?? remotePeer.toString()
}
