import type { Connection, Libp2p, PeerId } from '@libp2p/interface'

import type { Clock } from '../platform/environment.ts'
import { isGossipProtocol } from './stream-repair.ts'
import type { PeerInfo } from './types.ts'

/** Longest kept text of the software that a peer says it runs. */
const MAX_AGENT_CHARACTERS = 128

/** libp2p remembers every peer that ever connected, without a bound. Peers that left this long ago are removed. */
const FORGET_AFTER_MS = 300_000
/** Most peers that left and are still remembered, about 5 KB each. The first that left are removed first. */
const MAX_GONE = 1024

/** What is known about peers: connections from libp2p, and what peers say about themselves (identify). */
export function createPeerBook({ libp2p, clock }: { libp2p: Libp2p; clock: Clock }) {
  const notes = new Map<string, { agent: string | null; gossip: boolean }>()
  const kept = new Set<string>()
  const connected = new Set<string>()
  /** Records that gossip brought, by peer: of peers that are connected, kept, or in `gone`. */
  const received = new Map<string, number>()
  // In the order in which they left.
  const gone = new Map<string, { peer: PeerId; sinceMs: number }>()

  function forgetOld(): void {
    for (const [id, { peer, sinceMs }] of gone) {
      if (gone.size <= MAX_GONE && clock.now() - sinceMs < FORGET_AFTER_MS) return
      gone.delete(id)
      received.delete(id)
      libp2p.peerStore.delete(peer).catch(() => {
        // It is no longer in the store, which is the goal.
      })
    }
  }

  const onIdentify: Parameters<typeof libp2p.addEventListener<'peer:identify'>>[1] = ({ detail }) => {
    const agent = detail.agentVersion === undefined ? null : printable(detail.agentVersion)
    if (libp2p.getConnections(detail.peerId).length === 0) return
    notes.set(detail.peerId.toString(), { agent, gossip: detail.protocols.some(isGossipProtocol) })
  }
  const onConnect = ({ detail: peer }: CustomEvent<PeerId>): void => {
    connected.add(peer.toString())
    gone.delete(peer.toString())
  }
  const onDisconnect = ({ detail: peer }: CustomEvent<PeerId>): void => {
    const id = peer.toString()
    connected.delete(id)
    notes.delete(id)
    if (!kept.has(id)) gone.set(id, { peer, sinceMs: clock.now() })
    forgetOld()
  }
  libp2p.addEventListener('peer:identify', onIdentify)
  libp2p.addEventListener('peer:connect', onConnect)
  libp2p.addEventListener('peer:disconnect', onDisconnect)

  return {
    /** Connected peers, by peer id. */
    list(gossiping: ReadonlySet<string>): PeerInfo[] {
      const connections = new Map<string, Connection[]>()
      for (const connection of libp2p.getConnections()) {
        const id = connection.remotePeer.toString()
        connections.set(id, [...(connections.get(id) ?? []), connection])
      }
      return [...connections].map(([id, open]) => {
        const oldest = open.reduce((a, b) => (b.timeline.open < a.timeline.open ? b : a))
        return {
          peer_id: id,
          addresses: open.map(({ remoteAddr }) => remoteAddr.toString()),
          direction: oldest.direction,
          gossip: gossiping.has(id),
          connected_at: Math.floor(oldest.timeline.open / 1000),
          agent: notes.get(id)?.agent ?? null,
          gossip_records_in: received.get(id) ?? 0,
        }
      })
    },
    /** Whether the peer says that it supports gossipsub. */
    speaksGossip: (peer: PeerId): boolean => notes.get(peer.toString())?.gossip ?? false,
    /** Counts records that a peer delivered by gossip. */
    received(peer: string, records: number): void {
      // A message may be judged after its peer has left and was removed.
      const isForgotten = !connected.has(peer) && !gone.has(peer) && !kept.has(peer)
      if (!isForgotten) received.set(peer, (received.get(peer) ?? 0) + records)
    },
    /** Never forgets this peer. */
    keep(peer: PeerId): void {
      kept.add(peer.toString())
      gone.delete(peer.toString())
    },
    stop() {
      libp2p.removeEventListener('peer:identify', onIdentify)
      libp2p.removeEventListener('peer:connect', onConnect)
      libp2p.removeEventListener('peer:disconnect', onDisconnect)
    },
  }
}

function printable(text: string): string {
  return text.slice(0, MAX_AGENT_CHARACTERS).replace(/[^\x20-\x7e]/g, '?')
}
