import { join } from 'node:path'

import type { Config } from '../config/load.ts'
import type { ConfigKey } from '../config/schema.ts'
import type { Environment } from '../platform/environment.ts'
import { makeDirectory } from '../platform/files.ts'
import type { HostingOffice, HostingRules } from '../hosting/types.ts'
import { createIngest } from '../ingest/ingest.ts'
import type { Ingest } from '../ingest/types.ts'
import { openHosting } from '../node/hosting.ts'
import { createMetrics } from '../observe/metrics.ts'
import type { Logger } from '../observe/types.ts'
import { hasStore } from '../store/mark.ts'
import { ONE_PASS_CACHES, openStore, type StoreOptions } from '../store/store.ts'
import type { Quotas, StoreReader } from '../store/types.ts'
import { payloadHead } from '../record/payload-head.ts'
import { selectEngine } from '../verify/select-engine.ts'
import { createVerifyService } from '../verify/verify-service.ts'

/** The data of a node that does not run: its store, the door to it, and what is hosted. */
export interface DataDir {
  readonly store: StoreReader
  readonly ingest: Ingest
  readonly hosting: HostingRules & HostingOffice
  /** What its node may have been told otherwise: settings that count here, and that nobody has said. */
  readonly assumed: Readonly<Partial<Record<ConfigKey, string | number>>>
  /** Resolves when all that was accepted is on disk and the directory is free again. */
  close(): Promise<void>
}

/** The directory holds the node's private key. */
const DATA_DIR_MODE = 0o700
/** Threads that verify: one verifies about as fast as another can store, and each takes about 13 MiB. */
const WORKERS = 1
const QUOTA_KEYS = {
  avatarBytes: 'quota_avatar_bytes',
  avatarRecords: 'quota_avatar_records',
  totalBytes: 'quota_total_bytes',
  totalRecords: 'quota_total_records',
} as const satisfies { readonly [name in keyof Quotas]: ConfigKey }

/**
 * Opens a node's data directory without a node around it, and locks it. The settings of its node are not known here, so
 * defaults neither prune nor reject anything in a store that exists: `archive` stays as it was, and only quotas that the
 * caller named apply.
 *
 * @param options.create whether to create an empty store if there never was one
 * @returns undefined if there never was a store and none was to be created
 * @throws StoreError `locked` if a node has it open, `incomplete` if files of it are gone, `wrong_network`, `schema_newer`,
 *   `unreadable`
 */
export async function openDataDir(
  config: Pick<Config, 'dataDir' | 'network' | 'hostingMode' | 'hostingPolicy' | 'archive' | 'quotas' | 'said'>,
  components: { readonly environment: Environment; readonly logger: Logger },
  options: { readonly create: boolean },
): Promise<DataDir | undefined> {
  const { environment, logger } = components
  const location = join(config.dataDir, 'store')
  const isNew = !(await hasStore(location))
  if (isNew && !options.create) return undefined
  if (isNew) await makeDirectory(config.dataDir, DATA_DIR_MODE)
  const engine = await selectEngine()
  const metrics = createMetrics()
  const parts = { environment, logger, metrics }
  const store = await openStore(
    { ...parts, engine },
    {
      location,
      network: config.network,
      ...(isNew ? { archive: config.archive, quotas: config.quotas } : saidOf(config)),
      ...ONE_PASS_CACHES,
    },
  )
  try {
    const hosting = await openHosting({ ...parts, store }, config)
    hosting.resume()
    const stored = (ids: readonly Uint8Array[]) => store.sync.signed(ids)
    const verifier = createVerifyService({ engine, logger, stored }, { network: config.network, workers: WORKERS })
    const admission = { peek: (payload: Uint8Array) => payloadHead(payload)?.avatar, admit: hosting.admit }
    const ingest = createIngest({ ...parts, store, verifier, announce: () => undefined, admission })
    return {
      store,
      ingest,
      hosting,
      assumed: isNew ? {} : assumedOf(config),
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

/** What counts for data that are there: only what somebody has said. */
function saidOf({ archive, quotas, said }: Pick<Config, 'archive' | 'quotas' | 'said'>): Partial<StoreOptions> {
  const limit = (name: keyof Quotas): number => (said.has(QUOTA_KEYS[name]) ? quotas[name] : 0)
  return {
    ...(said.has('archive') ? { archive } : {}),
    quotas: {
      avatarBytes: limit('avatarBytes'),
      avatarRecords: limit('avatarRecords'),
      totalBytes: limit('totalBytes'),
      totalRecords: limit('totalRecords'),
    },
  }
}

function assumedOf({
  hostingMode,
  hostingPolicy,
  said,
}: Pick<Config, 'hostingMode' | 'hostingPolicy' | 'said'>): DataDir['assumed'] {
  const noQuotas = Object.values(QUOTA_KEYS).map((key) => [key, 0] as const)
  const all = [['hosting_mode', hostingMode] as const, ['hosting_policy', hostingPolicy] as const, ...noQuotas]
  return Object.fromEntries(all.filter(([key]) => !said.has(key)))
}
