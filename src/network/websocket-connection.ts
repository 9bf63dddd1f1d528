import { once } from 'node:events'

import type { AbortOptions, MultiaddrConnection } from '@libp2p/interface'
import { AbstractMultiaddrConnection } from '@libp2p/utils'
import type { AbstractMultiaddrConnectionInit, SendResult } from '@libp2p/utils'
import type { ClientOptions, RawData, ServerOptions, WebSocket } from 'ws'

/** Largest message that this node sends. Noise writes 64 KiB at a time. */
const MAX_SENT_MESSAGE_BYTES = 131_072
/** Largest message that it takes: a message is in memory whole before it is read. Other implementations send 64 KiB. */
const MAX_MESSAGE_BYTES = 262_144
/** With more unsent bytes than this, the writer waits. */
const MAX_UNSENT_BYTES = 262_144

/**
 * Options of every socket. Nothing is compressed: the bytes are encrypted, and a compressed message could grow beyond all bounds. Pings are
 * answered here, because the library answers them without a bound.
 */
export const SOCKET_OPTIONS = {
  perMessageDeflate: false,
  maxPayload: MAX_MESSAGE_BYTES,
  autoPong: false,
} as const satisfies ClientOptions & ServerOptions

class WebSocketConnection extends AbstractMultiaddrConnection {
  readonly #socket: WebSocket

  constructor(socket: WebSocket, init: AbstractMultiaddrConnectionInit) {
    super({ ...init, maxMessageSize: MAX_SENT_MESSAGE_BYTES })
    this.#socket = socket
    socket.binaryType = 'nodebuffer'
    socket.on('message', (data: RawData, isBinary) => {
      if (isBinary && data instanceof Uint8Array) this.onData(data)
      else this.abort(new Error('The peer sent text over a WebSocket.'))
    })
    socket.on('ping', (data) => {
      // A peer that sends pings and reads no answers gets none.
      if (socket.bufferedAmount < MAX_UNSENT_BYTES) socket.pong(data)
    })
    socket.on('error', (error) => this.abort(error))
    socket.on('close', () => this.onTransportClosed())
  }

  override sendData(data: Parameters<AbstractMultiaddrConnection['sendData']>[0]): SendResult {
    this.#socket.send(data.subarray(), () => {
      if (this.writableNeedsDrain && this.#hasRoom()) this.safeDispatchEvent('drain')
    })
    return { sentBytes: data.byteLength, canSendMore: this.#hasRoom() }
  }

  #hasRoom(): boolean {
    return this.#socket.bufferedAmount < MAX_UNSENT_BYTES
  }

  override sendReset(): void {
    this.#socket.terminate()
  }

  override async sendClose(options?: AbortOptions): Promise<void> {
    if (this.#socket.readyState === this.#socket.CLOSED) return
    const closed = once(this.#socket, 'close', options?.signal === undefined ? {} : { signal: options.signal })
    this.#socket.close()
    await closed.catch(() => this.#socket.terminate())
  }

  override sendPause(): void {
    this.#socket.pause()
  }

  override sendResume(): void {
    this.#socket.resume()
  }
}

/** A WebSocket as a connection of libp2p. */
export function webSocketConnection(socket: WebSocket, init: AbstractMultiaddrConnectionInit): MultiaddrConnection {
  return new WebSocketConnection(socket, init)
}
