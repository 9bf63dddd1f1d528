import { Shares } from '../../shares/shares.ts'
import { refusedShare } from '../lib/errors.ts'
import type { HttpApp, RouteParts } from '../lib/parts.ts'

/**
 * Limits the requests that are handled at the same time, for each client. Limits on connections do not do that behind a
 * reverse proxy, which owns them all. Call it before routes are added.
 */
export function installRequestShares(app: HttpApp, { clients, limits }: RouteParts): void {
  const shares = new Shares(limits.requests)
  app.addHook('onRequest', (request, reply, done) => {
    const hold = shares.take(clients.ofRequest(request.raw), 1)
    if (typeof hold === 'string') {
      const advice = 'Wait for their answers.'
      return done(refusedShare(hold, { doing: 'has as many open requests', advice, retryS: 1 }))
    }
    reply.raw.on('close', () => hold.release())
    return done()
  })
}
