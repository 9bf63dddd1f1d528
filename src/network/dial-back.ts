/**
 * Asks peers on the internet to dial this node, and answers when they ask (AutoNAT v2, libp2p specs, autonat/autonat-v2.md).
 *
 * The asking side is our own: that of @libp2p/autonat-v2 ignores TCP addresses that peers observe, and wants four servers in four networks,
 * which a small network does not have. The answering side is theirs, with a rate for each host.
 */
import type { Connection, Libp2p, Stream, StreamHandler, StreamHandlerOptions } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

import type { Logger, Metrics } from '../observe/types.ts'
import type { Environment } from '../platform/environment.ts'
import { bytesField, messageField, readFields } from '../record/protobuf.ts'
import { Rates } from '../shares/rates.ts'
import type { RateLimits } from '../shares/rates.ts'
import { NetworkError } from './errors.ts'
import { createFrameStream } from './frame-stream.ts'
import type { Libp2pParts } from './libp2p-parts.ts'
import { sourceOfAddress } from './peer-places.ts'

export const DIAL_REQUEST_PROTOCOL = '/libp2p/autonat/2/dial-request'
const DIAL_BACK_PROTOCOL = '/libp2p/autonat/2/dial-back'

const NONCE_BYTES = 8
/** Tags of a field of 64 bits: `nonce`, the first field of `DialBack` and the second of `DialRequest`. */
const DIAL_BACK_NONCE_TAG = 0x09
const REQUEST_NONCE_TAG = 0x11
/** Values of `ResponseStatus` and `DialStatus`. */
const OK = 200
const DIAL_ERROR = 100
/** A request with some addresses; bounds what a stranger can make this node dial at once. */
const MAX_MESSAGE_BYTES = 256

export interface DialBackLimits {
  /** Requests that this node answers: of one host, and of all. */
  readonly answers: RateLimits
  /** Longest exchange, the dial included. */
  readonly timeoutMs: number
}

/** What a peer found: `open`, and it has proven it; `closed`; or nothing. */
export type DialBackVerdict = 'open' | 'closed' | 'none'

export function createDialBack(
  components: {
    readonly environment: Environment
    readonly logger: Logger
    readonly metrics: Pick<Metrics, 'stranger'>
    readonly libp2p: Libp2p
    readonly parts: () => Libp2pParts
  },
  limits: DialBackLimits,
) {
  const { environment, logger, metrics, libp2p, parts } = components
  const answers = new Rates(limits.answers, environment.clock)
  /** Nonces of requests under way, as hex, with the connection over which each was sent. */
  const expected = new Map<string, string>()
  const proven = new Set<string>()
  let stopServer: (() => Promise<void>) | undefined

  /** Takes the nonce that a peer delivers over a connection that it made for that. */
  async function takeDialBack(stream: Stream, connection: Connection): Promise<void> {
    const frames = createFrameStream(stream, { maxFrameBytes: MAX_MESSAGE_BYTES, onInvalid: () => undefined })
    const cancel = environment.timers.after(limits.timeoutMs, () =>
      frames.abort(new Error('The dial-back took too long.')),
    )
    try {
      const frame = await frames.receive()
      const nonce = frame?.[0] === DIAL_BACK_NONCE_TAG ? hexOf(frame.subarray(1, 1 + NONCE_BYTES)) : ''
      const sentOver = expected.get(nonce)
      if (sentOver === undefined || sentOver === connection.id || connection.direction !== 'inbound') {
        throw new NetworkError('stream_broken', 'A peer dialled back without being asked.')
      }
      proven.add(nonce)
      // An empty message says OK.
      await frames.send(new Uint8Array(0))
      await frames.close()
    } catch (error) {
      frames.abort(error instanceof Error ? error : new Error(String(error)))
      throw error
    } finally {
      cancel()
    }
  }

  /**
   * Registers the handler of the server behind a bound. Not by `libp2p.use`: libp2p 3.3 adds the handler to the list of middleware with each
   * stream, and then runs it for outgoing streams, too.
   */
  function handle(protocol: string, handler: StreamHandler, options: StreamHandlerOptions): Promise<void> {
    const bounded: StreamHandler = (stream, connection) => {
      if (answers.take(sourceOfAddress(connection.remoteAddr)) === 0) return handler(stream, connection)
      metrics.stranger('network', 'asked_to_dial_too_often')
      stream.abort(new NetworkError('stream_broken', 'The peer asks too often.'))
    }
    return libp2p.handle(protocol, bounded, options)
  }
  const unhandle = (protocol: string): Promise<void> => libp2p.unhandle(protocol)

  return {
    /** Call this before the node starts, so that peers learn of the protocols. */
    async prepare(): Promise<void> {
      await libp2p.handle(
        DIAL_BACK_PROTOCOL,
        (stream, connection) => {
          takeDialBack(stream, connection).catch((error: unknown) => {
            logger.debug({ err: error }, 'a dial-back failed')
          })
        },
        { maxInboundStreams: 1, maxOutboundStreams: 1 },
      )
      const { autoNATv2 } = await import('@libp2p/autonat-v2')
      const init = { maxInboundStreams: 1, maxMessageSize: MAX_MESSAGE_BYTES, timeout: limits.timeoutMs }
      const { logger: componentLogger, connectionManager } = parts()
      const components = { logger: componentLogger, connectionManager, registrar: { handle, unhandle } }
      // Of the service only the server is started.
      const { server } = autoNATv2(init)(components as unknown as Parameters<ReturnType<typeof autoNATv2>>[0]) as {
        server: { start(): Promise<void>; stop(): Promise<void> }
      }
      await server.start()
      stopServer = () => server.stop()
    },
    /** Asks a peer to dial this node at an address. Never throws. */
    async ask(connection: Connection, address: Multiaddr): Promise<DialBackVerdict> {
      const nonce = environment.random.bytes(NONCE_BYTES)
      const key = hexOf(nonce)
      expected.set(key, connection.id)
      let cancel = (): void => {}
      try {
        const signal = AbortSignal.timeout(limits.timeoutMs)
        const stream = await connection.newStream([DIAL_REQUEST_PROTOCOL], { signal })
        const frames = createFrameStream(stream, { maxFrameBytes: MAX_MESSAGE_BYTES, onInvalid: () => undefined })
        cancel = environment.timers.after(limits.timeoutMs, () => frames.abort(new Error('The peer took too long.')))
        const request = Uint8Array.from([...bytesField(1, address.bytes), REQUEST_NONCE_TAG, ...nonce])
        await frames.send(messageField(1, request))
        const { status, dialStatus } = readAnswer((await frames.receive()) ?? new Uint8Array(0))
        frames.abort(new Error('The answer is there.'))
        if (status !== OK) return 'none'
        if (dialStatus === OK) return proven.has(key) ? 'open' : 'none'
        return dialStatus === DIAL_ERROR ? 'closed' : 'none'
      } catch (error) {
        logger.debug({ err: error, peer: connection.remotePeer.toString() }, 'a peer did not dial back')
        return 'none'
      } finally {
        cancel()
        expected.delete(key)
        proven.delete(key)
      }
    },
    async stop(): Promise<void> {
      await stopServer?.()
    },
  }
}

export type DialBack = ReturnType<typeof createDialBack>

/** Reads a `Message` with a `DialResponse`. */
function readAnswer(frame: Uint8Array): { status: number; dialStatus: number } {
  const malformed = (why: string): NetworkError =>
    new NetworkError('frame_invalid', `An answer is not protobuf: ${why}.`)
  const answer = { status: 0, dialStatus: 0 }
  const readResponse = (field: number, value: number | Uint8Array): void => {
    if (typeof value !== 'number') return
    if (field === 1) answer.status = value
    if (field === 3) answer.dialStatus = value
  }
  readFields(
    frame,
    (field, value) => {
      if (field === 2 && typeof value !== 'number') readFields(value, readResponse, malformed)
    },
    malformed,
  )
  return answer
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
