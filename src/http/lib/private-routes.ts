import { createHash, timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'

import type { FastifyInstance, FastifyRequest } from 'fastify'

import { createNetworkList } from '../../shares/networks.ts'
import { HttpError } from './errors.ts'

/** Every route below this prefix requires the operator's token. */
export const OPERATOR_PREFIX = '/v2/operator/'
/** Open to every program that can reach the node, but not to web pages of other origins. */
const UNREADABLE_BY_PAGES: ReadonlySet<string> = new Set(['/v2/peers', '/metrics'])

/** RFC 6750: the scheme in any case, one space or more, the token. */
const BEARER = /^bearer +(\S+) *$/i
/** Names that no public DNS zone can contain, so an attacker cannot point one of them to this machine. */
const LOCAL_NAME = /^(?:[^.]+|.+\.(?:localhost|local|internal|home\.arpa|test))\.?$/i

/** Every spelling of a private route contains one of these. A quick test that most requests fail. */
const MAYBE_PRIVATE = /operator|peers|metrics|%/i

/** The port of HTTP if `Host` names none. */
const DEFAULT_PORT = '80'

/** How often a path is unescaped at most: `%252e` is `%2e`, which is `.`. */
const MAX_ESCAPES = 3

/**
 * Protects private routes. Operator routes require `Authorization: Bearer <token>` (RFC 6750), checked before a body is read.
 * Operator routes, peers and metrics send no `Access-Control-Allow-Origin` and answer no preflight request. That does not stop
 * a page whose own host name points to this machine (DNS rebinding). So on a connection from this machine, peers and metrics
 * are shown only under an IP address or a local name, or through a reverse proxy. Call it before cross-origin rules and routes
 * are added.
 *
 * @param token 64 hex digits; if undefined, operator routes reject every request
 */
export function installPrivateRoutes(app: FastifyInstance, token: string | undefined): void {
  const expected = token === undefined ? undefined : digestOf(token)
  const isThisMachine = createNetworkList(['loopback'])

  app.addHook('onRequest', (request, _reply, done) => {
    const kind = kindOf(request)
    if (kind === 'public') return done()
    if (request.method === 'OPTIONS') {
      const message = 'Pages of other origins cannot use this address. Use avatar-kv or another program.'
      return done(new HttpError(405, 'method_not_allowed', message))
    }
    if (kind === 'no_pages') return done(isRebound(request) ? wrongHost(request) : undefined)
    const given = BEARER.exec(request.headers.authorization ?? '')?.[1]
    // `timingSafeEqual` needs two inputs of the same length; digests always have it.
    if (expected !== undefined && given !== undefined && timingSafeEqual(digestOf(given), expected)) return done()
    const message =
      'Only the operator of this node may use this address. Send the content of the file operator-token in the data ' +
      'directory of the node as a bearer token.'
    return done(new HttpError(401, 'operator_only', message, { headers: { 'www-authenticate': 'Bearer' } }))
  })

  app.addHook('onSend', (request, reply, _payload, done) => {
    if (kindOf(request) !== 'public') {
      reply.removeHeader('access-control-allow-origin').removeHeader('access-control-expose-headers')
      reply.header('cross-origin-resource-policy', 'same-origin')
    }
    done()
  })

  /**
   * Whether the request may come from a page of a foreign host name that points to this machine. A header of a proxy alone
   * proves nothing, since a page can send it too. But a page cannot forge the port in `Host`: it is the port of this server
   * without a proxy, and the port of the proxy behind one.
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
 * Classifies a request by its route and by its normalised path, so that no other spelling of a private address, which a
 * router or a proxy might accept, gets around the checks.
 */
function kindOf(request: FastifyRequest): 'operator' | 'no_pages' | 'public' {
  if (!MAYBE_PRIVATE.test(request.url)) return 'public'
  for (const path of [request.routeOptions.url ?? '', plainPath(request.url)]) {
    if (`${path}/`.startsWith(OPERATOR_PREFIX)) return 'operator'
    if (UNREADABLE_BY_PAGES.has(path)) return 'no_pages'
  }
  return 'public'
}

/** Returns the path of a URL without escapes, dots, doubled or trailing slashes, in lower case. */
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
    `The node does not answer this request under the host name ${name}: a web page could make that name point to this ` +
    `machine and read the answer (DNS rebinding). Use an IP address or localhost, such as ${here}, or a reverse proxy on ` +
    'another port that sends X-Forwarded-For.'
  return new HttpError(403, 'wrong_host', message)
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
