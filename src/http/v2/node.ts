import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox'
import type { Static } from 'typebox'

import type { Clock } from '../../platform/environment.ts'
import type { HostingRules } from '../../hosting/types.ts'
import type { Metrics } from '../../observe/types.ts'
import type { StoreReader } from '../../store/types.ts'
import { responses } from '../lib/schemas.ts'
import { HealthAnswer, PeersAnswer, StatusAnswer } from './schemas.ts'
import type { PeerSync } from './schemas.ts'

const TAGS = ['Node']

/** A connected peer as the network part describes it. */
export interface ShownPeer {
  readonly peer_id: string
  readonly addresses: readonly string[]
  readonly direction: 'inbound' | 'outbound'
  readonly gossip: boolean
  readonly connected_at: number
  readonly agent: string | null
  readonly gossip_records_in: number
  /** State of sync with the peer; null if the peer does not support sync. */
  readonly sync: ShownSync | null
}

/** State of sync with a peer as the sync part describes it. */
export type ShownSync = Static<typeof PeerSync>

/** The part of the network that the HTTP part shows; an interface, because `http/` does not import `network/`. */
export interface ShownNetwork {
  readonly peerId: string
  addresses(): string[]
  peers(): ShownPeer[]
}

export interface NodeComponents {
  readonly store: Pick<StoreReader, 'epoch' | 'totals' | 'damage'>
  readonly hosting: Pick<HostingRules, 'mode' | 'policy' | 'counts'>
  readonly network: ShownNetwork
  readonly clock: Clock
  readonly metrics: Metrics
  /** Open event streams. */
  readonly subscribers: () => number
}

export interface NodeFacts {
  readonly version: string
  readonly network: string
  /** Name of the engine that verifies signatures, if known. */
  readonly engine?: string
}

/** Calls about the node itself: health, status, peers, metrics. */
export function v2NodeRoutes(
  { store, hosting, network, clock, metrics, subscribers }: NodeComponents,
  facts: NodeFacts,
): FastifyPluginCallbackTypebox {
  const startedAtMs = clock.now()

  return (app, _options, done) => {
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
          version: facts.version,
          network: facts.network,
          peer_id: network.peerId,
          addresses: network.addresses(),
          peers: network.peers().length,
          avatars,
          records,
          bytes,
          hosting: { mode: hosting.mode, policy: hosting.policy, listed: hosting.counts().hosted },
          subscribers: subscribers(),
          epoch: store.epoch,
          damage:
            damage === undefined
              ? null
              : { found_at: damage.foundAt, files: [...damage.files], records_lost: damage.recordsLost },
          ...(facts.engine === undefined ? {} : { engine: facts.engine }),
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

    done()
  }
}
