import Type from 'typebox'

import { RECORDS_PER_REQUEST } from '../lib/limits.ts'
import {
  AnyJsonObject,
  AvatarText,
  CitationSchema,
  Count,
  IdentityText,
  nullable,
  object,
  PageLimit,
  PlatformText,
  RecordIdText,
} from '../lib/schemas.ts'

const CanonicalAvatar = Type.String({ description: '`0x` and the compressed key.' })
const Digest = Type.String({ description: '64 hexadecimal digits: equal digests, equal state.' })
const CursorText = Type.String({ maxLength: 64, description: 'The cursor of an earlier answer, unchanged.' })

export const AvatarParams = object({ avatar: AvatarText })

const linked = Type.Optional(
  Type.Enum(['true', 'false'], {
    description: 'Whether to show the linked view: with the values of the avatars that this one links to.',
  }),
)
export const LinkedQuery = object({ linked })

export const AvatarAnswer = object(
  {
    avatar: CanonicalAvatar,
    network: Type.String(),
    head: Type.Integer({ description: 'The greatest counter among the tips; 0 without any.' }),
    tips: Type.Array(CitationSchema, { description: 'The greatest 16 tips, ready to be cited.' }),
    tips_total: Type.Integer(),
    base: nullable(CitationSchema),
    digest: Digest,
    pending: Type.Integer({
      description: 'Patches that are stored and not shown, because records that they cite are missing.',
    }),
    missing: object({ total: Type.Integer(), ids: Type.Array(RecordIdText) }),
    linked_digest: Type.Optional({ ...Digest, description: 'With `linked=true`: equal digests, equal linked views.' }),
    links: Type.Optional(
      Type.Array(
        object({
          key: Type.String({ description: 'The top-level key that the linked avatar writes.' }),
          avatar: CanonicalAvatar,
          label: nullable(Type.String({ description: 'What the owner was told about the app.' })),
          digest: nullable({ ...Digest, description: 'Of the linked avatar; null if nothing of it is shown here.' }),
        }),
        { description: 'With `linked=true`: the links that count, at most 64, in order of their keys.' },
      ),
    ),
    namespaces: Type.Array(object({ platform: Type.String(), identity: Type.String(), content: AnyJsonObject })),
  },
  'Avatar',
)

export const ReceiptAnswer = object(
  {
    avatar: CanonicalAvatar,
    network: Type.String(),
    head: Type.Integer(),
    id: nullable(RecordIdText, {
      description: 'The id of the greatest visible record, by counter and id; null if nothing is visible.',
    }),
    records: Type.Integer({ description: 'Live records stored, pending ones included.' }),
    digest: Digest,
    time: Type.Integer({ description: 'Unix seconds by the clock of the node.' }),
    peer_id: Type.String({ description: 'The node that signed. The peer id contains its Ed25519 public key.' }),
    signature: Type.String({ description: '`0x` and 64 bytes.' }),
  },
  'Receipt',
)

const Addresses = Type.Array(Type.String())

export const HostsAnswer = object(
  {
    avatar: CanonicalAvatar,
    network: Type.String(),
    hosts: Type.Array(
      object({
        peer_id: Type.String(),
        here: Type.Boolean({ description: 'Whether it is the node that answers.' }),
        age_seconds: Count,
        urls: Addresses,
        addresses: Addresses,
        told_by: nullable(Type.String(), {
          description: 'The peer that passed the receipt on; null if the host gave it to this node itself.',
        }),
        receipt: ReceiptAnswer,
      }),
      { description: 'At most 16. The receipts are verified; `urls` and `addresses` (multiaddrs) are claims.' },
    ),
    homes: Type.Array(Type.String(), {
      description: 'Addresses that the avatar is said to list as its homes: claims, at most 16.',
    }),
    peers_asked: Count,
    peers_answered: Count,
    asked_at: nullable(Type.Integer(), { description: 'Unix seconds; null if no peer was asked.' }),
  },
  'Hosts',
)

export const NamespaceParams = object({
  avatar: AvatarText,
  platform: Type.String({ maxLength: 64 }),
  identity: Type.String({ maxLength: 256, description: 'Percent-encoded. Under `nextid`: the avatar, in any form.' }),
})

/** Names in a query, because URL parsers resolve `.` and `..` in a path, even if percent-encoded. */
const NamespaceQuery = object({ platform: PlatformText, identity: IdentityText })
export const LinkedNamespaceQuery = object({ ...NamespaceQuery.properties, linked })

export const PageQuery = object({
  cursor: Type.Optional(CursorText),
  limit: PageLimit,
})

export const RecordsAnswer = object(
  {
    records: Type.Array(
      object({
        payload: Type.String({ description: 'The exact text that was signed.' }),
        signature: Type.String({ description: '`0x` and 64 bytes r ‖ s.' }),
        id: RecordIdText,
        status: Type.Enum(['stored', 'pending', 'superseded']),
      }),
      { description: 'In order of arrival at this node. A page may have fewer records than asked for.' },
    ),
    digest: Digest,
    cursor: CursorText,
  },
  'Records',
)

/** The cursor is an avatar, because the list is in ascending order of avatars. */
export const AvatarsQuery = object({
  cursor: Type.Optional(AvatarText),
  limit: PageLimit,
})

export const AvatarsAnswer = object(
  {
    avatars: Type.Array(CanonicalAvatar),
    cursor: nullable(Type.String(), { description: 'The cursor of the next page; null at the end.' }),
  },
  'Avatars',
)

export const LinkedFromAnswer = object(
  {
    links: Type.Array(object({ avatar: CanonicalAvatar, key: Type.String() }), {
      description: 'In ascending order of avatars. A page has all keys of an avatar.',
    }),
    cursor: nullable(Type.String(), { description: 'The cursor of the next page; null at the end.' }),
  },
  'LinkedFrom',
)

export const RecordsRequest = object(
  {
    records: Type.Array(
      object({
        payload: Type.String({ description: 'The exact text that was signed.' }),
        signature: Type.String({
          maxLength: 256,
          description: '64 bytes r ‖ s, or 65 with v (0, 1, 27 or 28), as `0x` and hexadecimal or in base64.',
        }),
      }),
      { maxItems: RECORDS_PER_REQUEST },
    ),
  },
  'RecordsRequest',
)

export const RecordsResults = object(
  {
    results: Type.Array(
      object({
        id: nullable(RecordIdText),
        status: Type.Enum(['stored', 'pending', 'duplicate', 'superseded', 'refused', 'invalid']),
        code: Type.Optional(Type.String()),
        message: Type.Optional(Type.String()),
        retry: Type.Optional(Type.Boolean({ description: 'For a refused record: whether a later try may succeed.' })),
      }),
      { description: 'One result for each record, in order.' },
    ),
  },
  'Results',
)

export const EventsQuery = object({ avatar: Type.Optional(AvatarText), linked, after: Type.Optional(CursorText) })

export const StatusAnswer = object(
  {
    version: Type.String(),
    network: Type.String(),
    peer_id: Type.String(),
    addresses: Type.Array(Type.String(), { description: 'Multiaddrs to dial this node.' }),
    peers: Type.Integer(),
    reachability: object({
      state: Type.Enum([
        'reachable',
        'behind_router',
        'behind_provider_nat',
        'firewalled',
        'this_machine_only',
        'unknown',
      ]),
      text: Type.String({ description: 'The state in words, with what to do.' }),
    }),
    avatars: Type.Integer(),
    records: Type.Integer({ description: 'Live records stored.' }),
    bytes: Type.Integer({ description: 'Payloads and signatures of all stored records, history included.' }),
    hosting: object({
      mode: Type.Enum(['all', 'listed']),
      policy: Type.Enum(['open', 'invite', 'closed'], { description: 'Which owners get on the list when they ask.' }),
      listed: Type.Integer({ description: 'Avatars on the list.' }),
    }),
    disk: object({
      state: Type.Enum(['ok', 'low', 'full'], {
        description: '`low`: the node takes no new avatars; `full`: it takes no records.',
      }),
      free_percent: nullable(Type.Number(), { description: 'Free space of the disk that holds the data, if known.' }),
    }),
    subscribers: Type.Integer({ description: 'Open event streams.' }),
    epoch: Type.String({
      description: 'A random name of the store. A store that was made again has another one, and older cursors expire.',
    }),
    damage: nullable(
      object({
        found_at: Type.Integer({ description: 'Unix seconds.' }),
        files: Type.Array(Type.String(), {
          description: 'The damaged files, each with what is wrong; the first 20.',
        }),
        records_lost: nullable(Count, {
          description: 'At least how many records were lost; null if that is unknown. Sync asks peers for them.',
        }),
      }),
      { description: 'The last damage that the node found in its store; null if there was none.' },
    ),
    engine: Type.Optional(Type.String({ description: 'The engine that verifies signatures.' })),
    uptime_seconds: Type.Integer(),
  },
  'Status',
)

export const PeerSync = object(
  {
    state: Type.Enum(
      ['idle', 'waiting', 'backing_off', 'opening', 'reconciling', 'bootstrapping', 'fetching', 'serving'],
      {
        description:
          '`waiting`: for a free session; `backing_off`: after failures; the last five: what the current session does.',
      },
    ),
    role: nullable(Type.Enum(['initiator', 'responder']), {
      description: 'The role in the current session.',
    }),
    progress: nullable(object({ done: Count, total: nullable(Count) }), {
      description: 'Records that the current session has transferred; `total` if known.',
    }),
    last: nullable(
      object({
        finished_at: Type.Integer({ description: 'Unix seconds.' }),
        role: Type.Enum(['initiator', 'responder']),
        outcome: Type.Enum(['equal', 'equal_except_refused', 'different'], {
          description: 'Whether both sides held the same records at the end.',
        }),
        differences: Type.Integer({
          minimum: 0,
          description: 'Records that only one side had at the beginning.',
        }),
        refused_here: Count,
        refused_there: Count,
      }),
      { description: 'The last completed comparison.' },
    ),
    sessions: Type.Integer({ minimum: 0, description: 'Completed sessions since this node started.' }),
    failures: Type.Integer({ minimum: 0, description: 'Consecutive failures since the last completed session.' }),
    error: nullable(Type.String(), { description: 'Code of the last failure.' }),
    records_in: Count,
    records_out: Count,
    bytes_in: Count,
    bytes_out: Count,
  },
  'PeerSync',
)

export const PeersAnswer = object(
  {
    peers: Type.Array(
      object({
        peer_id: Type.String(),
        addresses: Type.Array(Type.String()),
        direction: Type.Enum(['inbound', 'outbound']),
        gossip: Type.Boolean(),
        connected_at: Type.Integer({ description: 'Unix seconds.' }),
        agent: nullable(Type.String()),
        gossip_records_in: Type.Integer({
          minimum: 0,
          description: 'Records, new to this node, that the peer delivered by gossip since this node started.',
        }),
        sync: nullable(PeerSync, { description: 'Null for a peer that does not support sync.' }),
      }),
    ),
  },
  'Peers',
)

export const HealthAnswer = object(
  { hello: Type.Literal('kv server'), version: Type.String(), network: Type.String() },
  'Health',
)
