import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { isIPv6 } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'

import { TypedEventEmitter } from '@libp2p/interface'
import type { Listener, ListenerEvents, Logger as Libp2pLogger, Upgrader } from '@libp2p/interface'
import { getThinWaistAddresses } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { WebSocket, WebSocketServer } from 'ws'

import type { Logger, Metrics } from '../observe/types.ts'
import type { Client, ClientAddresses } from '../shares/client-address.ts'
import { hostOf } from '../shares/host.ts'
import { Shares } from '../shares/shares.ts'
import type { Hold, ShareLimits } from '../shares/types.ts'
import { scopeOfIp } from './reach.ts'
import { SOCKET_OPTIONS, webSocketConnection } from './websocket-connection.ts'

export interface WebSocketLimits {
  /** TCP connections that have not become WebSockets. A trusted proxy may have all but the reserve: it carries many clients. */
  readonly waiting: ShareLimits
  /** Longest time for the headers of the request; milliseconds. */
  readonly headersMs: number
}

export interface WebSocketListenerComponents {
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'stranger'>
  /** Finds the client behind a proxy. */
  readonly clients: ClientAddresses
}

const MAX_HEADER_BYTES = 8192
/** Stands for every client whose address is not known. It is in no scope, so nothing is told to it or believed from it about addresses. */
const UNKNOWN_IP = '0.0.0.0'

/**
 * Listens for WebSockets of peers, directly or behind the operator's proxy.
 *
 * Guarantees: a peer is counted by the address of its client, as for HTTP (`http_trusted_proxies`). All clients that a proxy does not name, and all
 * on this machine, count as one host. What waits for its headers is bounded in number and time. Pages in browsers are refused.
 */
export class WebSocketListener extends TypedEventEmitter<ListenerEvents> implements Listener {
  readonly #components: WebSocketListenerComponents & { readonly log: Libp2pLogger; readonly upgrader: Upgrader }
  readonly #limits: WebSocketLimits
  readonly #waiting: Shares
  readonly #holds = new WeakMap<object, Hold>()
  readonly #open = new Set<WebSocket>()
  readonly #stopped = new AbortController()
  #server: Server | undefined
  #webSockets: WebSocketServer | undefined
  #address: Multiaddr | undefined
  #hasWarned = false

  constructor(
    components: WebSocketListenerComponents & { readonly log: Libp2pLogger; readonly upgrader: Upgrader },
    limits: WebSocketLimits,
  ) {
    super()
    this.#components = components
    this.#limits = limits
    this.#waiting = new Shares(limits.waiting)
  }

  async listen(address: Multiaddr): Promise<void> {
    // Loaded here, so that a node without such an address starts without it.
    const { WebSocketServer: Sockets } = await import('ws')
    const { headersMs } = this.#limits
    this.#webSockets = new Sockets({ ...SOCKET_OPTIONS, noServer: true, clientTracking: false })
    const server = createServer(
      {
        maxHeaderSize: MAX_HEADER_BYTES,
        headersTimeout: headersMs,
        requestTimeout: headersMs,
        connectionsCheckingInterval: headersMs,
      },
      refuseRequest,
    )
    server.on('connection', (socket: Socket) => this.#arrives(socket))
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      this.#upgrade(request, socket, head),
    )
    const [host, port] = address.getComponents()
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(
        { host: host?.value ?? '', port: Number(port?.value), ipv6Only: host?.name === 'ip6' },
        () => void resolve(server.off('error', reject) as never),
      )
    })
    server.on('error', (error) => this.#components.log.error('the WebSocket server met an error - %e', error))
    this.#server = server
    this.#address = address
    this.safeDispatchEvent('listening')
  }

  getAddrs(): Multiaddr[] {
    const bound = this.#server?.address() as AddressInfo | null | undefined
    if (bound === null || bound === undefined || this.#address === undefined) return []
    return getThinWaistAddresses(this.#address, bound.port).map((each) => each.encapsulate('/ws'))
  }

  updateAnnounceAddrs(): void {
    // Nothing is added to the addresses.
  }

  async close(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    this.#stopped.abort()
    for (const socket of this.#open) socket.terminate()
    if (server !== undefined) {
      await new Promise((resolve) => {
        server.close(resolve)
        server.closeAllConnections()
      })
    }
    this.safeDispatchEvent('close')
  }

  #arrives(socket: Socket): void {
    const hold = this.#waiting.take(this.#components.clients.ofSocket(socket), 1, () => socket.destroy())
    if (typeof hold === 'string') {
      this.#components.metrics.stranger('network', 'too_many_websockets')
      socket.destroy()
      return
    }
    hold.mark('idle')
    this.#holds.set(socket, hold)
    socket.once('close', () => hold.release())
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    if (request.headers.origin !== undefined) {
      this.#components.metrics.stranger('network', 'websocket_of_a_page')
      socket.end(answerText('403 Forbidden', 'Pages in browsers use the HTTP interface of the node.'))
      return
    }
    const from = this.#addressOf(request)
    this.#webSockets?.handleUpgrade(request, socket, head, (webSocket) => {
      this.#holds.get(socket)?.release()
      this.#open.add(webSocket)
      webSocket.once('close', () => this.#open.delete(webSocket))
      this.#connect(webSocket, from)
    })
  }

  #connect(webSocket: WebSocket, remoteAddr: Multiaddr): void {
    const { log, upgrader } = this.#components
    const connection = webSocketConnection(webSocket, { remoteAddr, direction: 'inbound', log })
    upgrader.upgradeInbound(connection, { signal: this.#stopped.signal }).catch((error: unknown) => {
      log('an inbound WebSocket did not become a connection - %e', error)
      connection.abort(error instanceof Error ? error : new Error(String(error)))
    })
  }

  /** The address of the client, with the port of the connection that carries it. */
  #addressOf(request: IncomingMessage): Multiaddr {
    const client = this.#components.clients.ofRequest(request)
    const ip = isNamed(client) ? client.address : UNKNOWN_IP
    if (client.isShared === true) this.#warn(client)
    return multiaddr(`/${isIPv6(ip) ? 'ip6' : 'ip4'}/${ip}/tcp/${request.socket.remotePort ?? 1}/ws`)
  }

  #warn({ address }: Client): void {
    if (this.#hasWarned) return
    this.#hasWarned = true
    this.#components.logger.warn(
      { proxy: address },
      'A peer came over WebSockets from a trusted proxy that does not name its client. All such peers share the places of one host. ' +
        'Let the proxy set X-Forwarded-For.',
    )
  }
}

/** An address of this machine is that of a proxy, or of a program that could be one. */
function isNamed({ address, key, isShared }: Client): boolean {
  const scope = scopeOfIp(address)
  return isShared !== true && key === hostOf(address) && scope !== undefined && scope !== 'loopback'
}

function refuseRequest(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(426, { 'content-type': 'text/plain', connection: 'close', upgrade: 'websocket' })
  response.end('Nodes connect here by WebSockets. The HTTP interface of the node has another address.\n')
}

function answerText(status: string, text: string): string {
  return `HTTP/1.1 ${status}\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: ${text.length + 1}\r\n\r\n${text}\n`
}
