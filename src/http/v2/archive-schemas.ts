import Type from 'typebox'

import { ARCHIVE_TYPE } from '../../archive/format.ts'
import { AvatarText, Count, nullable, object } from '../lib/schemas.ts'

/** More do not fit into a URL of 16 KiB. */
const MAX_AVATARS = 100

/** An archive as text, or compressed. */
export const ARCHIVE_TYPES = [ARCHIVE_TYPE, 'application/gzip']

const Flag = Type.Enum(['true', 'false'], { default: 'false' })

export const ArchiveQuery = object({
  avatar: Type.Optional(
    Type.Union([AvatarText, Type.Array(AvatarText, { maxItems: MAX_AVATARS })], {
      description: `May be repeated, up to ${MAX_AVATARS} times. Without it: every avatar that the node hosts.`,
    }),
  ),
  history: Type.Optional({ ...Flag, description: 'Include superseded records that the node stores.' }),
  gzip: Type.Optional({ ...Flag, description: 'Compress with gzip (RFC 1952).' }),
})

const Fault = object({
  code: Type.String(),
  line: Type.Integer({ description: 'The first line is 1.' }),
  message: Type.String(),
  record_code: Type.Optional(Type.String({ description: 'For `bad_record`: why the record is invalid.' })),
  fatal: Type.Boolean({ description: 'Whether reading stopped there.' }),
})

export const ImportAnswer = object(
  {
    network: nullable(Type.String(), { description: 'From the header; null without one.' }),
    created_at: nullable(Type.Integer()),
    records: Type.Integer({ minimum: 0, description: 'Lines with a record. The next members count their results.' }),
    stored: Count,
    pending: Count,
    duplicate: Count,
    superseded: Count,
    refused: Count,
    invalid: Count,
    skipped: Type.Integer({ minimum: 0, description: 'Records of avatars that were not asked for.' }),
    bytes: Type.Integer({ minimum: 0, description: 'Size after decompression.' }),
    trailer: Type.Enum(['good', 'wrong', 'missing']),
    sound: Type.Boolean({ description: 'Whether the archive has no fault.' }),
    refusals: Type.Unsafe<Record<string, unknown>>(
      Type.Object({}, { additionalProperties: true, description: 'By code: `{"count","retry","message"}`.' }),
    ),
    faults: object({
      total: Count,
      codes: Type.Unsafe<Record<string, number>>(Type.Object({}, { additionalProperties: true })),
      first: Type.Array(Fault, { description: 'The first 20.' }),
      stopped: nullable(Fault, { description: 'The fault at which reading stopped.' }),
    }),
  },
  'Import',
)
