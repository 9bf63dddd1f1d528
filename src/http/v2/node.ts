import { createHash } from 'node:crypto'
import type { Static } from 'typebox'

import { etagOfHash, matchesEtag } from '../answers/etag.ts'
import { RECORDS_BODY_BYTES, RECORDS_PER_REQUEST } from '../lib/limits.ts'
import { JSON_TYPE } from '../lib/errors.ts'
import type { HttpApp, RouteParts } from '../lib/parts.ts'
import { responses, textOf } from '../lib/schemas.ts'
import { MAX_PAYLOAD_BYTES } from '../../record/limits.ts'
import { HealthAnswer, PeersAnswer, StatusAnswer } from './status-schemas.ts'
import { NodeAnswer } from './node-schema.ts'

const TAGS = ['Node']
/** The operator changes these facts by a restart; addresses may change while the node runs. */
const NODE_CACHE_CONTROL = 'public, max-age=60'
const LIMITS = {
  record_bytes: MAX_PAYLOAD_BYTES,
  request_records: RECORDS_PER_REQUEST,
  request_bytes: RECORDS_BODY_BYTES,
}

/** Calls about the node itself: health, what the operator says, status, peers, metrics. */
export function addNodeRoutes(
  app: HttpApp,
  { store, hosting, network, disk, environment: { clock }, metrics, streams, facts }: RouteParts,
): void {
  const startedAtMs = clock.now()
  const { about, ...state } = facts

  app.get(
    '/healthz',
    {
      schema: {
        tags: TAGS,
        operationId: 'getHealth',
        summary: 'Whether the node answers',
        response: responses({ 200: HealthAnswer }),
      },
    },
    () => Promise.resolve({ hello: 'kv server', version: facts.version, network: facts.network } as const),
  )

  app.get(
    '/v2/status',
    {
      schema: {
        tags: TAGS,
        operationId: 'getStatus',
        summary: 'Version, addresses, totals and settings of the node',
        response: responses({ 200: StatusAnswer }),
      },
    },
    () => {
      const { avatars, records, bytes } = store.totals()
      const damage = store.damage()
      return Promise.resolve({
        ...state,
        peer_id: network.peerId,
        addresses: network.addresses(),
        peers: network.peers().length,
        reachability: network.reachability(),
        avatars,
        records,
        bytes,
        hosting: { mode: hosting.mode, policy: hosting.policy, listed: hosting.counts().hosted },
        disk: { state: disk.state(), free_percent: disk.freePercent() ?? null },
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
    '/v2/node',
    {
      schema: {
        tags: TAGS,
        operationId: 'getNode',
        summary: 'Who runs the node, and what it stores for whom',
        description:
          'The operator states this; nothing of it is signed. Caches may store the answer for a minute. The texts are plain text.',
        response: responses({ 200: NodeAnswer }),
      },
    },
    (request, reply) => {
      const answer: Static<typeof NodeAnswer> = {
        ...about,
        network: facts.network,
        version: facts.version,
        peer_id: network.peerId,
        addresses: network.publicAddresses(),
        hosting: { mode: hosting.mode, policy: hosting.policy },
        limits: LIMITS,
      }
      const text = JSON.stringify(answer)
      const etag = etagOfHash(createHash('sha256').update(text))
      reply.header('etag', etag).header('cache-control', NODE_CACHE_CONTROL)
      if (matchesEtag(request.headers['if-none-match'], etag)) return reply.code(304).send()
      return reply.header('content-type', JSON_TYPE).send(text)
    },
  )

  app.get(
    '/v2/peers',
    {
      schema: {
        tags: TAGS,
        operationId: 'listPeers',
        summary: 'Connected peers',
        response: responses({ 200: PeersAnswer }, [403]),
      },
    },
    () => Promise.resolve({ peers: network.peers().map((peer) => ({ ...peer, addresses: [...peer.addresses] })) }),
  )

  app.get(
    '/metrics',
    {
      schema: {
        tags: TAGS,
        operationId: 'getMetrics',
        summary: 'Metrics for Prometheus',
        response: responses({ 200: textOf(['text/plain'], 'Prometheus text format 0.0.4.') }, [403]),
      },
    },
    async (_request, reply) => {
      const { contentType, text } = await metrics.expose()
      return reply.header('content-type', contentType).send(text)
    },
  )
}
