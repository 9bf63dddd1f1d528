import type { FastifyInstance } from 'fastify'

import { Shares } from '../../shares/shares.ts'
import type { ShareLimits } from '../../shares/types.ts'
import type { ClientAddresses } from '../lib/client-address.ts'
import { HttpError } from '../lib/errors.ts'

/** Seconds after which a refused client may retry. */
const BUSY_RETRY_S = '1'

/**
 * Limits the requests that are handled at the same time, for each client. Limits on connections do not do that behind a
 * reverse proxy, which owns them all. Call it before routes are added.
 */
export function installRequestShares(
  app: FastifyInstance,
  { clients, limits }: { readonly clients: ClientAddresses; readonly limits: ShareLimits },
): void {
  const shares = new Shares(limits)
  app.addHook('onRequest', (request, reply, done) => {
    const place = shares.take(clients.ofRequest(request.raw), 1)
    if (typeof place === 'string') {
      const [status, code, message] =
        place === 'full'
          ? ([
              503,
              'busy',
              `The node already handles as many requests as it can. Try again in ${BUSY_RETRY_S} s.`,
            ] as const)
          : ([429, 'too_many_requests', 'Your address has too many open requests. Wait for their answers.'] as const)
      return done(new HttpError(status, code, message, { 'retry-after': BUSY_RETRY_S }))
    }
    reply.raw.on('close', () => place.release())
    return done()
  })
}
