import Type from 'typebox'

import { AvatarText, object } from '../lib/schemas.ts'

/** As many as an address of 16 KiB can hold. */
const MAX_AVATARS = 100

const Flag = Type.Enum(['true', 'false'], { default: 'false' })

export const ArchiveQuery = object({
  avatar: Type.Optional(
    Type.Union([AvatarText, Type.Array(AvatarText, { maxItems: MAX_AVATARS })], {
      description: `May be repeated, up to ${MAX_AVATARS} times. Left out: all that the node hosts.`,
    }),
  ),
  history: Type.Optional({ ...Flag, description: 'Superseded records too, as far as the node keeps them.' }),
  gzip: Type.Optional({ ...Flag, description: 'Compressed (RFC 1952).' }),
})

const Count = Type.Integer({ minimum: 0 })

const Fault = object({
  code: Type.String(),
  line: Type.Integer({ description: 'From 1.' }),
  message: Type.String(),
  record_code: Type.Optional(Type.String({ description: 'For `bad_record`: why it is invalid.' })),
  fatal: Type.Boolean({ description: 'Whether nothing after it was read.' }),
})

export const ImportAnswer = object(
  {
    network: Type.Union([Type.String(), Type.Null()], { description: 'Of the header; null where there is none.' }),
    created_at: Type.Union([Type.Integer(), Type.Null()]),
    records: Type.Integer({ minimum: 0, description: 'Lines with a record. What became of them:' }),
    stored: Count,
    pending: Count,
    duplicate: Count,
    superseded: Count,
    refused: Count,
    invalid: Count,
    skipped: Type.Integer({ minimum: 0, description: 'Of avatars that were not asked for.' }),
    bytes: Type.Integer({ minimum: 0, description: 'Decompressed.' }),
    trailer: Type.Enum(['good', 'wrong', 'missing']),
    sound: Type.Boolean({ description: 'Whether nothing at all is wrong with the archive.' }),
    refusals: Type.Unsafe<Record<string, unknown>>(
      Type.Object({}, { additionalProperties: true, description: 'By code: `{"count","retry","message"}`.' }),
    ),
    faults: object({
      total: Count,
      codes: Type.Unsafe<Record<string, number>>(Type.Object({}, { additionalProperties: true })),
      first: Type.Array(Fault, { description: 'The first 20.' }),
      stopped: Type.Union([Fault, Type.Null()], { description: 'The one at which reading stopped.' }),
    }),
  },
  'Import',
)
