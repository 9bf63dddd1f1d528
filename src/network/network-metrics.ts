import type { Metrics } from '../observe/types.ts'
import type { createGossip } from './gossip.ts'
import type { PeerPlaces } from './peer-places.ts'

/** What the metrics of the network read. */
interface Measured {
  readonly places: Pick<PeerPlaces, 'losses'>
  readonly gossip: ReturnType<typeof createGossip>
  readonly peers: () => number
  readonly missing: () => number
  readonly duplicates: () => number
}

export function registerNetworkMetrics(
  metrics: Metrics,
  { places, gossip, peers, missing, duplicates }: Measured,
): void {
  metrics.counters(
    'peer_connections_lost_total',
    'Connections of other hosts that were not taken, or closed to make room, by reason.',
    'reason',
    () => places.losses,
  )
  metrics.gauge('peers', 'Connected peers.', peers)
  metrics.gauge('configured_peers_unreachable', 'Configured peers without a connection.', missing)
  metrics.gauge(
    'gossip_peers',
    'Connected peers that follow the topic of this network.',
    () => gossip.subscribers().size,
  )
  metrics.gauge('gossip_queued_bytes', 'Own records that wait to be sent, in bytes.', gossip.queuedBytes)
  metrics.gauge('gossip_remembered_messages', 'Messages whose deliverers are remembered.', gossip.remembered)
  metrics.counter('gossip_dropped_records_total', 'Own records that gossip dropped.', gossip.droppedRecords)
  metrics.counter('gossip_duplicate_messages_total', 'Gossip messages that had been seen.', duplicates)
  metrics.gauge('gossip_waiting_bytes', 'Received messages that wait to be validated, in bytes.', gossip.waitingBytes)
}
