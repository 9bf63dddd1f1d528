import { open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { readTextFile } from '../platform/files.ts'
import { codeOf, messageOf } from '../platform/errors.ts'
import type { Avatar } from '../record/types.ts'
import { MigrateError } from './errors.ts'

const FILE_NAME = 'migration.json'
const FORMAT = 'avatar-kv-migration/1'
/** A few hundred bytes a host. */
const MAX_FILE_BYTES = 64 * 1024

/** How far a host has been read, and been given to. */
export interface Place {
  /** Cursor of the host after which it has not been read yet; null: from the beginning. */
  readonly cursor: string | null
  /** Sequence of the staging store up to which the host has acknowledged every live record. */
  readonly given: number
  /** The host's store in which it has them. */
  readonly epoch: string
}

/**
 * What a migration remembers between two runs, in its folder beside the staging store: only hints, for what is wrong with
 * them is found by comparing. Written whole or not at all.
 */
export interface Places {
  get(host: string): Place | undefined
  set(host: string, place: Place): Promise<void>
}

/** Of one avatar and one staging store; what is of another is forgotten. */
interface Content {
  readonly format: typeof FORMAT
  readonly avatar: Avatar
  /** Epoch of the staging store. */
  readonly staging: string
  readonly hosts: Record<string, Place>
}

/** @throws MigrateError `work_dir` where the file can be neither read nor written */
export async function openPlaces(dir: string, avatar: Avatar, staging: string): Promise<Places> {
  const path = join(dir, FILE_NAME)
  const hosts = new Map(Object.entries(await read(path, avatar, staging)))
  return {
    get: (host) => hosts.get(host),
    async set(host, place) {
      hosts.set(host, place)
      const content: Content = { format: FORMAT, avatar, staging, hosts: Object.fromEntries(hosts) }
      await write(path, JSON.stringify(content))
    },
  }
}

async function read(path: string, avatar: Avatar, staging: string): Promise<Record<string, Place>> {
  let text: string
  try {
    text = await readTextFile(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return {}
    throw unusable(path, error)
  }
  const content = parse(text)
  return content?.avatar === avatar && content.staging === staging ? content.hosts : {}
}

/** Undefined for what this version has not written. */
function parse(text: string): Content | undefined {
  if (text.length > MAX_FILE_BYTES) return undefined
  try {
    const content = JSON.parse(text) as Partial<Content>
    if (content.format !== FORMAT || typeof content.hosts !== 'object') return undefined
    const isSound = Object.values(content.hosts).every(
      ({ cursor, given, epoch }) =>
        (cursor === null || typeof cursor === 'string') && Number.isSafeInteger(given) && typeof epoch === 'string',
    )
    return isSound ? (content as Content) : undefined
  } catch {
    return undefined
  }
}

async function write(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`
  try {
    const file = await open(temporary, 'w', 0o600)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw unusable(path, error)
  }
}

function unusable(path: string, error: unknown): MigrateError {
  const why = messageOf(error)
  return new MigrateError('work_dir', `${path} cannot be used: ${why}. Choose another folder with --work-dir.`, {
    cause: error,
  })
}
