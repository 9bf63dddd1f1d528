import { availableParallelism } from 'node:os'
import { join } from 'node:path'

import type { Admission } from '../ingest/admission.ts'
import { createIngest } from '../ingest/ingest.ts'
import type { Ingest } from '../ingest/types.ts'
import { createMetrics } from '../observe/metrics.ts'
import type { Logger, Metrics } from '../observe/types.ts'
import type { Environment } from '../platform/environment.ts'
import { exists, makeDirectory } from '../platform/files.ts'
import type { SignatureEngine } from '../record/engine.ts'
import { isDatabaseOpen } from '../store/lock.ts'
import { hasStore } from '../store/mark.ts'
import { ONE_PASS_CACHES, openStore, type StoreOptions } from '../store/store.ts'
import type { RebuildableStore, StoreReader } from '../store/types.ts'
import { selectEngine } from '../verify/select-engine.ts'
import { createVerifyService } from '../verify/verify-service.ts'

export interface OfflineComponents {
  readonly environment: Environment
  readonly logger: Logger
}

/** A store that no node runs on, and the ingest that writes to it. */
export interface OfflineStore {
  readonly store: StoreReader & Pick<RebuildableStore, 'sync' | 'forget'>
  readonly ingest: Ingest
  readonly engine: SignatureEngine
  /** The metrics of the store and of ingest; nothing shows them. */
  readonly metrics: Metrics
  /**
   * Resolves when all accepted records are on disk and the lock is released.
   *
   * @param between called once ingest has stopped, while the store is open
   */
  close(between?: () => Promise<void>): Promise<void>
}

/**
 * Opens a store for a command that passes over everything once, and locks it.
 *
 * @param options.workers threads that verify, at most: each takes about 13 MiB
 * @param options.admission the avatars whose records are accepted. Default: all
 * @throws StoreError `locked` if another process has it open, `incomplete` if files of it are gone, `wrong_network`,
 *   `schema_newer`, `unreadable`
 */
export async function openOfflineStore(
  { environment, logger }: OfflineComponents,
  options: {
    readonly location: string
    readonly network: string
    readonly workers: number
    readonly store?: Pick<StoreOptions, 'archive' | 'quotas'>
    readonly admission?: Admission
  },
): Promise<OfflineStore> {
  const { location, network, admission } = options
  const engine = await selectEngine()
  const metrics = createMetrics()
  const parts = { environment, logger, metrics }
  const store = await openStore({ ...parts, engine }, { ...options.store, location, network, ...ONE_PASS_CACHES })
  const verifier = createVerifyService(
    { engine, logger, stored: (ids) => store.sync.signed(ids) },
    { network, workers: Math.min(availableParallelism(), options.workers) },
  )
  const ingest = createIngest({
    ...parts,
    store,
    verifier,
    announce: () => undefined,
    ...(admission === undefined ? {} : { admission }),
  })
  return {
    store,
    ingest,
    engine,
    metrics,
    async close(between) {
      await ingest.stop()
      await verifier.close()
      await between?.()
      await store.close()
    },
  }
}

/** Threads that verify for a whole store: two are faster than one can store. */
const WHOLE_STORE_WORKERS = 2

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
  return await openOfflineStore(components, {
    location,
    network,
    workers: WHOLE_STORE_WORKERS,
    store: { archive: true },
  })
}
