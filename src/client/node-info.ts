/** What a node says of itself and its peers (`GET /v2/status`, `/v2/peers`), checked. */
import type { JsonObject, JsonValue } from '../record/types.ts'
import { MAX_PAGE_BYTES, MAX_SMALL_ANSWER_BYTES } from './limits.ts'
import { count, list, object, optional, text } from './shapes.ts'
import type { Transport } from './transport.ts'

/** Nodes may say more than this. */
export interface StatusAnswer {
  readonly version: string
  readonly network: string
  readonly peer_id: string
  readonly addresses: readonly string[]
  readonly peers: number
  readonly avatars: number
  readonly records: number
}

/** How sync with a peer stands; nodes say more than this. */
export interface PeerSyncAnswer {
  readonly state: string
  readonly progress: { readonly done: number; readonly total: number | null } | null
  readonly last: {
    readonly finished_at: number
    readonly outcome: string
    readonly differences: number
    readonly refused_here: number
    readonly refused_there: number
  } | null
  readonly error: string | null
  /** Failures in a row. Null or missing where the node does not tell, as those below. */
  readonly failures?: number | null
  readonly records_in: number | null
  readonly records_out?: number | null
}

/** One peer of a node. */
export interface PeerAnswer {
  readonly peer_id: string
  /** Multiaddrs. */
  readonly addresses: readonly string[]
  readonly direction: 'inbound' | 'outbound'
  readonly gossip: boolean
  /** Unix seconds. */
  readonly connected_at: number
  readonly agent: string | null
  /** Null where the node does not tell. */
  readonly gossip_records_in: number | null
  /** Null where the peer does not speak sync, or the node does not tell. */
  readonly sync: PeerSyncAnswer | null
}

/** @throws ClientError */
export async function readStatus(transport: Transport): Promise<StatusAnswer & JsonObject> {
  const request = { path: '/v2/status', maxBytes: MAX_SMALL_ANSWER_BYTES }
  const { value } = await transport.ask(request, parseStatus)
  if (value === undefined) throw transport.badAnswer('it is no status')
  return value
}

/** @throws ClientError */
export async function readPeers(transport: Transport): Promise<PeerAnswer[]> {
  const { value } = await transport.ask({ path: '/v2/peers', maxBytes: MAX_PAGE_BYTES }, parsePeers)
  if (value === undefined) throw transport.badAnswer('it is no list of peers')
  return value
}

/** @throws TypeError */
export function parseStatus(value: JsonValue): StatusAnswer & JsonObject {
  const answer = object(value, 'the answer')
  return {
    ...answer,
    version: text(answer['version'], 'version'),
    network: text(answer['network'], 'network'),
    peer_id: text(answer['peer_id'], 'peer_id'),
    addresses: list(answer['addresses'], 'addresses', (address) => text(address, 'addresses')),
    peers: count(answer['peers'], 'peers'),
    avatars: count(answer['avatars'], 'avatars'),
    records: count(answer['records'], 'records'),
  }
}

/** @throws TypeError */
export function parsePeers(value: JsonValue): PeerAnswer[] {
  return list(object(value, 'the answer')['peers'], 'peers', (item) => {
    const peer = object(item, 'peers')
    return {
      peer_id: text(peer['peer_id'], 'peer_id'),
      addresses: list(peer['addresses'], 'addresses', (address) => text(address, 'addresses')),
      direction: peer['direction'] === 'inbound' ? 'inbound' : 'outbound',
      gossip: peer['gossip'] === true,
      connected_at: count(peer['connected_at'], 'connected_at'),
      agent: typeof peer['agent'] === 'string' ? peer['agent'] : null,
      gossip_records_in: optional(peer['gossip_records_in'], (records) => count(records, 'gossip_records_in')),
      sync: optional(peer['sync'], (sync) => parsePeerSync(object(sync, 'sync'))),
    }
  })
}

function parsePeerSync(sync: JsonObject): PeerSyncAnswer {
  return {
    ...sync,
    state: text(sync['state'], 'sync.state'),
    progress: optional(sync['progress'], (value) => {
      const { done, total } = object(value, 'sync.progress')
      return {
        done: count(done, 'sync.progress.done'),
        total: optional(total, (all) => count(all, 'sync.progress.total')),
      }
    }),
    last: optional(sync['last'], (value) => {
      const last = object(value, 'sync.last')
      return {
        ...last,
        finished_at: count(last['finished_at'], 'sync.last.finished_at'),
        outcome: text(last['outcome'], 'sync.last.outcome'),
        differences: count(last['differences'], 'sync.last.differences'),
        refused_here: count(last['refused_here'], 'sync.last.refused_here'),
        refused_there: count(last['refused_there'], 'sync.last.refused_there'),
      }
    }),
    error: optional(sync['error'], (value) => text(value, 'sync.error')),
    failures: optional(sync['failures'], (value) => count(value, 'sync.failures')),
    records_in: optional(sync['records_in'], (value) => count(value, 'sync.records_in')),
    records_out: optional(sync['records_out'], (value) => count(value, 'sync.records_out')),
  }
}
