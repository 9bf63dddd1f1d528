import Type from 'typebox'

import { Count, nullable, object } from '../lib/schemas.ts'

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
