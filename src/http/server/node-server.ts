import { createServer } from 'node:http'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

import { Shares } from '../../shares/shares.ts'
import type { Metrics } from '../../observe/types.ts'
import type { Hold } from '../../shares/types.ts'
import type { ClientAddresses } from '../lib/client-address.ts'
import { answerClientError } from './client-errors.ts'
import type { HttpLimits } from '../lib/limits.ts'

/** How often Node looks for requests that take too long, in ms: how far beyond their timeout they may go. */
const TIMEOUT_CHECK_MS = 5000

/**
 * The server below the framework, with its bounds on connections and time.
 *
 * @param shortcut sees each request first; where it returns true, it has answered
 * @param longRequests connections whose request may take longer than `requestTimeoutMs`: the code that adds one bounds it
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
    /** Filled with connections whose fault is counted. */
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
      // Bodies are what their route takes, whatever this says; the framework would refuse what is malformed.
      if (request.headers['content-type'] !== undefined) request.headers['content-type'] = 'application/octet-stream'
      handler(request, response)
    },
  )
  const connections = new Shares(limits.connections)
  const help = 'Connections closed because a host with fewer of them needed a place.'
  metrics.counter('http_connections_evicted_total', help, () => connections.evicted)
  server.on('connection', (socket) => {
    const place = connections.take(clients.ofSocket(socket), 1, () => socket.destroy())
    if (typeof place === 'string') {
      metrics.stranger('http', 'too_many_connections')
      socket.destroy()
      return
    }
    // Until it has sent the headers of a request.
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
