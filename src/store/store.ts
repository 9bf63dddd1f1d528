/**
 * The store: LevelDB, one atomic and fsynced batch a commit.
 *
 * Guarantees: a commit is whole or absent, and durable once it resolved; reads see committed moments only and never fold;
 * a row that fails its check is never served: the avatar is rebuilt from its records, and the read is tried again.
 * After a write that failed nothing is written before the database has been opened anew (`torn-log.ts`).
 * Not guaranteed: that a record lost to a failing disk comes back by itself; that is what sync is for.
 */
import { Level } from 'level'
import type { Environment } from '../environment.ts'
import type { Logger, Metrics } from '../observe/types.ts'
import type { SignatureEngine } from '../record/engine.ts'
import type { Avatar, RecordId, VerifiedRecord } from '../record/types.ts'
import type { NamespaceName } from '../state/content.ts'
import type { SyncSource } from '../sync/types.ts'
import type { Batch } from './batch.ts'
import { databaseError, isDamage, toStoreError } from './database-errors.ts'
import { walk, type Database } from './database.ts'
import * as feed from './feed.ts'
import { openExportMoment, readHistory } from './history.ts'
import * as keys from './keys.ts'
import { StoreHealth } from './health.ts'
import { mendMeta, readMeta } from './meta.ts'
import { readMember } from './member.ts'
import * as reader from './reader.ts'
import { dropAllDerived } from './rebuild.ts'
import { assertRoom, isTorn, setTorn, watchLog } from './torn-log.ts'
import { avatarsMoment, avatarSums, heldOf, signedFrom, signedOf } from './sync-source.ts'
import type {
  AvatarSummary,
  ChangeEvent,
  CommitListener,
  CommitResult,
  ExportMoment,
  JsonMoment,
  Quotas,
  Store,
  StoreDamage,
  StoreTotals,
} from './types.ts'
import { mendable, openContent, openView } from './view.ts'
import { StoreWriter, type Rebuilt } from './writer.ts'

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
/** Events told of together after a failed write: more than a commit has. */
const EVENTS_AT_ONCE = 10_000
/** Share of avatars that are written to: 20,000 of two records (4.9 KB each, measured), 400 of 1,000 members. */
const AVATARS_SHARE = 6 / 11

export interface StoreComponents {
  readonly environment: Environment
  readonly logger: Logger
  readonly metrics: Metrics
  /** Verifies records again when an avatar is rebuilt. */
  readonly engine: SignatureEngine
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
}

/** A store as the node holds it: it can be mended on demand, and sync reads from it. */
export interface RebuildableStore extends Store {
  readonly sync: SyncSource
  /** Makes everything derived anew, of one avatar or of all, and verifies every record on the way. */
  rebuild(avatar?: Avatar): Promise<Rebuilt>
  /**
   * Drops everything of an avatar. It is gone from the first moment on; its rows go step by step, and if the node ends
   * meanwhile, after its next start. A record of it that is committed later is the first of its avatar.
   */
  forget(avatar: Avatar): Promise<void>
  /** Resolves when no background work is left: everything superseded is pruned, everything forgotten is gone. */
  swept(): Promise<void>
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
  const health = await StoreHealth.check(options.location, components)
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
  watchLog(db)
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
  const listeners = new Set<CommitListener>()
  let isKnown = health?.isMarked ?? false
  const load = async (): Promise<Loaded> => {
    const { network, archive } = options
    const mustRebuild = health?.mustRebuild === true
    if (health !== undefined && mustRebuild) {
      await mendMeta(db, network, health, environment)
      await dropAllDerived(db)
    }
    let meta = await readMeta(db, { network, archive, isKnown }, environment)
    const isShort = health?.isShort(meta.epoch, meta) === true
    if (health !== undefined && isShort) {
      await mendMeta(db, network, health, environment)
      meta = await readMeta(db, { network, archive, isKnown: true }, environment)
    }
    isKnown = true
    const writer = await StoreWriter.open(
      { ...components, announce: (batch) => announce(batch, listeners, logger) },
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
  try {
    const loaded = await load()
    if (health !== undefined) listeners.add(() => health.touch())
    return new LevelStore({ db, logger, health, listeners, load, location: options.location }, loaded)
  } catch (error) {
    await db.close()
    throw error
  }
}

/** What is remembered of what is on disk. */
interface Loaded {
  readonly writer: StoreWriter
  readonly epoch: string
}

interface LevelStoreParts {
  readonly db: Database
  readonly logger: Logger
  readonly listeners: Set<CommitListener>
  readonly load: () => Promise<Loaded>
  /** Undefined where it is in memory. */
  readonly location: string | undefined
  readonly health: StoreHealth | undefined
}

function announce({ changes, summaries }: Batch, listeners: ReadonlySet<CommitListener>, logger: Logger): void {
  if (changes.length === 0) return
  const summaryOf = (avatar: Avatar): AvatarSummary | undefined => summaries.get(avatar)
  tell(feed.toEvents(changes, summaryOf), summaryOf, listeners, logger)
}

/** A listener that throws harms nobody else. */
function tell(
  events: readonly ChangeEvent[],
  summaryOf: (avatar: Avatar) => AvatarSummary | undefined,
  listeners: ReadonlySet<CommitListener>,
  logger: Logger,
): void {
  for (const listener of listeners) {
    try {
      listener(events, summaryOf)
    } catch (error) {
      logger.error({ err: error }, 'a listener to commits failed')
    }
  }
}

class LevelStore implements RebuildableStore {
  readonly sync: SyncSource
  readonly #parts: LevelStoreParts
  readonly #db: Database
  readonly #listeners: Set<CommitListener>
  #writer: StoreWriter
  #epoch: string
  #renewal: Promise<void> | undefined
  #isClosed = false

  constructor(parts: LevelStoreParts, { writer, epoch }: Loaded) {
    this.#parts = parts
    this.#db = parts.db
    this.#listeners = parts.listeners
    this.#writer = writer
    this.#epoch = epoch
    this.sync = this.#syncSource()
  }

  /**
   * The writer, after a failed write one that knows what is on disk.
   *
   * @throws StoreError `disk_full`, `unreadable`
   */
  async #ready(): Promise<StoreWriter> {
    if (isTorn(this.#db) && !this.#isClosed) {
      this.#renewal ??= this.#renew().finally(() => (this.#renewal = undefined))
    }
    await this.#renewal
    return this.#writer
  }

  /** Opens the database anew: what the failed write left of the log is read, and everything in memory made of that. */
  async #renew(): Promise<void> {
    const { location = '', load, logger } = this.#parts
    await assertRoom(location)
    await this.#writer.retire()
    try {
      await this.#db.open({ createIfMissing: false })
    } catch (error) {
      throw databaseError(error, location)
    }
    setTorn(this.#db, false)
    const before = this.lastSequence()
    try {
      const { writer, epoch } = await load()
      this.#writer = writer
      this.#epoch = epoch
    } catch (error) {
      setTorn(this.#db, true)
      throw error
    }
    await this.#tellOfWhatWasThere(before)
    logger.warn({ location }, 'a write to the disk had failed: the data were opened anew, and are written to again')
  }

  /** A write that failed may be on disk after all: then nobody has been told of it. */
  async #tellOfWhatWasThere(after: number): Promise<void> {
    const { listeners, logger } = this.#parts
    const summaryOf = (avatar: Avatar): AvatarSummary | undefined => reader.readSummary(this.#db, avatar)
    for (let from = after; from < this.lastSequence();) {
      const events = await feed.readFeed(this.#db, from, EVENTS_AT_ONCE)
      tell(events, summaryOf, listeners, logger)
      from = events.at(-1)?.sequence ?? this.lastSequence()
    }
  }

  get epoch(): string {
    return this.#epoch
  }

  lastSequence(): number {
    return this.#writer.totals.lastSequence
  }

  totals(): StoreTotals {
    const { avatars, records, keptBytes } = this.#writer.totals
    return { avatars, records, bytes: keptBytes }
  }

  damage(): StoreDamage | undefined {
    return this.#parts.health?.damage
  }

  summary(avatar: Avatar): ReturnType<Store['summary']> {
    return this.#reading(avatar, undefined, async () => reader.readSummary(this.#db, avatar))
  }

  openView(avatar: Avatar): ReturnType<Store['openView']> {
    return this.#opening(avatar, () => openView(this.#db, avatar))
  }

  openContent(avatar: Avatar, platform: string, identity: string): ReturnType<Store['openContent']> {
    return this.#opening(avatar, () => openContent(this.#db, avatar, { platform, identity }))
  }

  async #opening<T extends JsonMoment>(avatar: Avatar, open: () => Promise<T | undefined>): Promise<T | undefined> {
    const moment = await this.#reading(avatar, undefined, open)
    return moment && mendable(moment, (error) => this.#writer.mend(error))
  }

  member(avatar: Avatar, namespace: NamespaceName, key: string): ReturnType<Store['member']> {
    return this.#reading(avatar, undefined, () => readMember(this.#db, avatar, namespace, key))
  }

  async record(id: RecordId): ReturnType<Store['record']> {
    return this.#writer.mending(() => reader.readRecord(this.#db, id))
  }

  records(avatar: Avatar, options: Parameters<Store['records']>[1]): ReturnType<Store['records']> {
    return this.#reading(avatar, undefined, () => reader.readRecords(this.#db, avatar, options))
  }

  history(avatar: Avatar, options: Parameters<Store['history']>[1]): ReturnType<Store['history']> {
    return this.#reading(avatar, [], () => readHistory(this.#db, avatar, options))
  }

  /** Reads of one avatar; `unknown` where it is being forgotten, whatever rows are still there. */
  async #reading<T>(avatar: Avatar, unknown: T, read: () => Promise<T>): Promise<T> {
    await this.#renewal?.catch(() => undefined)
    return this.#writer.mending(async () => (this.#writer.sweeper.isForgetting(avatar) ? unknown : read()))
  }

  async exportMoment(): Promise<ExportMoment> {
    return openExportMoment(this.#db, (error) => this.#writer.mend(error))
  }

  async avatars({ after, limit }: { after?: Avatar; limit: number }): Promise<Avatar[]> {
    const all = keys.tableRange('a')
    const range = after === undefined ? all : { gte: new Uint8Array([...keys.hostedKey(after), 0]), lt: all.lt }
    const avatars: Avatar[] = []
    for await (const [key] of walk(this.#db, range, { limit })) avatars.push(keys.avatarInKey(key))
    return avatars
  }

  async claims(
    platform: string,
    identity: string,
    { after, limit }: { after?: Avatar; limit: number },
  ): Promise<Avatar[]> {
    const avatars: Avatar[] = []
    for await (const [key] of walk(this.#db, keys.identityRange({ platform, identity }, after), { keysOnly: true })) {
      const avatar = keys.avatarAtEnd(key)
      if (this.#writer.sweeper.isForgetting(avatar)) continue
      if (avatars.push(avatar) >= limit) break
    }
    return avatars
  }

  async events(options: { after: number; avatar?: Avatar; limit: number }): ReturnType<Store['events']> {
    const { after, avatar, limit } = options
    const isBehind = (): boolean => avatar === undefined && after < this.#writer.feedFloor
    if (after > this.lastSequence() || isBehind()) return 'reset'
    const events = await this.#writer.mending(() =>
      avatar === undefined
        ? feed.readFeed(this.#db, after, limit)
        : feed.readAvatarFeed(this.#db, avatar, after, limit),
    )
    // The feed may have been trimmed while it was read.
    return isBehind() ? 'reset' : events
  }

  onCommit(listener: CommitListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async commit(records: readonly VerifiedRecord[]): Promise<CommitResult[]> {
    return (await this.#ready()).commit(records)
  }

  async rebuild(avatar?: Avatar): Promise<Rebuilt> {
    return (await this.#ready()).rebuild(avatar)
  }

  async forget(avatar: Avatar): Promise<void> {
    await (await this.#ready()).forget(avatar)
  }

  swept(): Promise<void> {
    return this.#writer.sweeper.idle()
  }

  #syncSource(): SyncSource {
    const db = this.#db
    return {
      moment: async (scope) => {
        // It may have to write before it is one.
        await this.#ready().catch(() => undefined)
        return this.#writer.mending(() => (scope === 'all' ? this.#writer.orderMoment() : avatarsMoment(db, scope)))
      },
      avatarSums: (avatars) => this.#writer.mending(async () => avatarSums(db, avatars)),
      held: (ids) => heldOf(db, ids, this.#writer.sweeper),
      signed: (ids) => this.#writer.mending(() => signedOf(db, ids)),
      from: (bound, limits) => this.#writer.mending(() => signedFrom(db, bound, limits, this.#writer.sweeper)),
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#renewal?.catch(() => undefined)
    await this.#writer.close()
    await this.#parts.health?.closed()
  }
}
