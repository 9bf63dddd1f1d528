import { join } from 'node:path'

import { exists, makeDirectory } from '../platform/files.ts'
import { isDatabaseOpen } from '../store/lock.ts'
import { hasStore } from '../store/mark.ts'
import { openOfflineStore, type OfflineComponents, type OfflineStore } from './open.ts'

/** Threads that verify: two are faster than one can store. */
const WORKERS = 2

/** Whether a process has the store in a data directory open. */
export async function isInUse(dataDir: string): Promise<boolean> {
  const location = join(dataDir, 'store')
  // Opening a database makes its directory.
  return (await exists(location)) && (await isDatabaseOpen(location))
}

/**
 * Opens the store of a data directory for backups: without hosting rules, quotas or pruning. Records of every avatar are
 * accepted, and superseded records are kept. A node that keeps no history prunes after its next start.
 *
 * @param options.create whether to create an empty store if there never was one
 * @returns undefined if there never was a store and none was to be created
 * @throws StoreError as `openOfflineStore`
 */
export async function openWholeStore(
  { dataDir, network }: { readonly dataDir: string; readonly network: string },
  components: OfflineComponents,
  options: { readonly create: boolean },
): Promise<OfflineStore | undefined> {
  const location = join(dataDir, 'store')
  if (!(await hasStore(location))) {
    if (!options.create) return undefined
    await makeDirectory(dataDir)
  }
  return await openOfflineStore(components, { location, network, workers: WORKERS, store: { archive: true } })
}
