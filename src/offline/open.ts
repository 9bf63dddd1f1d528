import { availableParallelism } from 'node:os'

import type { Admission } from '../ingest/admission.ts'
import { createIngest } from '../ingest/ingest.ts'
import type { Ingest } from '../ingest/types.ts'
import { createMetrics } from '../observe/metrics.ts'
import type { Logger, Metrics } from '../observe/types.ts'
import type { Environment } from '../platform/environment.ts'
import type { SignatureEngine } from '../record/engine.ts'
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
