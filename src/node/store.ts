import { join } from 'node:path'

import type { Config } from '../config/load.ts'
import { hasStore } from '../store/mark.ts'
import { openStore, type StoreComponents } from '../store/store.ts'
import type { Quotas, RebuildableStore } from '../store/types.ts'

/** Opens the node's store: LevelDB in the data directory, or a PostgreSQL database. @throws StoreError */
export async function openNodeStore(
  components: StoreComponents,
  config: Pick<Config, 'dataDir' | 'store' | 'network' | 'archive' | 'archiveErased' | 'caches'>,
  quotas: Quotas,
): Promise<RebuildableStore> {
  const location = join(config.dataDir, 'store')
  const options = { network: config.network, archive: config.archive, keepsErased: config.archiveErased, quotas }
  if (config.store === '') {
    return openStore(components, { ...options, location, cacheBytes: config.caches.storeBytes })
  }
  if (await hasStore(location)) {
    components.logger.warn(
      { location },
      'The data directory has a store of its own, which this node does not use: its records are in the database. To copy them there, ' +
        'run a node without --store on a copy of that directory, and name it to this node with --peer.',
    )
  }
  // Loaded here, so that nodes on LevelDB start without it.
  const { openPostgresStore } = await import('../store/postgres/store.ts')
  const store = await openPostgresStore(components, { ...options, url: config.store })
  const { metrics } = components
  metrics.gauge('database_connections', 'Open connections to PostgreSQL.', () => store.load().connections)
  metrics.gauge('database_waiting', 'Callers that wait for a connection to PostgreSQL.', () => store.load().waiting)
  const retries = (): ReadonlyMap<string, number> => store.load().retries
  metrics.counters('database_retries_total', 'Transactions that were run again, by reason.', 'reason', retries)
  return store
}
