/**
 * WebSockets as a transport of libp2p, for nodes behind the TLS proxy of an operator (docs/protocol.md, "WebSockets").
 *
 * Not @libp2p/websockets 10: its sockets wait for their first byte and their headers without a bound, a message may have 100 MiB, nothing pauses a
 * fast sender, it does not read X-Forwarded-For, and it dials with the WebSocket of browsers, which Node.js 20 does not have.
 */
import { connect as connectTcp, isIP } from 'node:net'
import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

import { serviceCapabilities, transportSymbol } from '@libp2p/interface'
import type { ComponentLogger, Transport } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { WebSocket } from 'ws'

import { NetworkError } from './errors.ts'
import { webSocketTarget, webSocketUrl } from './websocket-address.ts'
import type { WebSocketTarget } from './websocket-address.ts'
import { SOCKET_OPTIONS, webSocketConnection } from './websocket-connection.ts'
import { WebSocketListener } from './websocket-listener.ts'
import type { WebSocketLimits, WebSocketListenerComponents } from './websocket-listener.ts'

/** @param listening undefined: the transport only dials */
export function webSockets(
  listening: { readonly components: WebSocketListenerComponents; readonly limits: WebSocketLimits } | undefined,
): (components: { readonly logger: ComponentLogger }) => Transport {
  return ({ logger }) => {
    const log = logger.forComponent('libp2p:websockets')
    return {
      [transportSymbol]: true,
      [Symbol.toStringTag]: 'WebSockets',
      ...{ [serviceCapabilities]: ['@libp2p/transport'] },
      async dial(address, options) {
        const target = webSocketTarget(address)
        if (target === undefined) throw new NetworkError('invalid_address', `${address.toString()} is no WebSocket.`)
        const socket = await createSocket(target)
        // Made before the socket opens: the first bytes of the other side may come with its answer.
        const connection = webSocketConnection(socket, { remoteAddr: address, direction: 'outbound', log })
        try {
          await opened(socket, options.signal)
          return await options.upgrader.upgradeOutbound(connection, options)
        } catch (error) {
          connection.abort(error instanceof Error ? error : new Error(String(error)))
          throw error
        }
      },
      createListener({ upgrader }) {
        if (listening === undefined) throw new Error('This node only dials.')
        return new WebSocketListener({ ...listening.components, log, upgrader }, listening.limits)
      },
      listenFilter: (addresses) => addresses.filter((address) => webSocketTarget(address)?.isSecure === false),
      dialFilter: (addresses: Multiaddr[]) => addresses.filter((address) => webSocketTarget(address) !== undefined),
    }
  }
}

async function createSocket(target: WebSocketTarget): Promise<WebSocket> {
  // Loaded here, so that a node that dials no such address starts without it.
  const { WebSocket: Client } = await import('ws')
  return new Client(webSocketUrl(target), { ...SOCKET_OPTIONS, createConnection: () => connectTo(target) })
}

async function opened(socket: WebSocket, signal: AbortSignal): Promise<void> {
  const abort = (): void => socket.terminate()
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve)
      socket.once('error', reject)
      signal.addEventListener('abort', abort)
      if (signal.aborted) abort()
    })
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

function connectTo({ host, port, family, isSecure, name }: WebSocketTarget): Socket {
  const to = { host, port, family, noDelay: true }
  // TLS lets the bytes through proxies. It is Noise that proves who the peer is.
  return isSecure
    ? connectTls({ ...to, servername: isIP(name) === 0 ? name : '', ALPNProtocols: ['http/1.1'] })
    : connectTcp(to)
}
