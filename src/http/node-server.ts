import { createServer } from 'node:http'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

import { answerClientError } from './client-errors.ts'
import type { HttpLimits } from './limits.ts'

/** How often Node looks for requests that take too long, in ms: how far beyond their timeout they may go. */
const TIMEOUT_CHECK_MS = 5000

/**
 * The server below the framework, with its bounds on connections and time.
 *
 * @param shortcut sees each request first; where it returns true, it has answered
 * @param longRequests connections whose request may take longer than `requestTimeoutMs`: who put them there bounds them
 */
export function createNodeServer(
  handler: RequestListener,
  shortcut: (request: IncomingMessage, response: ServerResponse) => boolean,
  longRequests: WeakSet<Socket>,
  limits: HttpLimits,
): Server {
  const server = createServer(
    {
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: Math.min(TIMEOUT_CHECK_MS, limits.headersTimeoutMs),
    },
    (request, response) => {
      if (shortcut(request, response)) return
      // Bodies are what their route takes, whatever this says; the framework would refuse what is malformed.
      if (request.headers['content-type'] !== undefined) request.headers['content-type'] = 'application/octet-stream'
      handler(request, response)
    },
  )
  server.maxConnections = limits.maxConnections
  server.setTimeout(limits.idleTimeoutMs)
  server.on('clientError', (error: Error & { code?: string }, socket: Socket) => {
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && longRequests.has(socket)) return
    answerClientError(error, socket)
  })
  return server
}
