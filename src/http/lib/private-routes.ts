import { createHash, timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'

import type { FastifyInstance, FastifyRequest } from 'fastify'

import { createNetworkList } from '../../shares/networks.ts'
import { HttpError } from './errors.ts'

/** Routes below are the operator's alone: every one of them wants the token. */
export const OPERATOR_PREFIX = '/v2/operator/'
/** Open to every program that can reach the node, and closed to pages of other origins. */
const UNREADABLE_BY_PAGES: ReadonlySet<string> = new Set(['/v2/peers', '/metrics'])

/** RFC 6750: the scheme in any case, one space or more, the token. */
const BEARER = /^bearer +(\S+) *$/i
/** Names that no public DNS zone can hold, so that no page can have one of them point to this machine. */
const LOCAL_NAME = /^(?:[^.]+|.+\.(?:localhost|local|internal|home\.arpa|test))\.?$/i

/** No private route is written without one of these; nearly all requests end here. */
const MAYBE_PRIVATE = /operator|peers|metrics|%/i

/** Of HTTP, where a `Host` names none. */
const DEFAULT_PORT = '80'

/** Times that an escaped address is unescaped at most: `%252e` is `%2e` is `.`. */
const MAX_ESCAPES = 3

/**
 * Guards routes that are not for everybody. The operator's want `Authorization: Bearer <token>` (RFC 6750), looked at before a
 * body is read. They, the peers and the metrics carry no `Access-Control-Allow-Origin` and answer no preflight. A page that
 * had its own name point to this machine (DNS rebinding) would not need those: on a connection from this machine, peers and
 * metrics are shown under an IP address or a local name only, or through a reverse proxy. Call it before cross-origin rules
 * and routes are added.
 *
 * @param token 64 hex digits; undefined: nobody is the operator
 */
export function installPrivateRoutes(app: FastifyInstance, token: string | undefined): void {
  const expected = token === undefined ? undefined : digestOf(token)
  const isThisMachine = createNetworkList(['loopback'])

  app.addHook('onRequest', (request, _reply, done) => {
    const kind = kindOf(request)
    if (kind === 'public') return done()
    if (request.method === 'OPTIONS') {
      return done(new HttpError(405, 'method_not_allowed', 'This address is not for pages of other origins.'))
    }
    if (kind === 'no_pages') return done(isRebound(request) ? wrongHost(request) : undefined)
    const given = BEARER.exec(request.headers.authorization ?? '')?.[1]
    // Digests have one length, whatever was sent, so that the comparison takes one time.
    if (expected !== undefined && given !== undefined && timingSafeEqual(digestOf(given), expected)) return done()
    const message =
      "This is for the node's operator. Send the content of the file operator-token in its data directory as a bearer token."
    return done(new HttpError(401, 'operator_only', message, { 'www-authenticate': 'Bearer' }))
  })

  app.addHook('onSend', (request, reply, _payload, done) => {
    if (kindOf(request) !== 'public') {
      reply.removeHeader('access-control-allow-origin').removeHeader('access-control-expose-headers')
      reply.header('cross-origin-resource-policy', 'same-origin')
    }
    done()
  })

  /**
   * Whether a browser on this machine may have been led here by a name of somebody else. A request through a proxy has the
   * proxy's header, but a page can send that as well. A page cannot change the port in `Host`, which is this server's then;
   * behind a proxy it is that of the proxy.
   */
  function isRebound({ socket, headers }: FastifyRequest): boolean {
    if (!isThisMachine(socket.remoteAddress ?? '')) return false
    const [, name = '', port = DEFAULT_PORT] = /^(.*?)(?::(\d*))?$/.exec(headers.host ?? '') ?? []
    const isForwarded = headers['x-forwarded-for'] !== undefined || headers.forwarded !== undefined
    if (isForwarded && Number(port) !== socket.localPort) return false
    const host = name.replace(/^\[(.*)\]$/, '$1')
    return host !== '' && isIP(host) === 0 && !LOCAL_NAME.test(host)
  }
}

/**
 * By the route that was found and by the address, however it is written: what a router, a proxy or a page may take for a
 * private route is treated as one.
 */
function kindOf(request: FastifyRequest): 'operator' | 'no_pages' | 'public' {
  if (!MAYBE_PRIVATE.test(request.url)) return 'public'
  for (const path of [request.routeOptions.url ?? '', plainPath(request.url)]) {
    if (`${path}/`.startsWith(OPERATOR_PREFIX)) return 'operator'
    if (UNREADABLE_BY_PAGES.has(path)) return 'no_pages'
  }
  return 'public'
}

/** The path of an address without escapes, dots, doubled or trailing slashes, in lower case. */
function plainPath(url: string): string {
  let path = url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '').split(/[?#]/, 1)[0] ?? ''
  for (let n = 0; n < MAX_ESCAPES && path.includes('%'); n++) path = unescaped(path)
  const segments: string[] = []
  for (const segment of path.replaceAll('\\', '/').toLowerCase().split('/')) {
    if (segment === '..') segments.pop()
    else if (segment !== '' && segment !== '.') segments.push(segment)
  }
  return `/${segments.join('/')}`
}

function unescaped(path: string): string {
  return path.replace(/%([0-7][0-9a-f])/gi, (_escape, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  )
}

function wrongHost({ headers, socket, routeOptions }: FastifyRequest): HttpError {
  const name = JSON.stringify((headers.host ?? '').slice(0, 100))
  const here = `http://127.0.0.1:${socket.localPort ?? DEFAULT_PORT}${routeOptions.url ?? ''}`
  const message =
    `The node does not show this to a program on its own machine under the name ${name}: a web page could have that name ` +
    `point to this machine and read it (DNS rebinding). Use an IP address or localhost, such as ${here}, or read it through a ` +
    'reverse proxy on another port that sends X-Forwarded-For.'
  return new HttpError(403, 'wrong_host', message)
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
