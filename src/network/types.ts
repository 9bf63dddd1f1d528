import type { SignedRecord } from '../record/types.ts'
import type { SyncTransport } from '../sync/types.ts'
import type { Reachability } from './reachability.ts'

export type { Reachability } from './reachability.ts'

/** One connected peer, as `GET /v2/peers` shows it. */
export interface PeerInfo {
  readonly peer_id: string
  /** Multiaddrs of the open connections. */
  readonly addresses: readonly string[]
  readonly direction: 'inbound' | 'outbound'
  /** Whether the peer is in the gossip mesh or subscribed to the topic of this network. */
  readonly gossip: boolean
  /** Unix seconds of the oldest open connection. */
  readonly connected_at: number
  /** The software that the peer says it runs (identify); null if unknown. */
  readonly agent: string | null
  /** Records, new to this node, that the peer delivered by gossip since this node started. */
  readonly gossip_records_in: number
}

export interface Network {
  readonly peerId: string
  /** Multiaddrs to dial this node, each with `/p2p/<peer id>`. Empty before `start`. */
  readonly addresses: () => string[]
  readonly peers: () => PeerInfo[]
  /** Whether peers on the internet can reach this node. */
  readonly reachability: () => Reachability
  /** Streams of the sync protocol with peers. */
  readonly sync: SyncTransport
  /** Streams of the protocol by which peers are asked where an avatar lives. */
  readonly find: SyncTransport
  /** Streams over which nodes follow avatars at peers. */
  readonly follow: SyncTransport
  /**
   * Joins the gossip topic or leaves it. A node that has left still publishes its own records, to up to 6 peers that follow the
   * topic. At the start a node is on the topic unless `joinsGossip` is false.
   */
  useGossip(on: boolean): void
  /** Queues records for gossip; they leave in batches, by size and a few milliseconds. Never throws. */
  publish(records: readonly SignedRecord[]): void
  start(): Promise<void>
  /** Sends what is queued, closes all connections. */
  stop(): Promise<void>
}
