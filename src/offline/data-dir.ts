import { join } from 'node:path'

import type { Config } from '../config/load.ts'
import type { ConfigKey } from '../config/schema.ts'
import { makeDirectory } from '../platform/files.ts'
import type { OperatorApi, HostingRules } from '../hosting/types.ts'
import { ADMITS_ALL } from '../ingest/admission.ts'
import type { Ingest } from '../ingest/types.ts'
import { openHosting } from '../node/hosting.ts'
import { StoreError } from '../store/errors.ts'
import { hasStore } from '../store/mark.ts'
import type { StoreOptions } from '../store/store.ts'
import type { Quotas, StoreReader } from '../store/types.ts'
import { payloadHead } from '../record/payload-head.ts'
import type { Avatar } from '../record/types.ts'
import { openOfflineStore, type OfflineComponents } from './open.ts'

/** The data of a node that does not run: its store, the ingest that writes to it, and its hosting lists. */
export interface DataDir {
  readonly store: StoreReader
  readonly ingest: Ingest
  readonly hosting: HostingRules & OperatorApi
  /** Settings that count here by default only: its node may have others. */
  readonly assumed: Readonly<Partial<Record<ConfigKey, string | number>>>
  /** Resolves when all accepted records are on disk and the lock is released. */
  close(): Promise<void>
}

/** Threads that verify: one verifies about as fast as another can store. */
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
 * @throws StoreError as `openOfflineStore`; HostingError
 */
export async function openDataDir(
  config: Pick<
    Config,
    'dataDir' | 'store' | 'network' | 'hostingMode' | 'hostingPolicy' | 'hostingLinks' | 'archive' | 'quotas' | 'said'
  >,
  components: OfflineComponents,
  options: { readonly create: boolean },
): Promise<DataDir | undefined> {
  if (config.store !== '') {
    const message =
      'The records of this node are in a PostgreSQL database, which this command cannot open. Start the node, and name it with ' +
      '--node, without --data-dir.'
    throw new StoreError('unreadable', message)
  }
  const location = join(config.dataDir, 'store')
  const isNew = !(await hasStore(location))
  if (isNew && !options.create) return undefined
  if (isNew) await makeDirectory(config.dataDir)
  const stored = isNew ? { archive: config.archive, quotas: config.quotas } : saidOf(config)
  const admission = {
    ...ADMITS_ALL,
    peek: (payload: Uint8Array) => payloadHead(payload)?.avatar,
    // Records arrive only after `hosting` is open.
    admit: (avatar: Avatar) => hosting.admit(avatar),
  }
  const opened = await openOfflineStore(components, {
    location,
    network: config.network,
    workers: WORKERS,
    store: stored,
    admission,
  })
  const { store, ingest, metrics } = opened
  const hosting = await openHosting({ ...components, metrics, store }, config).catch(async (error: unknown) => {
    await opened.close()
    throw error
  })
  hosting.resume()
  return {
    store,
    ingest,
    hosting,
    assumed: isNew ? {} : assumedOf(config),
    close: () =>
      opened.close(async () => {
        await hosting.settled()
        await hosting.close()
      }),
  }
}

/** The settings that count for existing data: only those that were named. */
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
