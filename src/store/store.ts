/**
 * The store: LevelDB, one atomic and fsynced batch a commit.
 *
 * Guarantees: a commit is whole or absent, and durable once it resolved; reads see committed moments only and never fold;
 * a row that fails its check is never served: the avatar is rebuilt from its records, and the read is tried again.
 * Not guaranteed: that a record lost to a failing disk comes back by itself; that is what sync is for.
 */
import { Level } from 'level'
import { LRUCache } from 'lru-cache'
import type { Environment } from '../environment.ts'
import type { Logger, Metrics } from '../observe/types.ts'
import type { SignatureEngine } from '../record/engine.ts'
import type { Avatar, RecordId, VerifiedRecord } from '../record/types.ts'
import { verifyRecord } from '../record/verify.ts'
import { AvatarEntry } from './avatar-entry.ts'
import { buildBatch, type Batch } from './commit.ts'
import { walk, writeDurably, type Database } from './database.ts'
import { CorruptRowError, CorruptWhereaboutsError, StoreError } from './errors.ts'
import * as feed from './feed.ts'
import * as keys from './keys.ts'
import { openExportMoment, readHistory } from './history.ts'
import { readMeta, totalsOperation, type Meta } from './meta.ts'
import { Mutex } from './mutex.ts'
import * as reader from './reader.ts'
import { OrderIndex } from './order-index.ts'
import { rebuildAvatar } from './rebuild.ts'
import { avatarsMoment, avatarSums, signedFrom, signedOf } from './sync-source.ts'
import type { SyncSource } from '../sync/types.ts'
import type { AvatarSummary, CommitListener, CommitResult, ExportMoment, Quotas, Store } from './types.ts'

/** Memory for avatars that are written to: about 2,000 of ordinary size. */
const ENTRY_CACHE_BYTES = 96 * 1_024 * 1_024
/** LevelDB's block cache. Its default of 8 MiB is smaller than the indexes of 100,000 records. */
const BLOCK_CACHE_BYTES = 64 * 1_024 * 1_024
/** LevelDB's memory table: larger ones make fewer, larger files at level 0. */
const WRITE_BUFFER_BYTES = 16 * 1_024 * 1_024

/** Avatars mended on the way of one commit before the disk is held to be beyond help. */
const MAX_MENDS = 8

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
  /** Whether superseded records are kept, as far as quotas have room for them. Default false: they are pruned. */
  readonly archive?: boolean
  /** What is kept at most. Default: no limit. */
  readonly quotas?: Quotas
}

/** A store as the node holds it: it can be mended on demand, and sync reads from it. */
export interface RebuildableStore extends Store {
  readonly sync: SyncSource
  /** Makes everything derived anew, of one avatar or of all, and verifies every record on the way. */
  rebuild(avatar?: Avatar): Promise<{ records: number; quarantined: number }>
}

/**
 * Opens the store in a directory, making it if need be.
 *
 * @throws StoreError `locked` where another process has it, `schema_newer`, `wrong_network`, `unreadable`
 */
export async function openStore(
  components: StoreComponents,
  options: StoreOptions & { readonly location: string },
): Promise<RebuildableStore> {
  const db = new Level<Uint8Array, Uint8Array>(options.location, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    cacheSize: BLOCK_CACHE_BYTES,
    writeBufferSize: WRITE_BUFFER_BYTES,
  })
  try {
    await db.open()
  } catch (error) {
    throw openingError(error, options.location)
  }
  return createStore({ ...components, db }, options)
}

function openingError(error: unknown, location: string): StoreError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (cause instanceof Error && 'code' in cause && cause.code === 'LEVEL_LOCKED') {
    return new StoreError(
      'locked',
      `Another process uses the data in ${location}. Stop it, or choose another directory with --data-dir.`,
      { cause },
    )
  }
  const detail = cause instanceof Error ? cause.message : String(cause)
  return new StoreError('unreadable', `The data in ${location} cannot be opened: ${detail}`, { cause })
}

/** Makes a store of an open database, which it then owns. */
export async function createStore(
  components: StoreComponents & { readonly db: Database },
  options: StoreOptions,
): Promise<RebuildableStore> {
  const { db } = components
  try {
    const meta = await readMeta(db, options.network, components.environment)
    return new LevelStore(components, options, meta, await feed.readFeedFloor(db, meta.lastSequence))
  } catch (error) {
    await db.close()
    throw error
  }
}

function isCorruption(error: unknown): error is CorruptRowError | CorruptWhereaboutsError {
  return error instanceof CorruptRowError || error instanceof CorruptWhereaboutsError
}

class LevelStore implements RebuildableStore {
  readonly epoch: string
  readonly sync: SyncSource
  readonly #db: Database
  readonly #components: StoreComponents
  readonly #options: StoreOptions
  readonly #writing = new Mutex()
  readonly #order: OrderIndex
  readonly #listeners = new Set<CommitListener>()
  readonly #entries = new LRUCache<Avatar, AvatarEntry>({
    maxSize: ENTRY_CACHE_BYTES,
    maxEntrySize: ENTRY_CACHE_BYTES / 2,
    sizeCalculation: (entry) => entry.weight,
  })
  #lastSequence: number
  #avatars: number
  #records: number
  #feedFloor: number

  constructor(components: StoreComponents & { db: Database }, options: StoreOptions, meta: Meta, feedFloor: number) {
    this.#db = components.db
    this.#components = components
    this.#options = options
    this.epoch = meta.epoch
    this.#lastSequence = meta.lastSequence
    this.#avatars = meta.avatars
    this.#records = meta.records
    this.#feedFloor = feedFloor
    this.#order = new OrderIndex(components.db)
    // Commits wait for it, reads do not. What fails here fails again, and is told, when the index is asked for.
    this.#writing.run(() => this.#order.load()).catch(() => undefined)
    this.sync = this.#syncSource()
  }

  lastSequence(): number {
    return this.#lastSequence
  }

  totals(): { avatars: number; records: number } {
    return { avatars: this.#avatars, records: this.#records }
  }

  summary(avatar: Avatar): ReturnType<Store['summary']> {
    return this.#mending(() => Promise.resolve(reader.readSummary(this.#db, avatar)))
  }

  view(avatar: Avatar): ReturnType<Store['view']> {
    return this.#mending(() => reader.readView(this.#db, avatar))
  }

  content(avatar: Avatar, platform: string, identity: string): Promise<string | undefined> {
    return this.#mending(() => reader.readContent(this.#db, avatar, { platform, identity }))
  }

  record(id: RecordId): ReturnType<Store['record']> {
    return this.#mending(() => reader.readRecord(this.#db, id))
  }

  records(avatar: Avatar, options: { after: number; limit: number }): ReturnType<Store['records']> {
    return this.#mending(() => reader.readRecords(this.#db, avatar, options))
  }

  history(avatar: Avatar, options: Parameters<Store['history']>[1]): ReturnType<Store['history']> {
    return this.#mending(() => readHistory(this.#db, avatar, options))
  }

  async exportMoment(): Promise<ExportMoment> {
    return openExportMoment(this.#db, (error) => this.#writing.run(() => this.#mend(error)))
  }

  async avatars({ after, limit }: { after?: Avatar; limit: number }): Promise<Avatar[]> {
    const all = keys.tableRange('a')
    const range = after === undefined ? all : { gte: new Uint8Array([...keys.hostedKey(after), 0]), lt: all.lt }
    const avatars: Avatar[] = []
    for await (const [key] of walk(this.#db, range, { limit })) avatars.push(keys.avatarInKey(key))
    return avatars
  }

  async byIdentity(platform: string, identity: string, limit: number): ReturnType<Store['byIdentity']> {
    const found: { avatar: Avatar; json: string }[] = []
    const claims: Avatar[] = []
    for await (const [key] of walk(this.#db, keys.identityRange({ platform, identity }), { limit })) {
      claims.push(keys.avatarAtEnd(key))
    }
    for (const avatar of claims) {
      const json = await this.content(avatar, platform, identity)
      if (json !== undefined) found.push({ avatar, json })
    }
    return found
  }

  async events(options: { after: number; avatar?: Avatar; limit: number }): ReturnType<Store['events']> {
    const { after, avatar, limit } = options
    const isBehind = avatar === undefined && after < this.#feedFloor
    if (after > this.#lastSequence || isBehind) return 'reset'
    return this.#mending(async () => {
      const changes =
        avatar === undefined
          ? await feed.readFeed(this.#db, after, limit)
          : await feed.readAvatarFeed(this.#db, avatar, after, limit)
      return feed.toEvents(changes, feed.standings(this.#db))
    })
  }

  onCommit(listener: CommitListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  commit(records: readonly VerifiedRecord[]): Promise<CommitResult[]> {
    return this.#writing.run(async () => {
      for (let mended = 0; ; mended += 1) {
        try {
          return await this.#commit(records)
        } catch (error) {
          for (const { body } of records) this.#entries.delete(body.avatar)
          if (!isCorruption(error) || mended >= MAX_MENDS) throw error
          await this.#mend(error)
        }
      }
    })
  }

  async #commit(records: readonly VerifiedRecord[]): Promise<CommitResult[]> {
    const startedMs = this.#components.environment.clock.now()
    const entries = new Map<Avatar, AvatarEntry>()
    const batch = await buildBatch(this.#db, records, this.#lastSequence, async (avatar) => {
      const entry = this.#entries.get(avatar) ?? (await AvatarEntry.load(this.#db, avatar))
      entries.set(avatar, entry)
      return entry
    })
    if (batch.operations.length > 0) await this.#write(batch)
    for (const [avatar, entry] of entries) this.#entries.set(avatar, entry)
    this.#components.metrics.commit((this.#components.environment.clock.now() - startedMs) / 1_000, records.length)
    this.#announce(batch)
    return batch.results
  }

  async #write(batch: Batch): Promise<void> {
    const avatars = this.#avatars + batch.newAvatars
    const totals = {
      lastSequence: batch.lastSequence,
      avatars,
      records: this.#records + batch.added.length - batch.removed.length,
    }
    batch.operations.push(totalsOperation(totals))
    await writeDurably(this.#db, batch.operations)
    this.#lastSequence = totals.lastSequence
    this.#avatars = totals.avatars
    this.#records = totals.records
    await this.#order.apply(batch.added, batch.removed)
    const entries = this.#options.feedEntries ?? feed.FEED_ENTRIES
    this.#feedFloor = await feed.trimFeed(this.#db, this.#feedFloor, this.#lastSequence, entries)
  }

  #announce({ changes, summaries }: Batch): void {
    if (changes.length === 0) return
    const summaryOf = (avatar: Avatar): AvatarSummary | undefined => summaries.get(avatar)
    const events = feed.toEvents(changes, summaryOf)
    for (const listener of this.#listeners) {
      try {
        listener(events, summaryOf)
      } catch (error) {
        this.#components.logger.error({ err: error }, 'a listener to commits failed')
      }
    }
  }

  rebuild(avatar?: Avatar): Promise<{ records: number; quarantined: number }> {
    return this.#writing.run(async () => {
      const avatars = avatar === undefined ? await this.#everyAvatar() : [avatar]
      let records = 0
      let quarantined = 0
      for (const each of avatars) {
        const rebuilt = await this.#rebuildOne(each)
        records += rebuilt.records
        quarantined += rebuilt.quarantined
      }
      return { records, quarantined }
    })
  }

  /** Avatars that have a record, found without trust in anything derived. */
  async #everyAvatar(): Promise<Avatar[]> {
    const avatars: Avatar[] = []
    for (let range = keys.tableRange('r'); ;) {
      let found: Avatar | undefined
      for await (const [key] of walk(this.#db, range, { limit: 1 })) found = keys.avatarInKey(key)
      if (found === undefined) return avatars
      avatars.push(found)
      range = { gte: keys.tableRange('r', found).lt, lt: range.lt }
    }
  }

  async #rebuildOne(avatar: Avatar): Promise<{ records: number; quarantined: number }> {
    const { engine, environment } = this.#components
    this.#entries.delete(avatar)
    const rebuilt = await rebuildAvatar(
      this.#db,
      avatar,
      (record) => verifyRecord(engine, this.#options.network, record, { recoveryByte: false }),
      environment.clock.now(),
    )
    // Without totals until they are counted again: whoever opens the data before that counts them.
    await writeDurably(this.#db, [...rebuilt.operations, { type: 'del', key: keys.metaKey('totals') }])
    try {
      await this.#recount()
    } finally {
      await this.#order.load()
    }
    return rebuilt
  }

  async #recount(): Promise<void> {
    let avatars = 0
    let records = 0
    for await (const _ of walk(this.#db, keys.tableRange('a'))) avatars += 1
    for await (const _ of walk(this.#db, keys.tableRange('o'))) records += 1
    this.#avatars = avatars
    this.#records = records
    await writeDurably(this.#db, [totalsOperation({ lastSequence: this.#lastSequence, avatars, records })])
  }

  /** Reads; where a row fails its check, mends the avatar and reads once more. */
  async #mending<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read()
    } catch (error) {
      if (!isCorruption(error)) throw error
      await this.#writing.run(() => this.#mend(error))
      return read()
    }
  }

  async #mend(error: CorruptRowError | CorruptWhereaboutsError): Promise<void> {
    const { logger, metrics } = this.#components
    const row = error instanceof CorruptRowError ? error.row : 'whereabouts'
    metrics.corruption(row)
    const avatar = error instanceof CorruptRowError ? error.avatar : await this.#ownerOf(error.id)
    if (avatar === undefined) {
      logger.warn({ row, err: error }, 'a stored row of no record failed its check and was dropped')
      return
    }
    const { records, quarantined } = await this.#rebuildOne(avatar)
    logger.warn(
      { avatar, row, records, quarantined, err: error },
      'a stored row failed its check; the avatar was rebuilt from its records',
    )
  }

  /** Looks through all histories for a record whose whereabouts are lost; drops them if it is in none. */
  async #ownerOf(id: RecordId): Promise<Avatar | undefined> {
    for await (const [key] of walk(this.#db, keys.tableRange('h'))) {
      if (keys.placeInKey(key).id === id) return keys.avatarInKey(key)
    }
    await writeDurably(this.#db, [{ type: 'del', key: keys.idKey(id) }])
    return undefined
  }

  #syncSource(): SyncSource {
    const db = this.#db
    return {
      // Between commits, so that the pages and the rows are of one moment.
      moment: (scope) =>
        this.#mending(() =>
          this.#writing.run(() => (scope === 'all' ? this.#order.at(db.snapshot()) : avatarsMoment(db, scope))),
        ),
      avatarSums: (avatars) => this.#mending(() => Promise.resolve(avatarSums(db, avatars))),
      held: (ids) => ids.map((id) => db.getSync(keys.idKey(keys.idText(id))) !== undefined),
      signed: (ids) => this.#mending(() => signedOf(db, ids)),
      from: (bound, limits) => this.#mending(() => signedFrom(db, bound, limits)),
    }
  }

  async close(): Promise<void> {
    await this.#writing.run(() => this.#db.close())
  }
}
