import { access, mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import type { Config } from './config/load.ts'
import type { Environment } from './environment.ts'
import { createIngest } from './ingest/ingest.ts'
import type { Ingest } from './ingest/types.ts'
import { createMetrics } from './observe/metrics.ts'
import type { Logger } from './observe/types.ts'
import { openStore } from './store/store.ts'
import type { StoreReader } from './store/types.ts'
import { selectEngine } from './verify/select-engine.ts'
import { createVerifyService } from './verify/verify-service.ts'

/** The data of a node that does not run: its store, and the door to it. */
export interface DataDir {
  readonly store: StoreReader
  readonly ingest: Ingest
  /** Resolves when all that was accepted is on disk and the directory is free again. */
  close(): Promise<void>
}

/** The directory holds the node's private key. */
const DATA_DIR_MODE = 0o700

/**
 * Opens a node's data directory without a node around it, taking its lock.
 *
 * @param options.create whether to begin an empty store where there is none
 * @returns undefined where there is none and none was to be made
 * @throws StoreError `locked` where a node has it, `wrong_network`, `schema_newer`, `unreadable`
 */
export async function openDataDir(
  config: Pick<Config, 'dataDir' | 'network'>,
  components: { readonly environment: Environment; readonly logger: Logger },
  options: { readonly create: boolean },
): Promise<DataDir | undefined> {
  const { environment, logger } = components
  const location = join(config.dataDir, 'store')
  if (options.create) await mkdir(config.dataDir, { recursive: true, mode: DATA_DIR_MODE })
  else if (!(await exists(location))) return undefined
  const engine = await selectEngine()
  const metrics = createMetrics()
  const parts = { environment, logger, metrics }
  const store = await openStore({ ...parts, engine }, { location, network: config.network })
  const verifier = createVerifyService({ engine, logger }, { network: config.network })
  const ingest = createIngest({ ...parts, store, verifier, announce: () => undefined })
  return {
    store,
    ingest,
    async close() {
      await ingest.stop()
      await verifier.close()
      await store.close()
    },
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
