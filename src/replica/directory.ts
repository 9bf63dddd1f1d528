/** The replica's LevelDB in a directory. In Node only: browsers use IndexedDB. */
import { messageOf } from '../platform/errors.ts'
import { inspectLevelFiles, MISSING_TABLES, readMarkFile, writeMarkFile } from '../platform/level-files.ts'
import { ReplicaError } from './errors.ts'
import { ENCODING, storageError, type LevelDatabase } from './level-disk.ts'

/**
 * The mark that a replica was created here, beside LevelDB's files. It is inside the directory, because the app may not be allowed
 * to write to the parent directory. So a directory that was moved away counts as one that never existed.
 */
const MARK_NAME = 'avatar-kv-replica.json'
const MARK = { format: 'avatar-kv-replica/1' }

export interface Directory {
  readonly db: LevelDatabase
  /** Writes the mark if there is none. Call it once the first row is on disk, and before any write is acknowledged. */
  mark(): Promise<void>
}

/**
 * Opens the database in a directory, or creates it where there was none.
 *
 * @throws ReplicaError `locked`, `storage`
 */
export async function openDirectory(location: string): Promise<Directory> {
  const markPath = `${location}/${MARK_NAME}`
  const { isThere, isMarked } = await find(location, markPath)
  // Loaded here, so that a bundled server that opens no replica does not need the native part of LevelDB.
  const { Level } = await import('level')
  const db = new Level<string, string>(location, { createIfMissing: !isThere })
  try {
    await db.open()
  } catch (error) {
    throw openError(error, location)
  }
  if (isMarked && (await isEmpty(db))) {
    await db.close()
    throw lost(location, 'all of its rows')
  }
  return {
    db,
    async mark() {
      if (isMarked) return
      await writeMarkFile(markPath, MARK).catch((error: unknown) => {
        throw storageError('opened', error)
      })
    },
  }
}

async function isEmpty(db: LevelDatabase): Promise<boolean> {
  try {
    return (await db.iterator({ limit: 1, ...ENCODING }).all()).length === 0
  } catch {
    // A table that cannot be read is not empty.
    return false
  }
}

async function find(location: string, markPath: string): Promise<{ isThere: boolean; isMarked: boolean }> {
  const [mark, files] = await Promise.all([readMarkFile(markPath), inspectLevelFiles(location)]).catch(
    (error: unknown) => {
      throw storageError('opened', error)
    },
  )
  if (files.state === 'incomplete') throw lost(location, files.missing)
  if (files.state === 'absent' && mark !== undefined) throw lost(location, 'all of its files')
  return { isThere: files.state === 'present', isMarked: mark !== undefined }
}

function openError(error: unknown, location: string): ReplicaError {
  const cause: unknown = error instanceof Error ? error.cause : undefined
  const code: unknown = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined
  if (code === 'LEVEL_LOCKED') {
    return new ReplicaError(
      'locked',
      `The data in ${location} is open already, here or in another process. Close it there, or choose another location.`,
      error,
    )
  }
  if (MISSING_TABLES.test(messageOf(cause))) return lost(location, 'table files', error)
  return storageError('opened', error)
}

function lost(location: string, missing: string, cause?: unknown): ReplicaError {
  return new ReplicaError(
    'storage',
    `The replica in ${location} has lost ${missing}, so it was not opened and no data in it was changed. Put the files back ` +
      'from a backup if you have one. Otherwise move the directory away and follow the avatars again: nodes send what they ' +
      'have, and writes that were not sent are lost.',
    cause,
  )
}
