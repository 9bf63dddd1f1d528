import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

import { Shares } from '../../shares/shares.ts'
import type { Hold } from '../../shares/types.ts'
import { errorJson, isConnectionError, JSON_TYPE, type HttpErrorCode } from '../lib/errors.ts'
import type { RouteParts } from '../lib/parts.ts'

/** How often Node looks for late requests, and so how far they can exceed their timeout. */
const TIMEOUT_CHECK_MS = 5000

/**
 * Creates the HTTP server below the framework, with limits on connections and time.
 *
 * @param shortcut gets each request first; returns true if it has answered
 */
export function createNodeServer(
  handler: RequestListener,
  shortcut: (request: IncomingMessage, response: ServerResponse) => boolean,
  { longRequests, faulty, clients, metrics, limits }: RouteParts,
): Server {
  const holds = new WeakMap<Socket, Hold>()
  const server = createServer(
    {
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: Math.min(TIMEOUT_CHECK_MS, limits.headersTimeoutMs),
    },
    (request, response) => {
      const hold = holds.get(request.socket)
      hold?.mark('busy')
      response.on('close', () => hold?.mark('idle'))
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
    const hold = connections.take(clients.ofSocket(socket), 1, () => socket.destroy())
    if (typeof hold === 'string') {
      metrics.stranger('http', 'too_many_connections')
      socket.destroy()
      return
    }
    // A connection is idle until the headers of a request have arrived.
    hold.mark('idle')
    holds.set(socket, hold)
    socket.once('close', () => hold.release())
  })
  server.setTimeout(limits.idleTimeoutMs)
  server.on('clientError', (error: Error & { code?: string }, socket: Socket) => {
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && longRequests.has(socket)) return
    faulty.add(socket)
    metrics.stranger('http', answerClientError(error, socket))
  })
  return server
}

const ANSWERS: Readonly<Record<string, readonly [status: string, code: HttpErrorCode, message: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'timeout', 'The request did not arrive in time. Send it again.'],
  HPE_HEADER_OVERFLOW: [
    '431 Request Header Fields Too Large',
    'headers_too_large',
    'The URL and headers of the request have more than 16 KiB. Shorten them.',
  ],
}
const MALFORMED = ['400 Bad Request', 'bad_request', 'This is not a valid HTTP/1.1 request.'] as const

/**
 * Answers a request that Node's HTTP parser rejected, and closes the connection.
 *
 * @returns the code of the error, for a metric
 */
function answerClientError(error: Error & { code?: string }, socket: Socket): HttpErrorCode {
  if (isConnectionError(error) && error.code !== 'ERR_HTTP_REQUEST_TIMEOUT') {
    socket.destroy()
    return 'broken_off'
  }
  const [status, code, message] = ANSWERS[error.code ?? ''] ?? MALFORMED
  if (!socket.writable) {
    socket.destroy()
    return code
  }
  const body = errorJson(code, message)
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: ${JSON_TYPE}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
      `access-control-allow-origin: *\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n${body}`,
  )
  return code
}
