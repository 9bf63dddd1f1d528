/** The store's side that writes: one thing at a time, each in a batch that is whole or absent. */
import { LRUCache } from 'lru-cache'
import type { Environment } from '../platform/environment.ts'
import type { Logger, Metrics } from '../observe/types.ts'
import type { SignatureEngine } from '../record/engine.ts'
import type { Avatar, RecordId, VerifiedRecord } from '../record/types.ts'
import { verifyRecord } from '../record/verify.ts'
import type { NamespaceName } from '../state/content.ts'
import type { SyncMoment } from './types.ts'
import { AvatarEntry } from './avatar-entry.ts'
import type { Batch } from './batch.ts'
import { buildBatch } from './commit.ts'
import { NOTHING, plus } from './counts.ts'
import { countAll } from './count-all.ts'
import { NO_VALUE, walk, writeDurably, writeSoon } from './database.ts'
import { type Database, type Operation } from './level.ts'
import { CorruptRowError, CorruptLocationError } from './errors.ts'
import * as feed from './feed.ts'
import * as keys from './keys.ts'
import { totalsOperation, type Meta, type Totals } from './meta.ts'
import { Mutex } from './mutex.ts'
import { OrderIndex } from './order-index.ts'
import { NO_QUOTAS } from './quotas.ts'
import { readSummary } from './reader.ts'
import { rebuildAvatar } from './rebuild.ts'
import * as rows from './rows.ts'
import { seal } from './seal.ts'
import { Compactor } from './compactor.ts'
import { earlierWriteFailed, noteDamage } from './torn-log.ts'
import type { CommitResult, Quotas } from './types.ts'

/** Records in a step of background work: others wait for one no longer than for a commit of that many. */
const STEP_RECORDS = 500
/** Avatars mended on the way of one commit before the disk is held to be beyond help. */
const MAX_MENDS = 8

export interface WriterComponents {
  readonly db: Database
  readonly environment: Pick<Environment, 'clock'>
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'commit' | 'corruption'>
  /** Verifies records again when an avatar is rebuilt. */
  readonly engine: SignatureEngine
  /** Told of every commit that changed something. */
  readonly announce: (batch: Batch) => void
}

export interface WriterOptions {
  readonly network: string
  readonly feedEntries?: number
  readonly archive: boolean
  readonly quotas?: Quotas
  readonly stepRecords?: number
  /** Memory for avatars that are written to. */
  readonly avatarCacheBytes: number
  /** How many of them at most. Default: as many as there is room for. */
  readonly cachedAvatars?: number
}

export interface Rebuilt {
  readonly records: number
  readonly quarantined: number
}

type Corruption = CorruptRowError | CorruptLocationError

function isCorruption(error: unknown): error is Corruption {
  return error instanceof CorruptRowError || error instanceof CorruptLocationError
}

export class StoreWriter {
  readonly compactor: Compactor
  readonly #components: WriterComponents
  readonly #db: Database
  readonly #options: WriterOptions
  readonly #writing: Mutex
  readonly #order: OrderIndex
  readonly #entries: LRUCache<Avatar, AvatarEntry>
  #totals: Totals
  #feedFloor: number
  /** Whether entries up to the floor may still be there. */
  #isTrimDue = false
  /** Whether another takes its place: what it remembers may not be what is on disk. */
  #isRetired = false

  static async open(components: WriterComponents, options: WriterOptions, meta: Meta): Promise<StoreWriter> {
    const { db, logger } = components
    const feedFloor = await feed.readFeedFloor(db, meta.lastSequence)
    const links: { writer?: StoreWriter } = {}
    const writer = (): StoreWriter => links.writer as StoreWriter
    const compactor = await Compactor.load({
      db,
      logger,
      archive: options.archive,
      quotas: options.quotas ?? NO_QUOTAS,
      stepRecords: options.stepRecords ?? STEP_RECORDS,
      exclusively: (task) => writer().#exclusively(task, []),
      takeEntry: async (avatar) => {
        const entry = await writer().#entryOf(avatar)
        writer().#entries.delete(avatar)
        return entry
      },
      putEntry: (entry) => writer().#keepEntry(entry),
      counts: () => writer().totals,
      write: async ({ operations, removed }, change) => {
        await writer().#write(
          operations,
          { ...writer().totals, ...plus(writer().totals, change) },
          [],
          removed,
          writeSoon,
        )
      },
    })
    links.writer = new StoreWriter(components, options, meta, feedFloor, compactor)
    compactor.wake()
    return links.writer
  }

  private constructor(
    components: WriterComponents,
    options: WriterOptions,
    meta: Meta,
    feedFloor: number,
    compactor: Compactor,
  ) {
    this.#components = components
    this.#db = components.db
    this.#entries = new LRUCache({
      maxSize: options.avatarCacheBytes,
      maxEntrySize: Math.floor(options.avatarCacheBytes / 2),
      sizeCalculation: (entry) => entry.weight,
      ...(options.cachedAvatars === undefined ? {} : { max: options.cachedAvatars }),
    })
    this.#options = options
    this.#totals = meta
    this.#feedFloor = feedFloor
    this.compactor = compactor
    this.#writing = new Mutex()
    this.#order = new OrderIndex(components.db)
    // Commits wait for it, reads do not. What fails here fails again, and is told, when the index is asked for.
    this.#writing.run(() => this.#order.load()).catch(() => undefined)
  }

  get totals(): Totals {
    return this.#totals
  }

  /** The sequence before the oldest entry that the feed still has for certain. */
  get feedFloor(): number {
    return this.#feedFloor
  }

  async commit(records: readonly VerifiedRecord[]): Promise<CommitResult[]> {
    const avatars = [...new Set(records.map(({ body }) => body.avatar))]
    return this.#exclusively(async () => {
      for (const avatar of avatars) {
        while (this.compactor.isForgetting(avatar)) await this.compactor.forgetSome(avatar)
      }
      return this.#commit(records)
    }, avatars)
  }

  /**
   * Runs a task when all earlier ones have ended. Where a row fails its check, mends the avatar and runs it again.
   *
   * @param avatars whose entries the task may leave halfway when it fails
   */
  #exclusively<T>(task: () => Promise<T>, avatars: readonly Avatar[]): Promise<T> {
    return this.#inTurn(async () => {
      for (let mended = 0; ; mended += 1) {
        try {
          return await task()
        } catch (error) {
          for (const avatar of avatars) this.#entries.delete(avatar)
          // A sweep has no caller that could note it.
          noteDamage(this.#db, error)
          if (!isCorruption(error) || mended >= MAX_MENDS) throw error
          await this.#mend(error)
        }
      }
    })
  }

  async #commit(records: readonly VerifiedRecord[]): Promise<CommitResult[]> {
    const { environment, metrics } = this.#components
    const startedMs = environment.clock.now()
    const entries = new Map<Avatar, AvatarEntry>()
    const { archive, quotas = NO_QUOTAS, stepRecords = STEP_RECORDS } = this.#options
    const entryOf = async (avatar: Avatar): Promise<AvatarEntry> => {
      const entry = await this.#entryOf(avatar)
      entries.set(avatar, entry)
      return entry
    }
    const { lastSequence } = this.#totals
    const batch = await buildBatch(
      { db: this.#db, lastSequence, counts: this.#totals, archive, quotas, stepRecords, entryOf },
      records,
    )
    if (batch.operations.length > 0) {
      const { operations, added, removed, counts } = batch
      this.compactor.note({ staleInSyncIndex: batch.staleInSyncIndex })
      const avatars = this.#totals.avatars + batch.newAvatars
      await this.#write(operations, { lastSequence: batch.lastSequence, avatars, ...counts }, added, removed)
    }
    // The batch is durable. Nothing below may keep that from listeners or from the caller.
    this.#components.announce(batch)
    for (const entry of entries.values()) this.#afterCommit('caching an avatar', () => this.#keepEntry(entry))
    this.#afterCommit('a metric', () => {
      metrics.commit((environment.clock.now() - startedMs) / 1_000, records.length)
    })
    this.#afterCommit('waking background work', () => this.compactor.follow(batch))
    await this.#trimFeed().catch((error: unknown) => this.#logAfterCommit('trimming the change feed', error))
    return batch.results
  }

  #afterCommit(what: string, step: () => void): void {
    try {
      step()
    } catch (error) {
      this.#logAfterCommit(what, error)
    }
  }

  #logAfterCommit(what: string, error: unknown): void {
    this.#components.logger.warn(
      { err: error },
      `${what} failed after a commit, which is durable; a later commit retries`,
    )
  }

  /** Drops feed entries beyond the limit. Where that fails, the next commit tries again. */
  async #trimFeed(): Promise<void> {
    const { feedEntries = feed.FEED_ENTRIES } = this.#options
    const floor = feed.floorFor(this.#feedFloor, this.#totals.lastSequence, feedEntries)
    if (floor === this.#feedFloor && !this.#isTrimDue) return
    // Raised first: a reader must not take entries that are partly gone for all there were.
    this.#feedFloor = floor
    this.#isTrimDue = true
    await feed.dropTo(this.#db, floor)
    this.#isTrimDue = false
  }

  /** Returns the cached entry. A caller that modifies it without committing must evict it. */
  async #entryOf(avatar: Avatar): Promise<AvatarEntry> {
    return this.#entries.get(avatar) ?? (await AvatarEntry.load(this.#db, avatar))
  }

  #keepEntry(entry: AvatarEntry): void {
    // Deleted first: the cache does not weigh an entry again that it holds already.
    this.#entries.delete(entry.avatar)
    this.#entries.set(entry.avatar, entry)
  }

  async #write(
    operations: readonly Operation[],
    totals: Totals,
    added: Batch['added'],
    removed: Batch['removed'],
    write = writeDurably,
  ): Promise<void> {
    await write(this.#db, [...operations, totalsOperation(totals)])
    this.#totals = totals
    await this.#order.apply(added, removed)
  }

  /** The live records in the order of sync, of one moment between commits. */
  async orderMoment(): Promise<SyncMoment> {
    for (;;) {
      const moment = await this.#inTurn(async () => {
        if (this.compactor.isSyncIndexExact) return this.#order.at(this.#db.snapshot())
        await this.compactor.removeFromSyncIndex()
        return undefined
      })
      if (moment !== undefined) return moment
    }
  }

  async forget(avatar: Avatar): Promise<void> {
    await this.#exclusively(() => this.#beginToForget(avatar), [avatar])
    while (this.compactor.isForgetting(avatar)) {
      await this.#inTurn(() => this.compactor.forgetSome(avatar))
    }
  }

  /** Lets an avatar go from one moment to the next; its rows follow. */
  async #beginToForget(avatar: Avatar): Promise<void> {
    if (this.compactor.isForgetting(avatar)) return
    const summary = readSummary(this.#db, avatar)
    if (summary === undefined) return
    this.#entries.delete(avatar)
    const task = keys.taskKey('u', avatar)
    const all = rows.encodePlace({ counter: 0, id: `0x${'00'.repeat(32)}` })
    const operations: Operation[] = [
      { type: 'put', key: task, value: seal(task, all) },
      { type: 'put', key: keys.taskKey('d', avatar), value: NO_VALUE },
      { type: 'del', key: keys.summaryKey(avatar) },
      { type: 'del', key: keys.hostedKey(avatar) },
    ]
    const { lastSequence, avatars } = this.#totals
    this.compactor.note({ staleInSyncIndex: [avatar], forget: [avatar] })
    try {
      const totals = { lastSequence, avatars: avatars - 1, ...plus(this.#totals, summary, -1) }
      await this.#write(operations, totals, [], [])
    } catch (error) {
      this.compactor.keeps(avatar)
      throw error
    }
  }

  rebuild(avatar?: Avatar): Promise<Rebuilt> {
    return this.#inTurn(async () => {
      const avatars = avatar === undefined ? await this.#everyAvatar() : [avatar]
      let records = 0
      let quarantined = 0
      try {
        for (const each of avatars) {
          const rebuilt = await this.#remake(each)
          records += rebuilt.records
          quarantined += rebuilt.quarantined
        }
      } finally {
        await this.#recountAll()
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

  async #rebuildOne(avatar: Avatar, claim?: NamespaceName): Promise<Rebuilt> {
    const rebuilt = await this.#remake(avatar, claim)
    await this.#recountAll()
    return rebuilt
  }

  /** Makes the rows of an avatar again. The totals and the order of sync must be counted again afterwards. */
  async #remake(avatar: Avatar, claim?: NamespaceName): Promise<Rebuilt> {
    if (this.compactor.isForgetting(avatar)) return { records: 0, quarantined: 0 }
    const { engine, environment } = this.#components
    this.#entries.delete(avatar)
    const { network } = this.#options
    const rebuilt = await rebuildAvatar(this.#db, avatar, {
      verify: (record) => verifyRecord(engine, network, record, { recoveryByte: false }),
      nowMs: environment.clock.now(),
      claim,
    })
    const operations: Operation[] = [...rebuilt.operations, { type: 'del', key: keys.taskKey('u', avatar) }]
    const hasGarbage = rebuilt.hasHistory && !this.#options.archive
    if (hasGarbage) operations.push({ type: 'put', key: keys.taskKey('g', avatar), value: NO_VALUE })
    // Without totals until they are counted again: the next opening counts them if this process ends before.
    await writeDurably(this.#db, [...operations, { type: 'del', key: keys.metaKey('totals') }])
    this.compactor.rebuilt(avatar)
    if (hasGarbage) this.compactor.wake()
    return rebuilt
  }

  async #recountAll(): Promise<void> {
    try {
      this.#totals = { ...NOTHING, lastSequence: this.#totals.lastSequence, ...(await countAll(this.#db)) }
      await writeDurably(this.#db, [totalsOperation(this.#totals)])
    } finally {
      await this.#order.load()
    }
  }

  /** Reads; where a row fails its check, mends the avatar and reads once more. */
  async mending<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read()
    } catch (error) {
      if (!isCorruption(error)) throw error
      await this.mend(error)
      return read()
    }
  }

  mend(error: Corruption): Promise<void> {
    return this.#inTurn(() => this.#mend(error))
  }

  async #mend(error: Corruption): Promise<void> {
    const { logger, metrics } = this.#components
    const row = error instanceof CorruptRowError ? error.row : 'location'
    metrics.corruption(row)
    const avatar = error instanceof CorruptRowError ? error.avatar : await this.#ownerOf(error.id)
    if (avatar === undefined) {
      logger.warn({ row, err: error }, 'a stored row of no record failed its check and was dropped')
      return
    }
    const claim = error instanceof CorruptRowError ? error.claim : undefined
    const { records, quarantined } = await this.#rebuildOne(avatar, claim)
    logger.warn(
      { avatar, row, records, quarantined, err: error },
      'a stored row failed its check; the avatar was rebuilt from its records',
    )
  }

  /** Searches all histories for a record whose location row is damaged; deletes the row if no history has the record. */
  async #ownerOf(id: RecordId): Promise<Avatar | undefined> {
    for await (const [key] of walk(this.#db, keys.tableRange('h'))) {
      if (keys.placeInKey(key).id === id) return keys.avatarInKey(key)
    }
    await writeDurably(this.#db, [{ type: 'del', key: keys.idKey(id) }])
    return undefined
  }

  /** Runs a task when all earlier ones have ended. @throws StoreError `write_failed` where it has been retired */
  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    return this.#writing.run(() => {
      if (this.#isRetired) throw earlierWriteFailed()
      return task()
    })
  }

  async close(): Promise<void> {
    this.compactor.stop()
    await this.#writing.run(() => this.#db.close())
  }

  /** Closes the database, for another to take its place: what was asked for and has not begun fails. */
  async retire(): Promise<void> {
    this.#isRetired = true
    await this.close()
  }
}
