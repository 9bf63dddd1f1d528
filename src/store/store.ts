/**
 * The store: LevelDB, one atomic and fsynced batch a commit.
 *
 * Guarantees: a commit is whole or absent, and durable once it resolved; reads see committed moments only and never fold;
 * a row that fails its check is never served: the avatar is rebuilt from its records, and the read is tried again.
 * After a write that failed nothing is written before the database has been opened again (`handle.ts`).
 * Not guaranteed: that a record lost to a failing disk comes back by itself; that is what sync is for.
 */
import { Level } from 'level'
import type { Environment } from '../platform/environment.ts'
import type { Logger, Metrics } from '../observe/types.ts'
import type { SignatureEngine } from '../record/engine.ts'
import { databaseError, isDamage, toStoreError } from './database-errors.ts'
import { type Database } from './level.ts'
import { StoreHandle, type Loaded } from './handle.ts'
import { StoreHealth } from './health.ts'
import { Listeners } from './listeners.ts'
import { repairMeta, readMeta } from './meta.ts'
import { dropAllDerived } from './rebuild.ts'
import { guardWrites } from './write-guard.ts'
import type { Quotas, RebuildableStore } from './types.ts'
import { LevelStore } from './level-store.ts'
import { StoreWriter } from './writer.ts'

const MIB = 1_024 * 1_024
/** A node's caches. */
const CACHE_BYTES = 176 * MIB
/** What commands need that pass over everything once, avatar by avatar. */
export const ONE_PASS_CACHES = {
  cacheBytes: 44 * MIB,
  blockCacheBytes: 4 * MIB,
  cachedAvatars: 16,
  openFiles: 200,
} as const satisfies Partial<StoreOptions>
/** Share of LevelDB's block cache. LevelDB's own 8 MiB are less than the indexes of 100,000 records. */
const BLOCKS_SHARE = 4 / 11
/** Share of LevelDB's memory table: larger ones make fewer, larger files at level 0. */
const WRITE_BUFFER_SHARE = 1 / 11
/** Share of avatars that are written to: 20,000 of two records (4.9 KB each, measured), 400 of 1,000 members. */
const AVATARS_SHARE = 6 / 11

export interface StoreComponents {
  readonly environment: Environment
  readonly logger: Logger
  readonly metrics: Metrics
  /** Verifies records again when an avatar is rebuilt. */
  readonly engine: SignatureEngine
  /** Called when the store has lost records while it is in use, and is usable again. */
  readonly onLoss?: () => void
}

export interface StoreOptions {
  readonly network: string
  /** Entries that the change feed keeps. Default 1,000,000. */
  readonly feedEntries?: number
  /**
   * Whether superseded records are kept, as far as quotas have room for them; if not, they are pruned. Default: as it was
   * when the data was opened before, and false for new data.
   */
  readonly archive?: boolean
  /** What is kept at most. Default: no limit. */
  readonly quotas?: Quotas
  /** Records in one step of background work: commits get their turn between two steps. Default 500. */
  readonly stepRecords?: number
  /** Memory that all caches together may take, roughly. Default 176 MiB. */
  readonly cacheBytes?: number
  /** LevelDB's block cache. Default: its share of `cacheBytes`. What is read once need not be kept. */
  readonly blockCacheBytes?: number
  /** Avatars kept in memory after they were written to, at most. Default: as many as there is room for. */
  readonly cachedAvatars?: number
  /**
   * Table files that LevelDB keeps open: the index and the filter of each are in memory, some 50 KiB of 2 MiB, and several
   * times that where values compress well. Default 1,000, which is LevelDB's.
   */
  readonly openFiles?: number
  /**
   * Bytes of LevelDB's tables that are checked whole before an opening that follows a clean end; the others are checked in the
   * background. Default 128 MiB.
   */
  readonly checkedBytes?: number
}

/**
 * Opens the store in a directory, or creates it where there never was one (`mark.ts`).
 *
 * @throws StoreError `locked` if another process has it open, `incomplete` if files of it are gone, `schema_newer`,
 *   `wrong_network`, `unreadable`
 */
export async function openStore(
  components: StoreComponents,
  options: StoreOptions & { readonly location: string },
): Promise<RebuildableStore> {
  // First: a `Level` opens by itself once it is made.
  const health = await StoreHealth.check(options.location, components, options.checkedBytes)
  try {
    return await openChecked(components, options, health)
  } catch (error) {
    // Damage that the check before a clean opening does not see.
    if (!isDamage(error) || !(await health.checkAgain())) throw toStoreError(error, options.location)
    return await openChecked(components, options, health).catch((again: unknown) => {
      throw toStoreError(again, options.location)
    })
  }
}

async function openChecked(
  components: StoreComponents,
  options: StoreOptions & { readonly location: string },
  health: StoreHealth,
): Promise<RebuildableStore> {
  const { cacheBytes = CACHE_BYTES } = options
  const db = new Level<Uint8Array, Uint8Array>(options.location, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    createIfMissing: !health.isThere,
    cacheSize: options.blockCacheBytes ?? Math.floor(cacheBytes * BLOCKS_SHARE),
    writeBufferSize: Math.floor(cacheBytes * WRITE_BUFFER_SHARE),
    ...(options.openFiles === undefined ? {} : { maxOpenFiles: options.openFiles }),
  })
  await db.open()
  guardWrites(db)
  return createStore({ ...components, db, health }, options)
}

/**
 * Makes a store of an open database, which it then owns.
 *
 * @param components.health of a database on disk
 */
export async function createStore(
  components: StoreComponents & { readonly db: Database; readonly health?: StoreHealth },
  options: StoreOptions & { readonly location?: string },
): Promise<RebuildableStore> {
  const { db, logger, health, environment } = components
  const listeners = new Listeners(logger)
  let isKnown = health?.isMarked ?? false
  const load = async (): Promise<Loaded> => {
    const { network, archive } = options
    const mustRebuild = health?.mustRebuild === true
    if (health !== undefined && mustRebuild) {
      await repairMeta(db, network, health, environment)
      await dropAllDerived(db)
    }
    let meta = await readMeta(db, { network, archive, isKnown }, environment)
    const isShort = health?.isShort(meta.epoch, meta) === true
    if (health !== undefined && isShort) {
      await repairMeta(db, network, health, environment)
      meta = await readMeta(db, { network, archive, isKnown: true }, environment)
    }
    isKnown = true
    const writer = await StoreWriter.open(
      { ...components, announce: (batch) => listeners.announce(batch) },
      {
        ...options,
        archive: meta.archive,
        avatarCacheBytes: Math.floor((options.cacheBytes ?? CACHE_BYTES) * AVATARS_SHARE),
      },
      meta,
    )
    if (mustRebuild || isShort) await writer.rebuild()
    await health?.opened({ epoch: meta.epoch, network }, () => writer.totals, isShort)
    return { writer, epoch: meta.epoch }
  }
  const open = async (): Promise<void> => {
    try {
      await db.open({ createIfMissing: false })
    } catch (error) {
      throw databaseError(error, options.location ?? '')
    }
  }
  try {
    const loaded = await load()
    if (health !== undefined) listeners.add(() => health.touch())
    const check = async (): Promise<boolean> => health !== undefined && (await health.checkAgain())
    const parts = { db, logger, environment, listeners, load, open, check, location: options.location }
    const handle = new StoreHandle(parts, loaded)
    health?.scrub(() => {
      handle.checkFiles().catch((error: unknown) => logger.error({ err: error }, 'the data could not be opened again'))
    })
    return new LevelStore(handle, listeners, health)
  } catch (error) {
    await db.close()
    throw error
  }
}
