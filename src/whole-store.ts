import { access, mkdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

import type { Environment } from './environment.ts'
import { createIngest } from './ingest/ingest.ts'
import type { Ingest } from './ingest/types.ts'
import { createMetrics } from './observe/metrics.ts'
import type { Logger } from './observe/types.ts'
import { ONE_PASS_CACHES, openStore } from './store/store.ts'
import type { StoreReader } from './store/types.ts'
import { selectEngine } from './verify/select-engine.ts'
import { createVerifyService } from './verify/verify-service.ts'

/** All that a data directory holds, without what its operator grants, blocks or prunes: for backups. */
export interface WholeStore {
  readonly store: StoreReader
  /** A door that refuses nobody and keeps superseded records. */
  readonly ingest: Ingest
  /** Resolves when all that was accepted is on disk and the directory is free again. */
  close(): Promise<void>
}

/** Threads that verify: two are faster than one can store, and each takes about 13 MiB. */
const MAX_WORKERS = 2

/**
 * Opens the store in a data directory, taking its lock. Nothing is pruned meanwhile; a node that keeps no history does so
 * after its next start.
 *
 * @param options.create whether to begin an empty store where there is none
 * @returns undefined where there is none and none was to be made
 * @throws StoreError `locked` where a node has it, `wrong_network`, `schema_newer`, `unreadable`
 */
export async function openWholeStore(
  { dataDir, network }: { readonly dataDir: string; readonly network: string },
  components: { readonly environment: Environment; readonly logger: Logger },
  options: { readonly create: boolean },
): Promise<WholeStore | undefined> {
  const { environment, logger } = components
  const location = join(dataDir, 'store')
  if (options.create) await mkdir(location, { recursive: true })
  else if (!(await exists(location))) return undefined
  const engine = await selectEngine()
  const parts = { environment, logger, metrics: createMetrics() }
  const store = await openStore({ ...parts, engine }, { location, network, archive: true, ...ONE_PASS_CACHES })
  const verifier = createVerifyService(
    { engine, logger },
    { network, workers: Math.min(availableParallelism(), MAX_WORKERS) },
  )
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
