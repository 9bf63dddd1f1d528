/**
 * The store: LevelDB, with one atomic, fsynced batch per commit.
 *
 * Guarantees:
 * - A commit is complete or absent, and durable once it resolves.
 * - Reads see committed data only and never fold records.
 * - A row that fails its check is never served: the store rebuilds the avatar from its records and repeats the read.
 * - After a failed write the store writes nothing until it has reopened the database (`handle.ts`).
 *
 * Not guaranteed: that a record lost to a failing disk comes back. Sync does that.
 */
import { Level } from 'level'
import { databaseError, isDamage, toStoreError } from './database-errors.ts'
import { type Database } from './level.ts'
import { StoreHandle } from './handle.ts'
import { StoreHealth } from './health.ts'
import { Listeners } from './listeners.ts'
import { repairMeta, readMeta } from './meta.ts'
import { dropAllDerived } from './rebuild.ts'
import { guardWrites } from './write-guard.ts'
import type { RebuildableStore } from './types.ts'
import { levelStore } from './level-store.ts'
import type { WriterComponents } from './writer-state.ts'
import { StoreWriter, type WriterOptions } from './writer.ts'

const MIB = 1_024 * 1_024
/** Default of `cacheBytes`. */
const CACHE_BYTES = 32 * MIB
/**
 * Size of LevelDB's memory table; two exist while one is written to disk. Half of it saves 8 to 16 MiB, but makes twice as many
 * files at level 0: 17 µs more of compaction a record, where 16 MiB take 33.
 */
const WRITE_BUFFER_BYTES = 16 * MIB
/** Memory of an open table file: its index and filter, and the pages of it that were read. */
const OPEN_FILE_BYTES = MIB / 4
/** Share of the avatar cache. The rest is LevelDB's block cache. */
const AVATARS_SHARE = 1 / 2
/** Most memory of the avatar cache: it is part of V8's heap, which is limited. */
const MAX_AVATARS_BYTES = 512 * MIB
/** Cache sizes for commands that read everything once, avatar by avatar. */
export const ONE_PASS_CACHES = {
  cacheBytes: 48 * MIB,
  blockCacheBytes: 4 * MIB,
  writeBufferBytes: 4 * MIB,
  cachedAvatars: 16,
  openFiles: 200,
} as const satisfies Partial<StoreOptions>

export interface StoreComponents extends WriterComponents {
  /** Called after the store lost records while in use and has been repaired. */
  readonly onLoss?: () => void
}

export interface StoreOptions extends WriterOptions {
  /**
   * Whether to keep superseded records as far as quotas allow; otherwise they are pruned. Default: as at the last opening of
   * the data; false for new data.
   */
  readonly archive?: boolean
  /**
   * With `archive`: whether to keep the history of avatars whose owners erased them. Default: as at the last opening of the
   * data; true for new data.
   */
  readonly keepsErased?: boolean
  /**
   * Approximate memory of the caches of avatars and of LevelDB's blocks together. Default 32 MiB: room for 4,500 avatars of two
   * records. A write to an avatar that is not cached takes about 20 µs more of CPU.
   */
  readonly cacheBytes?: number
  /** Size of LevelDB's block cache. Default: its share of `cacheBytes`. Useless for data that is read once. */
  readonly blockCacheBytes?: number
  /** Size of LevelDB's memory table. Default 16 MiB. */
  readonly writeBufferBytes?: number
  /**
   * Table files that LevelDB keeps open and mapped. The index and filter of each stay in memory: about 50 KiB for a table of
   * 2 MiB, and several times that if values compress well. Default: one for each 256 KiB of `cacheBytes`, 64 to 1,000.
   */
  readonly openFiles?: number
  /**
   * Bytes of tables that are checked completely before an opening after a clean stop. The other tables are checked in the
   * background. Default 16 MiB.
   */
  readonly checkedBytes?: number
}

/**
 * Opens the store in a directory, or creates one if the directory never had a store (`mark.ts`).
 *
 * @throws StoreError `locked` if another process has it open, `incomplete` if files are missing, `schema_newer`,
 *   `wrong_network`, `unreadable`
 */
export async function openStore(
  components: StoreComponents,
  options: StoreOptions & { readonly location: string },
): Promise<RebuildableStore> {
  // First: the constructor of `Level` starts opening the database.
  const health = await StoreHealth.check(options.location, components, options.checkedBytes)
  try {
    return await openChecked(components, options, health)
  } catch (error) {
    // Damage that the partial check after a clean stop does not find.
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
    cacheSize: options.blockCacheBytes ?? cacheBytes - avatarBytes(cacheBytes),
    writeBufferSize: options.writeBufferBytes ?? WRITE_BUFFER_BYTES,
    maxOpenFiles: options.openFiles ?? Math.min(1_000, Math.max(64, Math.floor(cacheBytes / OPEN_FILE_BYTES))),
  })
  await db.open()
  guardWrites(db)
  return createStore({ ...components, db, health }, options)
}

/**
 * Creates a store on an open database. The store owns the database from then on.
 *
 * @param components.health required for a database on disk
 */
export async function createStore(
  components: StoreComponents & { readonly db: Database; readonly health?: StoreHealth },
  options: StoreOptions & { readonly location?: string },
): Promise<RebuildableStore> {
  const { db, logger, health, environment } = components
  const listeners = new Listeners(logger)
  let isKnown = health?.isMarked ?? false
  const load = async (): Promise<StoreWriter> => {
    const { network, archive, keepsErased } = options
    const mustRebuild = health?.mark.isRepairing === true
    if (health !== undefined && mustRebuild) {
      await repairMeta(db, network, health.mark, components)
      await dropAllDerived(db)
    }
    let meta = await readMeta(db, { network, archive, keepsErased, isKnown }, components)
    const isShort = health?.isShort(meta.epoch, meta) === true
    if (health !== undefined && isShort) {
      await repairMeta(db, network, health.mark, components)
      meta = await readMeta(db, { network, archive, keepsErased, isKnown: true }, components)
    }
    isKnown = true
    const writer = await StoreWriter.open(
      { ...components, announce: (batch) => listeners.announce(batch) },
      { ...options, avatarCacheBytes: avatarBytes(options.cacheBytes ?? CACHE_BYTES) },
      meta,
    )
    if (mustRebuild || isShort) await writer.rebuild()
    await health?.opened({ epoch: meta.epoch, network }, () => writer.totals, isShort)
    return writer
  }
  const open = async (): Promise<void> => {
    try {
      await db.open({ createIfMissing: false })
    } catch (error) {
      throw databaseError(error, options.location ?? '')
    }
  }
  try {
    const writer = await load()
    if (health !== undefined) listeners.add(() => health.touch())
    const check = async (): Promise<boolean> => health !== undefined && (await health.checkAgain())
    const parts = { db, logger, environment, listeners, load, open, check, location: options.location }
    const handle = new StoreHandle(parts, writer)
    health?.scrub(() => {
      handle
        .checkFiles()
        .catch((error: unknown) => logger.error({ err: error }, 'the node cannot open its data again; check the disk'))
    })
    return levelStore(handle, listeners, health)
  } catch (error) {
    await db.close()
    throw error
  }
}

function avatarBytes(cacheBytes: number): number {
  return Math.min(MAX_AVATARS_BYTES, Math.floor(cacheBytes * AVATARS_SHARE))
}
