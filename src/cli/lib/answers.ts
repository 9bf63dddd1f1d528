/** What nodes answer to commands: what the client reads of it, and more. */
import { parsePage, parseRecord, parseResult, parseResults } from '../../client/answers.ts'
import type { RecordAnswer as ClientRecord, RecordsPage, SubmitAnswer as ClientResult } from '../../client/answers.ts'
import type { AvatarDocument } from '../../client/types.ts'
import { count, hex, list, object, optional, text } from '../../client/shapes.ts'
import type { PeerInfo } from '../../network/types.ts'
import type { JsonObject, JsonValue, RecordId } from '../../record/types.ts'

/** `GET /v2/avatars/{avatar}`. */
export type AvatarAnswer = AvatarDocument

/** One record in `GET /v2/avatars/{avatar}/records`. */
export interface RecordAnswer extends ClientRecord {
  readonly status: string
}

export type RecordsAnswer = RecordsPage<RecordAnswer>

/** One result of `POST /v2/records`. */
export interface SubmitAnswer extends ClientResult {
  readonly id: RecordId | null
}

/** `GET /v2/status`; nodes may say more than this. */
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
  /** Null where the node does not tell. */
  readonly records_in: number | null
}

/** One peer in `GET /v2/peers`. */
export interface PeerAnswer extends Omit<PeerInfo, 'gossip_records_in'> {
  /** Null where the node does not tell. */
  readonly gossip_records_in: number | null
  /** Null where the peer does not speak sync, or the node does not tell. */
  readonly sync: PeerSyncAnswer | null
}

export function parseRecordsAnswer(value: JsonValue): RecordsAnswer {
  return parsePage(value, (item) => ({
    ...parseRecord(item),
    status: text(object(item, 'records')['status'], 'status'),
  }))
}

export function parseSubmitAnswer(value: JsonValue): SubmitAnswer[] {
  return parseResults(value, (item) => ({
    id: optional(object(item, 'results')['id'], (id) => hex(id, 'id', 64)),
    ...parseResult(item),
  }))
}

export function parseStatusAnswer(value: JsonValue): StatusAnswer & JsonObject {
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

export function parsePeersAnswer(value: JsonValue): PeerAnswer[] {
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
    records_in: optional(sync['records_in'], (value) => count(value, 'sync.records_in')),
  }
}
