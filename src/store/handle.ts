/**
 * The one way to a database and its writer. After a failed write the database is closed and opened again (`write-guard.ts`);
 * since nothing else holds the database, no read and no write can meet it closed.
 *
 * Guarantees: a read that is short waits for a reopening, and a reopening for reads that have begun; a row that fails its
 * check is mended and read again, for which the database is opened again if need be. Where LevelDB itself reports damage,
 * its files are checked and mended while it is closed. A long read, of a moment, ends with
 * `reopened` where its moment is gone: it never goes on with another one.
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
import { assertRoom, isDamaged, hasFailedWrite, noteDamage, setDamaged, setWriteFailed } from './write-guard.ts'
import type { AvatarSummary } from './types.ts'
import type { StoreWriter } from './writer.ts'

/** What is remembered of what is on disk. */
export interface Loaded {
  readonly writer: StoreWriter
  readonly epoch: string
}

export interface HandleParts {
  readonly db: Database
  readonly logger: Logger
  readonly environment: Pick<Environment, 'clock' | 'timers'>
  readonly listeners: Listeners
  /** Reads what is on disk, of a database that is open. */
  readonly load: () => Promise<Loaded>
  /** @throws StoreError where the database does not open */
  readonly open: () => Promise<void>
  /** Checks and mends the files of the database, which is closed. Tells whether there was damage. */
  readonly check: () => Promise<boolean>
  /** Undefined where it is in memory. */
  readonly location: string | undefined
}

type Read<T> = (db: Database, writer: StoreWriter) => T | Promise<T>

/** A step of a long read. */
export type Step = <T>(read: () => Promise<T>) => Promise<T>

/** After a check that found nothing, none for so long: else each read of a disk that fails would close the database. */
const CHECK_PAUSE_MS = 60_000
/** Events that listeners are told of at once after a failed write: more than a commit has. */
const EVENTS_AT_ONCE = 10_000
/** How long a reopening waits for reads that have begun. A short read takes milliseconds; what is stuck fails instead. */
const DRAIN_MS = 10_000

const WRITE_FAILED_TEXT =
  'A write to the disk had failed. The node has opened its data again and accepts writes. Check the disk if this comes again.'
const DAMAGED_TEXT =
  'The database reported damage. The node has checked its files and opened its data again. Check the disk if this comes again.'

export class StoreHandle {
  readonly #parts: HandleParts
  #loaded: Loaded
  #reopening: Promise<void> | undefined
  #isClosed = false
  /** Reads that have begun. */
  #reading = 0
  #drained: (() => void) | undefined
  #checkedInVainMs = -Infinity
  /** Changes with each reopening. */
  #life = 0
  /** The sequence after which listeners may not have been told of events; undefined where they were told of all. */
  #untold: number | undefined

  constructor(parts: HandleParts, loaded: Loaded) {
    this.#parts = parts
    this.#loaded = loaded
  }

  get epoch(): string {
    return this.#loaded.epoch
  }

  /** For what is in memory. What reads or writes the database goes through `read`, `long` or `write`. */
  get writer(): Pick<StoreWriter, 'totals' | 'feedFloor' | 'compactor'> {
    return this.#loaded.writer
  }

  /**
   * A short read. It must not call `read` itself, nor wait for anything but the database.
   *
   * @throws StoreError `disk_full`, `unreadable` where the database cannot be opened again
   */
  async read<T>(read: Read<T>): Promise<T> {
    try {
      return await this.#enter(() => this.#readWithRepair(read))
    } catch (error) {
      // Mending writes, which it cannot do after a write that failed. It can once the database has been opened again.
      const isTemporary = error instanceof StoreError && (error.code === 'write_failed' || error.code === 'damaged')
      if (!isTemporary || this.#isClosed) throw error
      await this.#ready()
      return this.#enter(() => this.#readWithRepair(read))
    }
  }

  /**
   * Begins a long read. Whatever it makes must read in steps, each of them short.
   *
   * @param begin gets the way to take a step, which throws StoreError `reopened` where the moment is gone
   */
  async long<T>(begin: (db: Database, writer: StoreWriter, step: Step) => T | Promise<T>): Promise<T> {
    return this.read((db, writer) => {
      const life = this.#life
      return begin(db, writer, (read) => this.#enter(read, life))
    })
  }

  /** @throws StoreError `disk_full`, `unreadable`, `write_failed` */
  async write<T>(write: (writer: StoreWriter) => Promise<T>): Promise<T> {
    const writer = await this.#ready()
    try {
      return await write(writer)
    } catch (error) {
      throw this.#met(error)
    }
  }

  /** Mends the avatar that a long read has found damaged. */
  async repairRow(error: Parameters<StoreWriter['repairRow']>[0]): Promise<void> {
    await (await this.#ready()).repairRow(error)
  }

  /** Closes the database, has its files checked and mended, and opens it again. */
  async checkFiles(): Promise<void> {
    if (this.#isClosed) return
    setDamaged(this.#parts.db)
    await this.#ready()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#reopening?.catch(() => undefined)
    await this.#loaded.writer.close()
  }

  #readWithRepair<T>(read: Read<T>): Promise<T> {
    const { writer } = this.#loaded
    return writer.readWithRepair(async () => read(this.#parts.db, writer))
  }

  /** Runs a read while the database stays open. */
  async #enter<T>(read: () => Promise<T>, life?: number): Promise<T> {
    while (this.#reopening !== undefined) await this.#reopening.catch(() => undefined)
    if (life !== undefined && life !== this.#life) throw reopened()
    // A reopening that failed has left it closed.
    if ((this.#parts.db.status !== 'open' || isDamaged(this.#parts.db)) && !this.#isClosed) await this.#ready()
    this.#reading += 1
    try {
      return await read()
    } catch (error) {
      throw this.#met(error)
    } finally {
      this.#reading -= 1
      if (this.#reading === 0) this.#drained?.()
    }
  }

  /** An error that a read or a write met; from now on the files are to be checked if it tells of damage. */
  #met(error: unknown): unknown {
    const { db, environment, location = '' } = this.#parts
    if (!isDamage(error)) return error instanceof StoreError ? error : toStoreError(error, location)
    if (environment.clock.now() - this.#checkedInVainMs < CHECK_PAUSE_MS) return databaseError(error, location)
    return noteDamage(db, error) ? damaged(error) : error
  }

  /** The writer, after a failed write one that knows what is on disk. */
  async #ready(): Promise<StoreWriter> {
    if (hasFailedWrite(this.#parts.db) && !this.#isClosed) {
      this.#reopening ??= this.#reopen().finally(() => (this.#reopening = undefined))
    }
    await this.#reopening
    return this.#loaded.writer
  }

  /** Opens the database again: reads what the failed write left of the log, and loads everything in memory from that. */
  async #reopen(): Promise<void> {
    const { db, location = '', load, open, check, environment, logger } = this.#parts
    const wasDamaged = isDamaged(db)
    await assertRoom(location)
    await this.#drain()
    this.#life += 1
    this.#untold ??= this.#loaded.writer.totals.lastSequence
    await this.#loaded.writer.retire()
    if (wasDamaged && !(await check())) this.#checkedInVainMs = environment.clock.now()
    await open()
    setWriteFailed(db, false)
    try {
      this.#loaded = await load()
      await this.#tellOfWhatWasThere(this.#untold)
    } catch (error) {
      setWriteFailed(db, true)
      throw error
    }
    this.#untold = undefined
    logger.warn({ location }, wasDamaged ? DAMAGED_TEXT : WRITE_FAILED_TEXT)
  }

  /** Resolves when no read is under way, or after a while. */
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

  /** A write that failed may be on disk after all: then nobody has been told of it. */
  async #tellOfWhatWasThere(after: number): Promise<void> {
    const { db, listeners } = this.#parts
    const { writer } = this.#loaded
    const summaryOf = (avatar: Avatar): AvatarSummary | undefined => readSummary(db, avatar)
    for (let from = after; from < writer.totals.lastSequence;) {
      const events = await writer.readWithRepair(() => feed.readFeed(db, from, EVENTS_AT_ONCE))
      listeners.tell(events, summaryOf)
      from = events.at(-1)?.sequence ?? writer.totals.lastSequence
    }
  }
}

function reopened(): StoreError {
  return new StoreError(
    'reopened',
    'The node opened its data again after a failed write, so this read of an earlier moment cannot go on. Start it again.',
  )
}
