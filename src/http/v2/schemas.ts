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
