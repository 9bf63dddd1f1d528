import { createServer } from 'node:http'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

import { Shares } from '../../shares/shares.ts'
import type { Metrics } from '../../observe/types.ts'
import type { Hold } from '../../shares/types.ts'
import type { ClientAddresses } from '../lib/client-address.ts'
import { answerClientError } from './client-errors.ts'
import type { HttpLimits } from '../lib/limits.ts'

/** How often Node looks for late requests, and so how far they can exceed their timeout. */
const TIMEOUT_CHECK_MS = 5000

/**
 * Creates the HTTP server below the framework, with limits on connections and time.
 *
 * @param shortcut gets each request first; returns true if it has answered
 * @param longRequests connections whose request may exceed `requestTimeoutMs`; the code that adds one bounds it
 */
export function createNodeServer(
  handler: RequestListener,
  shortcut: (request: IncomingMessage, response: ServerResponse) => boolean,
  {
    longRequests,
    faulty,
    clients,
    metrics,
  }: {
    readonly longRequests: WeakSet<Socket>
    /** This server adds the connections whose fault it has counted. */
    readonly faulty: WeakSet<Socket>
    readonly clients: Pick<ClientAddresses, 'ofSocket'>
    readonly metrics: Pick<Metrics, 'stranger' | 'counter'>
  },
  limits: HttpLimits,
): Server {
  const places = new WeakMap<Socket, Hold>()
  const server = createServer(
    {
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: Math.min(TIMEOUT_CHECK_MS, limits.headersTimeoutMs),
    },
    (request, response) => {
      const place = places.get(request.socket)
      place?.mark('busy')
      response.on('close', () => place?.mark('idle'))
      if (shortcut(request, response)) return
      // The route decides what a body is. The framework would reject a malformed content type.
      if (request.headers['content-type'] !== undefined) request.headers['content-type'] = 'application/octet-stream'
      handler(request, response)
    },
  )
  const connections = new Shares(limits.connections)
  const help = 'Idle connections closed to make room for a host that has fewer of them.'
  metrics.counter('http_connections_evicted_total', help, () => connections.evicted)
  server.on('connection', (socket) => {
    const place = connections.take(clients.ofSocket(socket), 1, () => socket.destroy())
    if (typeof place === 'string') {
      metrics.stranger('http', 'too_many_connections')
      socket.destroy()
      return
    }
    // A connection is idle until the headers of a request have arrived.
    place.mark('idle')
    places.set(socket, place)
    socket.once('close', () => place.release())
  })
  server.setTimeout(limits.idleTimeoutMs)
  server.on('clientError', (error: Error & { code?: string }, socket: Socket) => {
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && longRequests.has(socket)) return
    faulty.add(socket)
    metrics.stranger('http', answerClientError(error, socket))
  })
  return server
}
