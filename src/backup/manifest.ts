/** The files of a backup (docs/protocol.md, "Backup"). */
import Type from 'typebox'
import type { Static, TSchema } from 'typebox'
import { Clean, Errors } from 'typebox/value'

import { messageOf } from '../platform/errors.ts'
import { BackupError } from './errors.ts'

const BACKUP_FORMAT = 'avatar-kv-backup/1'

/** Every stored record, in the archive format, compressed. */
export const RECORDS_FILE = 'records.avatar-kv.ndjson.gz'
export const MANIFEST_FILE = 'backup.json'
/** Files that are copied from the data directory and back. */
export const HOSTING_FILE = 'hosting.log'
export const KEY_FILE = 'peer.key'

const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const Digest = Type.String({ pattern: '^[0-9a-f]{64}$' })

/** A file of the backup. */
const FileFacts = Type.Object({
  bytes: Count,
  /** SHA-256. */
  digest: Digest,
})
export type BackupFile = Static<typeof FileFacts>

/** Totals of the records of a store at one moment. */
const Totals = Type.Object({
  avatars: Count,
  /** All records, superseded ones included. */
  records: Count,
  /** Records that are not superseded. */
  live: Count,
  /**
   * SHA-256 over a line `<avatar> <digest> <live records>` and a line feed for each avatar, in ascending order. It is equal if
   * every avatar is.
   */
  state: Digest,
})
export type BackupTotals = Static<typeof Totals>

/** Totals and facts that a node sends after the records. */
export const BackupEnd = Type.Object({
  ...Totals.properties,
  /** Unix seconds. */
  created_at: Count,
  /** Version of the software that made it. */
  version: Type.String({ pattern: '^[\\w.+-]{1,64}$' }),
  network: Type.String({ pattern: '^[a-z0-9-]{1,32}$' }),
  /** Epoch of the store that was backed up. A restored store has another. */
  epoch: Type.String({ pattern: '^[0-9a-f]{16}$' }),
})
export type BackupEnd = Static<typeof BackupEnd>

const ManifestSchema = Type.Object({
  ...BackupEnd.properties,
  /** Peer id of the node that was backed up; null if it had none yet. */
  peer_id: Type.Union([Type.String({ pattern: '^[1-9A-HJ-NP-Za-km-z]{1,64}$' }), Type.Null()]),
  /** All files but the manifest. The names become paths, so there are no others. */
  files: Type.Unsafe<Readonly<Record<string, BackupFile>>>(
    Type.Object(
      { [RECORDS_FILE]: FileFacts, [HOSTING_FILE]: Type.Optional(FileFacts), [KEY_FILE]: Type.Optional(FileFacts) },
      { additionalProperties: false },
    ),
  ),
})
export type Manifest = Static<typeof ManifestSchema>

/** Of the name of a member, in an error. */
const MAX_SHOWN_CHARACTERS = 80

/** A larger file is not a manifest. */
export const MAX_MANIFEST_BYTES = 65_536

export function manifestText(manifest: Manifest): string {
  return `${JSON.stringify({ format: BACKUP_FORMAT, ...manifest }, null, 2)}\n`
}

/** @throws BackupError `not_a_backup`, `damaged` */
export function parseManifest(text: string): Manifest {
  try {
    const value: unknown = JSON.parse(text)
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    if (isObject && (value as { format?: unknown }).format !== BACKUP_FORMAT) {
      const message = `${MANIFEST_FILE} is not of the format ${BACKUP_FORMAT}. Restore with the version of avatar-kv that made the backup.`
      throw new BackupError('not_a_backup', message)
    }
    return checked(ManifestSchema, value)
  } catch (error) {
    if (error instanceof BackupError) throw error
    const message = `The manifest of the backup cannot be used: ${messageOf(error)}. Use another backup.`
    throw new BackupError('damaged', message)
  }
}

/** Returns a value without the members that its schema lacks. @throws TypeError that says what is wrong, without a full stop */
export function checked<S extends TSchema>(schema: S, value: unknown): Static<S> {
  const [fault] = Errors(schema, value)
  if (fault !== undefined) {
    const what = fault.instancePath.slice(1, MAX_SHOWN_CHARACTERS) || 'it'
    throw new TypeError(`${what} ${fault.keyword === 'boolean' ? 'is unknown' : fault.message}`)
  }
  return Clean(schema, value) as Static<S>
}
