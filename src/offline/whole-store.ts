import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

import type { Environment } from '../platform/environment.ts'
import { makeDirectory } from '../platform/files.ts'
import { createIngest } from '../ingest/ingest.ts'
import type { Ingest } from '../ingest/types.ts'
import { createMetrics } from '../observe/metrics.ts'
import type { Logger } from '../observe/types.ts'
import { isDatabaseOpen } from '../store/health.ts'
import { hasStore } from '../store/mark.ts'
import { ONE_PASS_CACHES, openStore } from '../store/store.ts'
import type { StoreReader } from '../store/types.ts'
import { selectEngine } from '../verify/select-engine.ts'
import { createVerifyService } from '../verify/verify-service.ts'

/** All that a data directory holds, without what its operator grants, blocks or prunes: for backups. */
export interface WholeStore {
  readonly store: StoreReader
  /** A door that refuses nobody and keeps superseded records. */
  readonly ingest: Ingest
  /** Resolves when all that was accepted is on disk and the directory is free again. */
  close(): Promise<void>
}

/** The directory holds the node's private key. */
const DATA_DIR_MODE = 0o700
/** Threads that verify: two are faster than one can store, and each takes about 13 MiB. */
const MAX_WORKERS = 2

/** Whether a process has the store in a data directory open. */
export async function isInUse(dataDir: string): Promise<boolean> {
  const location = join(dataDir, 'store')
  // Opening a database makes its directory.
  return existsSync(location) && (await isDatabaseOpen(location))
}

/**
 * Opens the store in a data directory, and locks it. Nothing is pruned while it is open; a node that keeps no history
 * prunes after its next start.
 *
 * @param options.create whether to create an empty store if there never was one
 * @returns undefined if there never was a store and none was to be created
 * @throws StoreError `locked` if a node has it open, `incomplete` if files of it are gone, `wrong_network`, `schema_newer`,
 *   `unreadable`
 */
export async function openWholeStore(
  { dataDir, network }: { readonly dataDir: string; readonly network: string },
  components: { readonly environment: Environment; readonly logger: Logger },
  options: { readonly create: boolean },
): Promise<WholeStore | undefined> {
  const { environment, logger } = components
  const location = join(dataDir, 'store')
  if (!(await hasStore(location))) {
    if (!options.create) return undefined
    await makeDirectory(dataDir, DATA_DIR_MODE)
  }
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
