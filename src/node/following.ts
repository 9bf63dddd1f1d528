import type { Config } from '../config/load.ts'
import { createFollower } from '../follow/follower.ts'
import { createFollowServer } from '../follow/server.ts'
import type { Hosting } from '../hosting/types.ts'
import type { Ingest, Origin } from '../ingest/types.ts'
import type { Network } from '../network/types.ts'
import type { Logger, Metrics } from '../observe/types.ts'
import type { Environment } from '../platform/environment.ts'
import { payloadHead } from '../record/payload-head.ts'
import type { SignedRecord } from '../record/types.ts'
import type { Sync } from '../sync/sync.ts'

interface Parts {
  readonly hosting: Pick<Hosting, 'hosts' | 'scope' | 'mode' | 'onChange'>
  readonly ingest: Pick<Ingest, 'submit'>
  readonly network: Pick<Network, 'follow' | 'useGossip'> & {
    peers(): readonly { readonly peer_id: string; readonly gossip: boolean }[]
  }
  readonly sync: Pick<Sync, 'nudge' | 'peers'>
  readonly environment: Environment
  readonly logger: Logger
  readonly metrics: Metrics
}

export interface Following {
  /** Sends new records to peers that follow their avatars. */
  push(records: readonly SignedRecord[], origin: Origin): void
  start(): void
  stop(): void
}

/** Follows the node's list at peers, and serves peers that follow avatars here. */
export function openFollowing(parts: Parts, config: Pick<Config, 'network' | 'gossip'>): Following {
  const { hosting, ingest, network, sync, environment, logger, metrics } = parts
  const transport = network.follow
  const avatarOf = (payload: Uint8Array) => payloadHead(payload)?.avatar
  const server = createFollowServer(
    {
      transport,
      hosts: (avatar) => hosting.hosts(avatar),
      avatarOf,
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
      comparedAtMs(peer) {
        const last = sync.peers().find(({ peer_id }) => peer_id === peer)?.last
        return last && last.outcome !== 'different' ? last.finished_at * 1_000 : undefined
      },
      avatarOf,
      environment,
      logger,
      metrics,
    },
    config,
  )
  // Without gossip the operator wants sync alone.
  const follows = config.gossip && hosting.mode === 'listed'
  return {
    push(records, origin) {
      server.push(records)
      if (follows && origin === 'sync') follower.synced(records)
    },
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
