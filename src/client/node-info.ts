/** What a node says of itself and its peers (`GET /v2/status`, `/v2/peers`), checked. */
import type { JsonValue } from '../record/types.ts'
import { MAX_PAGE_BYTES, MAX_SMALL_ANSWER_BYTES } from './limits.ts'
import { count, fields, list, openFields, optional, text } from './shapes.ts'
import type { Transport } from './transport.ts'

/** Nodes may say more than this. */
export type StatusAnswer = ReturnType<typeof parseStatus>
export const statusShapes = {
  version: text,
  network: text,
  peer_id: text,
  addresses: list(text),
  peers: count,
  avatars: count,
  records: count,
}
const parseStatus = openFields(statusShapes)

/** How sync with a peer stands. Nodes may say more than this. Null: the node does not tell. */
export type PeerSyncAnswer = ReturnType<typeof parsePeerSync>
const parsePeerSync = openFields({
  state: text,
  progress: optional(fields({ done: count, total: optional(count) })),
  last: optional(
    openFields({ finished_at: count, outcome: text, differences: count, refused_here: count, refused_there: count }),
  ),
  error: optional(text),
  /** Failures in a row. */
  failures: optional(count),
  records_in: optional(count),
  records_out: optional(count),
})

/** One peer of a node. */
export type PeerAnswer = ReturnType<typeof parsePeers>[number]
const parsePeersAnswer = fields({
  peers: list(
    fields({
      peer_id: text,
      /** Multiaddrs. */
      addresses: list(text),
      direction: (value) => (value === 'inbound' ? 'inbound' : 'outbound'),
      gossip: (value) => value === true,
      /** Unix seconds. */
      connected_at: count,
      agent: (value) => (typeof value === 'string' ? value : null),
      /** Null where the node does not tell. */
      gossip_records_in: optional(count),
      /** Null where the peer does not speak sync, or the node does not tell. */
      sync: optional(parsePeerSync),
    }),
  ),
})

/** @throws TypeError */
export const parsePeers = (value: JsonValue | undefined) => parsePeersAnswer(value).peers

/** @throws ClientError */
export async function readStatus(transport: Transport): Promise<StatusAnswer> {
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
