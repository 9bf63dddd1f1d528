import { join } from 'node:path'

import { readTextFile } from '../platform/files.ts'
import { writeMarkFile } from '../platform/level-files.ts'
import { codeOf, messageOf } from '../platform/errors.ts'
import type { Avatar } from '../record/types.ts'
import { MigrateError } from './errors.ts'

const FILE_NAME = 'migration.json'
const FORMAT = 'avatar-kv-migration/1'
/** A few hundred bytes a host. */
const MAX_FILE_BYTES = 64 * 1024

/** How far a host was read, and was sent to. */
export interface ResumeCursor {
  /** The host's cursor from which to read on; null: from the beginning. */
  readonly cursor: string | null
  /** Sequence of the staging store up to which the host acknowledged every live record. */
  readonly given: number
  /** The epoch of the host's store that has them. */
  readonly epoch: string
}

export type ResumeCursors = Awaited<ReturnType<typeof openResumeCursors>>

/** Of one avatar and one staging store; the cursors of another are ignored. */
interface Content {
  readonly format: typeof FORMAT
  readonly avatar: Avatar
  /** Epoch of the staging store. */
  readonly staging: string
  readonly hosts: Record<string, ResumeCursor>
}

/**
 * What a migration remembers of its hosts between two runs, in a file beside the staging store. These are only hints: comparing
 * the hosts finds what is wrong with them. The file is written whole or not at all.
 *
 * @throws MigrateError `work_dir` if the file cannot be read or written
 */
export async function openResumeCursors(dir: string, avatar: Avatar, staging: string) {
  const path = join(dir, FILE_NAME)
  const hosts = new Map(Object.entries(await read(path, avatar, staging)))
  return {
    get: (host: string) => hosts.get(host),
    async set(host: string, cursor: ResumeCursor): Promise<void> {
      hosts.set(host, cursor)
      const content = { format: FORMAT, avatar, staging, hosts: Object.fromEntries(hosts) } satisfies Content
      await writeMarkFile(path, content).catch((error: unknown) => {
        throw unusable(path, error)
      })
    },
  }
}

async function read(path: string, avatar: Avatar, staging: string): Promise<Record<string, ResumeCursor>> {
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

/** Undefined for a file that this version did not write. */
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

function unusable(path: string, error: unknown): MigrateError {
  const message = `${path} cannot be used: ${messageOf(error)}. Choose another folder with --work-dir.`
  return new MigrateError('work_dir', message, { cause: error })
}
