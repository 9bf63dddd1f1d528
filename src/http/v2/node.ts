import type { HttpApp, RouteParts } from '../lib/parts.ts'
import { responses } from '../lib/schemas.ts'
import { HealthAnswer, PeersAnswer, StatusAnswer } from './schemas.ts'

const TAGS = ['Node']

/** Calls about the node itself: health, status, peers, metrics. */
export function addNodeRoutes(
  app: HttpApp,
  { store, hosting, network, environment: { clock }, metrics, streams, facts }: RouteParts,
): void {
  const startedAtMs = clock.now()

  app.get(
    '/healthz',
    { schema: { tags: TAGS, summary: 'Whether the node answers', response: responses({ 200: HealthAnswer }) } },
    () => Promise.resolve({ hello: 'kv server', version: facts.version, network: facts.network } as const),
  )

  app.get(
    '/v2/status',
    {
      schema: {
        tags: TAGS,
        summary: 'Version, addresses, totals and settings of the node',
        response: responses({ 200: StatusAnswer }),
      },
    },
    () => {
      const { avatars, records, bytes } = store.totals()
      const damage = store.damage()
      return Promise.resolve({
        ...facts,
        peer_id: network.peerId,
        addresses: network.addresses(),
        peers: network.peers().length,
        avatars,
        records,
        bytes,
        hosting: { mode: hosting.mode, policy: hosting.policy, listed: hosting.counts().hosted },
        subscribers: streams.count(),
        epoch: store.epoch,
        damage:
          damage === undefined
            ? null
            : { found_at: damage.foundAt, files: [...damage.files], records_lost: damage.recordsLost },
        uptime_seconds: Math.max(0, Math.floor((clock.now() - startedAtMs) / 1000)),
      })
    },
  )

  app.get(
    '/v2/peers',
    { schema: { tags: TAGS, summary: 'Connected peers', response: responses({ 200: PeersAnswer }) } },
    () => Promise.resolve({ peers: network.peers().map((peer) => ({ ...peer, addresses: [...peer.addresses] })) }),
  )

  app.get('/metrics', { schema: { tags: TAGS, summary: 'Metrics for Prometheus' } }, async (_request, reply) => {
    const { contentType, text } = await metrics.expose()
    return reply.header('content-type', contentType).send(text)
  })
}
