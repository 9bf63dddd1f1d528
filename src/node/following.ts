import type { Config } from '../config/load.ts'
import { createFollower } from '../follow/follower.ts'
import { createFollowServer } from '../follow/server.ts'
import type { Hosting } from '../hosting/types.ts'
import type { Ingest } from '../ingest/types.ts'
import type { Network } from '../network/types.ts'
import type { Logger, Metrics } from '../observe/types.ts'
import type { Environment } from '../platform/environment.ts'
import { payloadHead } from '../record/payload-head.ts'
import type { SignedRecord } from '../record/types.ts'
import type { Sync } from '../sync/sync.ts'

interface Parts {
  readonly hosting: Hosting
  readonly ingest: Ingest
  readonly network: Network
  readonly sync: Sync
  readonly environment: Environment
  readonly logger: Logger
  readonly metrics: Metrics
}

export interface Following {
  /** Sends new records to peers that follow their avatars. */
  push(records: readonly SignedRecord[]): void
  start(): void
  stop(): void
}

/** Follows the node's list at peers, and serves peers that follow avatars here. */
export function openFollowing(parts: Parts, config: Pick<Config, 'network' | 'gossip'>): Following {
  const { hosting, ingest, network, sync, environment, logger, metrics } = parts
  const transport = network.follow
  const server = createFollowServer(
    {
      transport,
      hosts: (avatar) => hosting.hosts(avatar),
      avatarOf: (payload) => payloadHead(payload)?.avatar,
      environment,
      metrics,
    },
    config,
  )
  const follower = createFollower(
    {
      transport,
      scope: () => hosting.scope(),
      ingest,
      gossipPeers: () => network.peers().flatMap(({ peer_id, gossip }) => (gossip ? [peer_id] : [])),
      useGossip: (on) => network.useGossip(on),
      nudge: () => sync.nudge(),
      environment,
      logger,
      metrics,
    },
    config,
  )
  // Without gossip the operator wants sync alone.
  const follows = config.gossip && hosting.mode === 'listed'
  return {
    push: (records) => server.push(records),
    start() {
      const changed = follows ? follower.changed : () => undefined
      transport.listen({ stream: server.serve, connected: changed, disconnected: changed })
      if (!follows) return
      hosting.onChange(follower.changed)
      follower.start()
    },
    stop: () => follower.stop(),
  }
}
