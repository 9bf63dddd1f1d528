import { createHash, timingSafeEqual } from 'node:crypto'

import type { FastifyInstance } from 'fastify'

import { HttpError } from './errors.ts'

/** Routes below are the operator's alone: every one of them wants the token, and is closed to pages of other origins. */
export const OPERATOR_PREFIX = '/v2/operator/'

/**
 * Guards all routes below `OPERATOR_PREFIX`: they want `Authorization: Bearer <token>` (RFC 6750), looked at before a body is
 * read. To be called before cross-origin rules and routes are added.
 *
 * @param token 64 hex digits; undefined: nobody is the operator
 */
export function installOperatorGuard(app: FastifyInstance, token: string | undefined): void {
  // Digests have one length, whatever was sent, so that the comparison takes one time.
  const expected = token === undefined ? undefined : digestOf(`Bearer ${token}`)

  app.addHook('onRequest', (request, _reply, done) => {
    if (request.method === 'OPTIONS' && request.url.startsWith(OPERATOR_PREFIX)) {
      return done(new HttpError(405, 'method_not_allowed', 'This address is not for pages of other origins.'))
    }
    if (request.routeOptions.url?.startsWith(OPERATOR_PREFIX) !== true) return done()
    const given = request.headers.authorization
    if (expected !== undefined && given !== undefined && timingSafeEqual(digestOf(given), expected)) return done()
    const message =
      "This is for the node's operator: send what is in the file operator-token of its data directory as a bearer token."
    return done(new HttpError(401, 'operator_only', message, { 'www-authenticate': 'Bearer' }))
  })

  app.addHook('onSend', (request, reply, _payload, done) => {
    if (request.routeOptions.url?.startsWith(OPERATOR_PREFIX) === true) {
      reply.removeHeader('access-control-allow-origin').removeHeader('access-control-expose-headers')
    }
    done()
  })
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
