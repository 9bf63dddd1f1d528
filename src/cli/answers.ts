import type { PeerInfo } from '../network/types.ts'
import type { Avatar, Citation, JsonObject, JsonValue, RecordId, StateEntry } from '../record/types.ts'

/** `GET /v2/avatars/{avatar}`. */
export interface AvatarAnswer {
  readonly avatar: Avatar
  readonly network: string
  readonly head: number
  readonly tips: readonly Citation[]
  readonly tips_total: number
  readonly base: Citation | null
  readonly digest: string
  readonly pending: number
  readonly missing: { readonly total: number; readonly ids: readonly RecordId[] }
  readonly namespaces: readonly StateEntry[]
}

/** One record in `GET /v2/avatars/{avatar}/records`. */
export interface RecordAnswer {
  readonly payload: string
  readonly signature: string
  readonly id: RecordId
  readonly status: string
}

export interface RecordsAnswer {
  readonly records: readonly RecordAnswer[]
  readonly digest: string
  readonly cursor: string | null
}

/** One result of `POST /v2/records`. */
export interface SubmitAnswer {
  readonly id: RecordId | null
  readonly status: string
  readonly code?: string
  readonly message?: string
  readonly retry?: boolean
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
}

/** One peer in `GET /v2/peers`. */
export interface PeerAnswer extends PeerInfo {
  /** Null where the peer does not speak sync, or the node does not tell. */
  readonly sync: PeerSyncAnswer | null
}

/** An answer is not what the protocol says; the message names the member. */
export class AnswerError extends Error {
  override readonly name = 'AnswerError'
}

export function parseAvatarAnswer(value: JsonValue): AvatarAnswer {
  const answer = object(value, 'the answer')
  const missing = object(answer['missing'], 'missing')
  return {
    avatar: hex(answer['avatar'], 'avatar', 66),
    network: text(answer['network'], 'network'),
    head: count(answer['head'], 'head'),
    tips: list(answer['tips'], 'tips', (tip) => citation(tip, 'tips')),
    tips_total: count(answer['tips_total'], 'tips_total'),
    base: answer['base'] === null ? null : citation(answer['base'], 'base'),
    digest: text(answer['digest'], 'digest'),
    pending: count(answer['pending'], 'pending'),
    missing: {
      total: count(missing['total'], 'missing.total'),
      ids: list(missing['ids'], 'missing.ids', (id) => hex(id, 'missing.ids', 64)),
    },
    namespaces: list(answer['namespaces'], 'namespaces', (item) => {
      const entry = object(item, 'namespaces')
      return {
        content: object(entry['content'], 'content'),
        identity: text(entry['identity'], 'identity'),
        platform: text(entry['platform'], 'platform'),
      }
    }),
  }
}

export function parseContentAnswer(value: JsonValue): JsonObject {
  return object(value, 'the answer')
}

export function parseRecordsAnswer(value: JsonValue): RecordsAnswer {
  const answer = object(value, 'the answer')
  return {
    records: list(answer['records'], 'records', (item) => {
      const record = object(item, 'records')
      return {
        payload: text(record['payload'], 'payload'),
        signature: text(record['signature'], 'signature'),
        id: hex(record['id'], 'id', 64),
        status: text(record['status'], 'status'),
      }
    }),
    digest: text(answer['digest'], 'digest'),
    cursor: answer['cursor'] === null || answer['cursor'] === undefined ? null : text(answer['cursor'], 'cursor'),
  }
}

export function parseSubmitAnswer(value: JsonValue): SubmitAnswer[] {
  return list(object(value, 'the answer')['results'], 'results', (item) => {
    const result = object(item, 'results')
    return {
      id: result['id'] === null || result['id'] === undefined ? null : hex(result['id'], 'id', 64),
      status: text(result['status'], 'status'),
      ...(typeof result['code'] === 'string' ? { code: result['code'] } : {}),
      ...(typeof result['message'] === 'string' ? { message: result['message'] } : {}),
      ...(typeof result['retry'] === 'boolean' ? { retry: result['retry'] } : {}),
    }
  })
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
  }
}

export function optional<T>(value: JsonValue | undefined, parse: (value: JsonValue) => T): T | null {
  return value === undefined || value === null ? null : parse(value)
}

export function object(value: JsonValue | undefined, name: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(name, 'an object')
  return value
}

function list<T>(value: JsonValue | undefined, name: string, item: (value: JsonValue) => T): T[] {
  if (!Array.isArray(value)) throw wrong(name, 'a list')
  return value.map(item)
}

export function text(value: JsonValue | undefined, name: string): string {
  if (typeof value !== 'string') throw wrong(name, 'a text')
  return value
}

export function count(value: JsonValue | undefined, name: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw wrong(name, 'a whole number')
  return value
}

export function hex(value: JsonValue | undefined, name: string, digits: number): `0x${string}` {
  if (typeof value !== 'string' || value.length !== digits + 2 || !/^0x[0-9a-f]+$/.test(value)) {
    throw wrong(name, `0x and ${digits} hex digits`)
  }
  return value as `0x${string}`
}

function citation(value: JsonValue | undefined, name: string): Citation {
  const { counter, id } = object(value, name)
  return { counter: count(counter, `${name}.counter`), id: hex(id, `${name}.id`, 64) }
}

function wrong(name: string, expected: string): AnswerError {
  return new AnswerError(`${name} is not ${expected}`)
}
