/**
 * The replica: a verified local copy of chosen avatars, in a directory (LevelDB), for one process at a time
 * (docs/replica.md). Bundlers for browsers use `browser.ts` instead.
 *
 * @module @avatar-kv/client/replica
 */
import { ReplicaError } from './errors.ts'
import { openDirectory } from './directory.ts'
import { levelDisk, storageError } from './level-disk.ts'
import { createReplica } from './replica.ts'
import { loneTab } from './tabs.ts'
import type { Replica, ReplicaOptions } from './types.ts'

export * from './shared.ts'

/**
 * Opens the data in a directory, or creates it where there was none. A directory that lost files is not changed.
 *
 * @throws ReplicaError `usage`, `locked`, `wrong_network`, `newer`, `storage`; ClientError `usage`
 */
export async function openReplica(options: ReplicaOptions): Promise<Replica> {
  const { db, location } = options
  if (db !== undefined) {
    await db.open().catch((error: unknown) => {
      throw storageError('opened', error)
    })
    return await createReplica({ disk: levelDisk(db), tabs: loneTab() }, options)
  }
  if (location === undefined || location === '') {
    throw new ReplicaError('usage', 'Name a location for the data: a directory.')
  }
  const directory = await openDirectory(location)
  const replica = await createReplica({ disk: levelDisk(directory.db), tabs: loneTab() }, options)
  try {
    await directory.mark()
    return replica
  } catch (error) {
    await replica.close()
    throw error
  }
}
