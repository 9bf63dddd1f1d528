import { access, mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import type { Config } from './config/load.ts'
import type { Environment } from './environment.ts'
import type { HostingOffice, HostingRules } from './hosting/types.ts'
import { createIngest } from './ingest/ingest.ts'
import type { Ingest } from './ingest/types.ts'
import { openHosting } from './node-hosting.ts'
import { createMetrics } from './observe/metrics.ts'
import type { Logger } from './observe/types.ts'
import { ONE_PASS_CACHES, openStore } from './store/store.ts'
import type { StoreReader } from './store/types.ts'
import { payloadHead } from './sync/payload-head.ts'
import { selectEngine } from './verify/select-engine.ts'
import { createVerifyService } from './verify/verify-service.ts'

/** The data of a node that does not run: its store, the door to it, and what is hosted. */
export interface DataDir {
  readonly store: StoreReader
  readonly ingest: Ingest
  readonly hosting: HostingRules & HostingOffice
  /** Resolves when all that was accepted is on disk and the directory is free again. */
  close(): Promise<void>
}

/** The directory holds the node's private key. */
const DATA_DIR_MODE = 0o700
/** Threads that verify: one verifies about as fast as another can store, and each takes about 13 MiB. */
const WORKERS = 1

/**
 * Opens a node's data directory without a node around it, taking its lock.
 *
 * @param options.create whether to begin an empty store where there is none
 * @returns undefined where there is none and none was to be made
 * @throws StoreError `locked` where a node has it, `wrong_network`, `schema_newer`, `unreadable`
 */
export async function openDataDir(
  config: Pick<Config, 'dataDir' | 'network' | 'hostingMode' | 'hostingPolicy' | 'archive' | 'quotas'>,
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
  const store = await openStore(
    { ...parts, engine },
    {
      location,
      network: config.network,
      archive: config.archive,
      quotas: config.quotas,
      ...ONE_PASS_CACHES,
    },
  )
  try {
    const hosting = await openHosting({ ...parts, store }, config)
    hosting.resume()
    const verifier = createVerifyService({ engine, logger }, { network: config.network, workers: WORKERS })
    const admission = { peek: (payload: Uint8Array) => payloadHead(payload)?.avatar, admit: hosting.admit }
    const ingest = createIngest({ ...parts, store, verifier, announce: () => undefined, admission })
    return {
      store,
      ingest,
      hosting,
      async close() {
        await ingest.stop()
        await verifier.close()
        await hosting.settled()
        await hosting.close()
        await store.close()
      },
    }
  } catch (error) {
    await store.close()
    throw error
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
