/**
 * The replica in browsers: a verified local copy of chosen avatars in IndexedDB, shared by all tabs (docs/replica.md).
 *
 * @module
 */
import { ReplicaError } from './errors.ts'
import { openIndexedDb } from './indexed-db.ts'
import { levelDisk } from './level-disk.ts'
import { createReplica } from './replica.ts'
import { browserTabs, loneTab } from './tabs.ts'
import type { Replica, ReplicaOptions } from './types.ts'

export * from './shared.ts'

/**
 * Opens the data of that name, or creates it. All tabs of an origin that use the same name share it.
 *
 * @throws ReplicaError `usage`, `unsupported`, `wrong_network`, `newer`, `storage`; ClientError `usage`
 */
export async function openReplica(options: ReplicaOptions): Promise<Replica> {
  const { db, location } = options
  if (db !== undefined) return await createReplica({ disk: levelDisk(db), tabs: loneTab() }, options)
  if (location === undefined || location === '') throw new ReplicaError('usage', 'Name a location for the data.')
  const tabs = browserTabs(location)
  try {
    return await createReplica({ disk: await openIndexedDb(location), tabs }, options)
  } catch (error) {
    tabs.close()
    throw error
  }
}
