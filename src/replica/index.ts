/**
 * The replica: a verified local copy of chosen avatars, in a directory (LevelDB), for one process at a time
 * (docs/replica.md). Bundlers for browsers take `browser.ts` in its place.
 *
 * @module avatar-kv/replica
 */
import { ReplicaError } from './errors.ts'
import { levelDisk, storageError } from './level-disk.ts'
import { createReplica } from './replica.ts'
import { loneTab } from './tabs.ts'
import type { Replica, ReplicaOptions } from './types.ts'

export * from './shared.ts'

/**
 * Opens the data in a directory, or makes it.
 *
 * @throws ReplicaError `usage`, `locked`, `wrong_network`, `newer`, `storage`; ClientError `usage`
 */
export async function openReplica(options: ReplicaOptions): Promise<Replica> {
  const { db, location } = options
  if (db === undefined && (location === undefined || location === '')) {
    throw new ReplicaError('usage', 'Name a location for the data: a directory.')
  }
  // Loaded here, not above: a bundled server that opens no replica must not need the native part of LevelDB.
  const level = db ?? new (await import('level')).Level<string, string>(location ?? '')
  try {
    await level.open()
  } catch (error) {
    throw openError(error, location ?? 'the database')
  }
  return await createReplica({ disk: levelDisk(level), tabs: loneTab() }, options)
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
  return storageError('opened', error)
}
