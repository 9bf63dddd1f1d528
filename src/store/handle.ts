/**
 * The only access to a database and its writer. After a failed write the handle closes the database and opens it again
 * (`write-guard.ts`). Nothing else holds the database, so no read or write finds it closed.
 *
 * Guarantees:
 * - A short read waits for a reopening, and a reopening waits for short reads under way.
 * - A row that fails its check is repaired and read again, after a reopening if needed.
 * - If LevelDB reports damage, its files are checked and repaired while it is closed.
 * - A long read of one moment fails with `reopened` if its moment is gone. It never continues with another one.
 */
import type { Environment } from '../platform/environment.ts'
import type { Logger } from '../observe/types.ts'
import type { Avatar } from '../record/types.ts'
import { damaged, databaseError, isDamage, toStoreError } from './database-errors.ts'
import type { Database } from './level.ts'
import { StoreError } from './errors.ts'
import * as feed from './feed.ts'
import type { Listeners } from './listeners.ts'
import { readSummary } from './reader.ts'
import {
  assertRoom,
  guardWrites,
  hasFailedWrite,
  isDamaged,
  noteDamage,
  setDamaged,
  setWriteFailed,
} from './write-guard.ts'
import type { AvatarSummary } from './types.ts'
import type { StoreWriter } from './writer.ts'

export interface HandleParts {
  readonly db: Database
  readonly logger: Logger
  readonly environment: Pick<Environment, 'clock' | 'timers'>
  readonly listeners: Listeners
  /** Loads the state in memory from the open database. */
  readonly load: () => Promise<StoreWriter>
  /** @throws StoreError if the database cannot be opened */
  readonly open: () => Promise<void>
  /** Checks and repairs the files of the closed database. Returns whether there was damage. */
  readonly check: () => Promise<boolean>
  /** Directory; undefined for a database in memory. */
  readonly location: string | undefined
}

type Read<T> = (db: Database, writer: StoreWriter) => T | Promise<T>

/** A step of a long read. */
export type Step = <T>(read: () => Promise<T>) => Promise<T>

/** Pause after a check that found no damage. Otherwise each read from a failing disk would close the database. */
const CHECK_PAUSE_MS = 60_000
/** Events that listeners get at once after a failed write: more than a commit has. */
const EVENTS_AT_ONCE = 10_000
/** How long a reopening waits for reads under way. A short read takes milliseconds; a stuck read fails. */
const DRAIN_MS = 10_000

const WRITE_FAILED_TEXT =
  'A write to the disk failed. The node has opened its data again and accepts writes. Check the disk if this happens again.'
const DAMAGED_TEXT =
  'The database reported damage. The node has checked its files and opened its data again. Check the disk if this happens again.'
const REOPENED_TEXT =
  'The node opened its data again after a failed write, so this read cannot continue. Start it again.'

export class StoreHandle {
  readonly #parts: HandleParts
  #writer: StoreWriter
  #reopening: Promise<void> | undefined
  #isClosed = false
  /** Reads under way. */
  #reading = 0
  #drained: (() => void) | undefined
  #cleanCheckAtMs = -Infinity
  /** Number of reopenings. */
  #generation = 0
  /** Listeners may have missed events after this sequence; undefined if they missed none. */
  #untold: number | undefined

  constructor(parts: HandleParts, writer: StoreWriter) {
    this.#parts = parts
    this.#writer = writer
  }

  /** The writer's state in memory. Reads and writes of the database go through `read`, `long` or `write`. */
  get writer(): Pick<StoreWriter, 'epoch' | 'totals' | 'feedFloor' | 'compactor'> {
    return this.#writer
  }

  /**
   * Runs a short read. It must not call `read` itself, and must wait for nothing but the database.
   *
   * @throws StoreError `disk_full`; `unreadable` if the database cannot be opened again
   */
  async read<T>(read: Read<T>): Promise<T> {
    try {
      return await this.#enter(() => this.#readWithRepair(read))
    } catch (error) {
      // A repair writes, so it fails after a failed write until the database has been opened again.
      const isTemporary = error instanceof StoreError && (error.code === 'write_failed' || error.code === 'damaged')
      if (!isTemporary || this.#isClosed) throw error
      await this.#ready()
      return this.#enter(() => this.#readWithRepair(read))
    }
  }

  /**
   * Starts a long read. The result of `begin` must read the database in short steps.
   *
   * @param begin gets a function that runs one step and throws StoreError `reopened` if the moment is gone
   */
  async long<T>(begin: (db: Database, writer: StoreWriter, step: Step) => T | Promise<T>): Promise<T> {
    return this.read((db, writer) => {
      const generation = this.#generation
      return begin(db, writer, (read) => this.#enter(read, generation))
    })
  }

  /** @throws StoreError `disk_full`, `unreadable`, `write_failed` */
  async write<T>(write: (writer: StoreWriter) => Promise<T>): Promise<T> {
    const writer = await this.#ready()
    try {
      return await write(writer)
    } catch (error) {
      throw this.#noteError(error)
    }
  }

  /** Repairs an avatar in which a long read found a damaged row. */
  async repairRow(error: Parameters<StoreWriter['repairRow']>[0]): Promise<void> {
    await (await this.#ready()).repairRow(error)
  }

  /** Closes the database, checks and repairs its files, and opens it again. */
  async checkFiles(): Promise<void> {
    if (this.#isClosed) return
    setDamaged(this.#parts.db)
    await this.#ready()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#reopening?.catch(() => undefined)
    await this.#writer.close()
  }

  #readWithRepair<T>(read: Read<T>): Promise<T> {
    const writer = this.#writer
    return writer.readWithRepair(async () => read(this.#parts.db, writer))
  }

  /** Runs a read and keeps the database open meanwhile. */
  async #enter<T>(read: () => Promise<T>, generation?: number): Promise<T> {
    while (this.#reopening !== undefined) await this.#reopening.catch(() => undefined)
    if (generation !== undefined && generation !== this.#generation) throw new StoreError('reopened', REOPENED_TEXT)
    // A failed reopening leaves the database closed.
    if ((this.#parts.db.status !== 'open' || isDamaged(this.#parts.db)) && !this.#isClosed) await this.#ready()
    this.#reading += 1
    try {
      return await read()
    } catch (error) {
      throw this.#noteError(error)
    } finally {
      this.#reading -= 1
      if (this.#reading === 0) this.#drained?.()
    }
  }

  /** Converts the error of a read or write. If it means damage, the files are checked before the next access. */
  #noteError(error: unknown): unknown {
    const { db, environment, location = '' } = this.#parts
    if (!isDamage(error)) return error instanceof StoreError ? error : toStoreError(error, location)
    if (environment.clock.now() - this.#cleanCheckAtMs < CHECK_PAUSE_MS) return databaseError(error, location)
    return noteDamage(db, error) ? damaged(error) : error
  }

  /** Returns the writer; after a failed write, a new one whose state is loaded from disk. */
  async #ready(): Promise<StoreWriter> {
    if (hasFailedWrite(this.#parts.db) && !this.#isClosed) {
      this.#reopening ??= this.#reopen().finally(() => (this.#reopening = undefined))
    }
    await this.#reopening
    return this.#writer
  }

  /** Closes and opens the database, and loads the state in memory from it. */
  async #reopen(): Promise<void> {
    const { db, location = '', load, open, check, environment, logger } = this.#parts
    const wasDamaged = isDamaged(db)
    await assertRoom(location)
    await this.#drain()
    this.#generation += 1
    this.#untold ??= this.#writer.totals.lastSequence
    await this.#writer.retire()
    if (wasDamaged && !(await check())) this.#cleanCheckAtMs = environment.clock.now()
    await open()
    guardWrites(db)
    try {
      this.#writer = await load()
      await this.#announceUntold(this.#untold)
    } catch (error) {
      setWriteFailed(db)
      throw error
    }
    this.#untold = undefined
    logger.warn({ location }, wasDamaged ? DAMAGED_TEXT : WRITE_FAILED_TEXT)
  }

  /** Resolves when no read is under way, or after `DRAIN_MS`. */
  async #drain(): Promise<void> {
    if (this.#reading === 0) return
    await new Promise<void>((resolve) => {
      const cancel = this.#parts.environment.timers.after(DRAIN_MS, resolve)
      this.#drained = () => {
        cancel()
        resolve()
      }
    })
    this.#drained = undefined
  }

  /** Tells listeners of events that a failed write has put on disk after all. */
  async #announceUntold(after: number): Promise<void> {
    const { db, listeners } = this.#parts
    const writer = this.#writer
    const summaryOf = (avatar: Avatar): AvatarSummary | undefined => readSummary(db, avatar)
    for (let from = after; from < writer.totals.lastSequence;) {
      const events = await writer.readWithRepair(() => feed.readFeed(db, from, EVENTS_AT_ONCE))
      listeners.tell(events, summaryOf)
      from = events.at(-1)?.sequence ?? writer.totals.lastSequence
    }
  }
}
