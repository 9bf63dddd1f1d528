import type { PeerState } from './peers.ts'

type Peer = Pick<PeerState, 'id' | 'outbound' | 'lastTurn'>

interface Host {
  /** Sessions under way that this node opened. */
  sessions: number
  lastTurn: number
}

/**
 * Divides the sessions that a node opens between hosts. A host has half of them at most. The next one is for the host that
 * has the fewest, of those for the one whose last turn is longest ago, and within a host for the peer that waits longest. So
 * a host with many peers delays another host by one turn, not by one for each peer.
 *
 * A session that has had its turn (`isLong`) ends for a peer that waits, if that peer then gets the place: of its own host,
 * or of a host with more sessions.
 *
 * @param waiting in the order in which they began to wait
 * @param peers all peers, those that wait included
 * @param places sessions at once
 * @returns the peer to call, or the peer whose session must end to make room; neither if nothing can be done
 */
export function decideCall<T extends Peer>(
  waiting: ReadonlySet<T>,
  peers: readonly T[],
  hostOf: (peer: string) => string,
  places: number,
): { readonly call?: T; readonly end?: T } {
  if (waiting.size === 0) return {}
  const hosts = new Map<string, Host>()
  for (const { id, outbound, lastTurn } of peers) {
    const key = hostOf(id)
    const host = hosts.get(key) ?? { sessions: 0, lastTurn: 0 }
    if (outbound !== null) host.sessions += 1
    host.lastTurn = Math.max(host.lastTurn, lastTurn)
    hosts.set(key, host)
  }
  const hostOfPeer = ({ id }: T): Host => hosts.get(hostOf(id)) ?? { sessions: 0, lastTurn: 0 }
  const next = first([...waiting], (a, b) => {
    const [one, other] = [hostOfPeer(a), hostOfPeer(b)]
    return one.sessions - other.sessions || one.lastTurn - other.lastTurn
  })
  if (next === undefined) return {}
  const running = peers.filter(({ outbound }) => outbound !== null)
  const isFull = running.length >= places
  const own = hostOfPeer(next)
  if (!isFull && own.sessions < Math.ceil(places / 2)) return { call: next }
  const mayEnd = (peer: T): boolean => {
    const host = hostOfPeer(peer)
    return peer.outbound?.isLong === true && (host === own || (isFull && host.sessions > own.sessions))
  }
  const end = first(running.filter(mayEnd), (a, b) => hostOfPeer(b).sessions - hostOfPeer(a).sessions)
  return end === undefined ? {} : { end }
}

function first<T>(items: readonly T[], compare: (a: T, b: T) => number): T | undefined {
  return items.reduce<T | undefined>(
    (best, item) => (best === undefined || compare(item, best) < 0 ? item : best),
    undefined,
  )
}
