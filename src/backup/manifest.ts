/** The files of a backup (docs/protocol.md, "Backup"). */
import { BackupError } from './errors.ts'

const BACKUP_FORMAT = 'avatar-kv-backup/1'

/** Every stored record, in the archive format, compressed. */
export const RECORDS_FILE = 'records.avatar-kv.ndjson.gz'
export const MANIFEST_FILE = 'backup.json'
/** Files that are copied from the data directory and back. */
export const HOSTING_FILE = 'hosting.log'
export const KEY_FILE = 'peer.key'

/** Totals of the records of a store at one moment. */
export interface BackupTotals {
  readonly avatars: number
  /** All records, superseded ones included. */
  readonly records: number
  /** Records that are not superseded. */
  readonly live: number
  /**
   * SHA-256 (64 hex digits) over a line `<avatar> <digest> <live records>` and a line feed for each avatar, in ascending
   * order. It is equal if every avatar is.
   */
  readonly state: string
}

/** A file of the backup. */
export interface BackupFile {
  readonly bytes: number
  /** SHA-256: 64 hex digits. */
  readonly digest: string
}

export interface Manifest extends BackupTotals {
  /** Unix seconds. */
  readonly created_at: number
  /** Version of the software that made it. */
  readonly version: string
  readonly network: string
  /** Epoch of the store that was backed up. A restored store has another. */
  readonly epoch: string
  /** Peer id of the node that was backed up; null if it had none yet. */
  readonly peer_id: string | null
  /** All files but the manifest, by name. */
  readonly files: Readonly<Record<string, BackupFile>>
}

/** A larger file is not a manifest. */
export const MAX_MANIFEST_BYTES = 65_536

const FILE_NAMES: readonly string[] = [RECORDS_FILE, HOSTING_FILE, KEY_FILE]

export function manifestText(manifest: Manifest): string {
  return `${JSON.stringify({ format: BACKUP_FORMAT, ...manifest }, null, 2)}\n`
}

/** @throws BackupError `not_a_backup`, `damaged` */
export function parseManifest(text: string): Manifest {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw damaged('it is not JSON')
  }
  const { format, ...members } = record(value, 'it')
  if (format !== BACKUP_FORMAT) {
    throw new BackupError(
      'not_a_backup',
      `${MANIFEST_FILE} is not of the format ${BACKUP_FORMAT}. Restore with the version of avatar-kv that made the backup.`,
    )
  }
  const files: Record<string, BackupFile> = {}
  for (const [name, file] of Object.entries(record(members['files'], 'files'))) {
    // Names become paths.
    if (!FILE_NAMES.includes(name)) throw damaged(`it names an unknown file, ${JSON.stringify(name.slice(0, 80))}`)
    const { bytes, digest } = record(file, `files of ${name}`)
    files[name] = { bytes: count(bytes, 'bytes'), digest: matching(digest, 'digest', DIGEST) }
  }
  if (files[RECORDS_FILE] === undefined) throw damaged(`it does not name ${RECORDS_FILE}`)
  const { peer_id } = members
  return {
    created_at: count(members['created_at'], 'created_at'),
    version: matching(members['version'], 'version', VERSION),
    network: matching(members['network'], 'network', NETWORK),
    epoch: matching(members['epoch'], 'epoch', EPOCH),
    peer_id: peer_id === null ? null : matching(peer_id, 'peer_id', PEER_ID),
    ...parseTotals(members),
    files,
  }
}

/** @throws BackupError `damaged` */
export function parseTotals(value: unknown): BackupTotals {
  const { avatars, records, live, state } = record(value, 'totals')
  return {
    avatars: count(avatars, 'avatars'),
    records: count(records, 'records'),
    live: count(live, 'live'),
    state: matching(state, 'state', DIGEST),
  }
}

const DIGEST = /^[0-9a-f]{64}$/
const EPOCH = /^[0-9a-f]{16}$/
const NETWORK = /^[a-z0-9-]{1,32}$/
const VERSION = /^[\w.+-]{1,64}$/
const PEER_ID = /^[1-9A-HJ-NP-Za-km-z]{1,64}$/

function record(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw damaged(`${name} is not an object`)
  return value as Record<string, unknown>
}

function count(value: unknown, name: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw damaged(`${name} is not a number`)
  return value
}

function matching(value: unknown, name: string, pattern: RegExp): string {
  if (typeof value !== 'string' || !pattern.test(value)) throw damaged(`${name} is malformed`)
  return value
}

function damaged(what: string): BackupError {
  return new BackupError('damaged', `The manifest of the backup cannot be used: ${what}. Use another backup.`)
}
