/**
 * Checks whether a store on disk is complete, before LevelDB opens it: LevelDB hides damage.
 * Found:
 * - By checksums, sizes and numbers of LevelDB's files (`leveldb/directory.ts`): damage in a table; damage in a log before its
 *   end; a lost log; a damaged manifest. After a clean stop, tables beyond 16 MiB are checked only for size and index before
 *   the opening; their blocks are checked in the background.
 * - By the mark: fewer sequences than were on disk. The mark is exact after a clean stop, otherwise up to a second old.
 * Not found: after a kill or a power loss, rows of the last second that a log lost. They look like a write that was under way.
 * Peers have these records, or their authors send them again.
 */
import type { Environment } from '../platform/environment.ts'
import type { Logger, Metrics } from '../observe/types.ts'
import { dropOldOriginals } from './damaged-files.ts'
import { databaseError, unusable } from './database-errors.ts'
import { StoreError } from './errors.ts'
import {
  inspectDirectory,
  isTableWhole,
  repairDirectory,
  UnusableDirectoryError,
  type FileDamage,
  type TableFile,
} from './leveldb/directory.ts'
import { mustBeFree } from './lock.ts'
import { findStore, NO_MARK, writeMark, type StoreMark } from './mark.ts'
import type { Totals } from './totals.ts'
import { Mutex } from './mutex.ts'
import type { StoreDamage } from './types.ts'

/** Bytes of tables that are checked completely before an opening, at 2 s of CPU a GiB. After an unclean stop all are. */
const CLEAN_DEEP_BYTES = 16_777_216
/** Pause between background checks of two tables of 2 MiB: at most 20 MiB/s, 1.5 % of a core. */
const SCRUB_PAUSE_MS = 100
/** Delay of the mark after a commit: one write and fsync a second. No commit waits for it. */
const MARK_MS = 1_000
/** Files named in a report. */
const MAX_FILES = 20

export interface HealthComponents {
  readonly environment: Pick<Environment, 'clock' | 'timers'>
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'corruption'>
  readonly onLoss?: () => void
}

const LOST_TEXT =
  'the store has lost records that were acknowledged. Sync asks all peers for them. Check the disk, and restore a backup ' +
  '(avatar-kv restore) if no peer has them'

/** The counts in the mark. */
type Counted = Pick<Totals, 'lastSequence' | 'keptRecords'>

export class StoreHealth {
  readonly #location: string
  readonly #components: HealthComponents
  #mark: StoreMark
  /** Whether there is a store, and whether its mark says so. */
  readonly isThere: boolean
  readonly isMarked: boolean
  /** Tables whose blocks are still to be checked in the background. */
  #unchecked: TableFile[] = []
  #cancelScrub: (() => void) | undefined
  #count: (() => Counted) | undefined
  #cancel: (() => void) | undefined
  readonly #writing = new Mutex()

  /**
   * Checks the store in a directory before LevelDB opens it, and repairs damaged files.
   *
   * @throws StoreError `incomplete`, `unreadable`, `locked`
   */
  static async check(
    location: string,
    components: HealthComponents,
    deepBytes = CLEAN_DEEP_BYTES,
  ): Promise<StoreHealth> {
    const { isThere, mark } = await findStore(location)
    const health = new StoreHealth(location, components, mark, isThere)
    const wasClean = mark !== undefined && !mark.isOpen
    if (isThere) await health.#check(wasClean ? deepBytes : Infinity)
    return health
  }

  private constructor(location: string, components: HealthComponents, mark: StoreMark | undefined, isThere: boolean) {
    this.#location = location
    this.#components = components
    this.#mark = mark ?? NO_MARK
    this.isThere = isThere
    this.isMarked = mark !== undefined
  }

  /** `isRepairing`: all derived rows must be rebuilt from the records before the store is used. */
  get mark(): StoreMark {
    return this.#mark
  }

  /** Checks all files again. The database must be closed. @returns whether there was damage */
  async checkAgain(): Promise<boolean> {
    await this.#settle()
    return this.#check(Infinity)
  }

  /** @param deepBytes bytes of tables to check completely; Infinity also if the database may be open elsewhere */
  async #check(deepBytes: number): Promise<boolean> {
    const location = this.#location
    this.#unchecked = []
    const onShallow = (table: TableFile): unknown => this.#unchecked.push(table)
    try {
      if (deepBytes < Infinity && (await inspectDirectory(location, { deepBytes, onShallow })).length === 0)
        return false
      await mustBeFree(location)
      this.#unchecked = []
      const damages = await inspectDirectory(location, { deepBytes: Infinity })
      if (damages.length === 0) return false
      await this.#repair(damages)
      return true
    } catch (error) {
      if (error instanceof UnusableDirectoryError) throw unusable(location, error.message, { cause: error })
      throw error instanceof StoreError ? error : databaseError(error, location)
    }
  }

  async #repair(damages: readonly FileDamage[]): Promise<void> {
    const { logger, metrics } = this.#components
    const files = damages.map(({ file, why }) => `${file}: ${why}`)
    // Originals that an interrupted repair moved belong to this damage too.
    const isContinued = this.#mark.isRepairing
    for (const { kind } of damages) metrics.corruption(kind)
    // First: after the repair of the files only the mark tells that derived rows are out of date.
    await this.#write({ isRepairing: true, isOpen: true, damage: this.#report(files, null) })
    const kept = `${this.#location}.damaged`
    await repairDirectory(this.#location, damages, kept)
    logger.warn(
      { location: this.#location, files: files.slice(0, MAX_FILES), kept },
      'files of the store are damaged; the node uses their undamaged parts and keeps the originals. ' +
        'Check the disk. Lost records come back from peers, or from a backup (avatar-kv restore)',
    )
    if (!isContinued) await this.#dropOldOriginals(kept, damages)
  }

  async #dropOldOriginals(kept: string, damages: readonly FileDamage[]): Promise<void> {
    const { logger } = this.#components
    try {
      const { files, bytes } = await dropOldOriginals(kept, new Set(damages.map(({ file }) => file)))
      if (files.length === 0) return
      logger.warn(
        { kept, deleted: files.length, bytes, files: files.slice(0, MAX_FILES) },
        'the node deleted the oldest originals of damaged files to limit their disk space',
      )
    } catch (error) {
      logger.warn({ err: error, kept }, 'old originals of damaged files cannot be deleted; delete them to free space')
    }
  }

  #report(files: readonly string[], recordsLost: number | null): StoreDamage {
    const foundAt = Math.floor(this.#components.environment.clock.now() / 1_000)
    return { foundAt, files: files.slice(0, MAX_FILES), recordsLost }
  }

  /** Whether a store that was just opened has less than the mark says. The mark of another store is ignored. */
  isShort(epoch: string, { lastSequence }: Counted): boolean {
    return this.#mark.epoch === epoch && lastSequence < this.#mark.lastSequence
  }

  /**
   * Notes that the store is open and repaired.
   *
   * @param isShort whether the store has lost rows without a damaged file
   */
  async opened(
    { epoch, network }: { readonly epoch: string; readonly network: string },
    count: () => Counted,
    isShort: boolean,
  ): Promise<void> {
    const { logger, metrics } = this.#components
    const counted = count()
    let { damage } = this.#mark
    if (isShort) metrics.corruption('log')
    if (isShort || this.#mark.isRepairing) {
      const lost = this.#mark.records === 0 ? null : Math.max(0, this.#mark.records - counted.keptRecords)
      damage = this.#report(this.#mark.isRepairing ? (damage?.files ?? []) : [], lost)
      const facts = { records_lost: lost, records: counted.keptRecords, epoch }
      if (lost === 0) logger.warn(facts, 'the damage to the store lost no records; the node rebuilt the derived rows')
      else logger.warn(facts, LOST_TEXT)
    }
    this.#count = count
    const hasLost = isShort || this.#mark.isRepairing
    await this.#write({ ...marked(counted), epoch, network, isOpen: true, isRepairing: false, damage })
    if (hasLost) this.#components.onLoss?.()
  }

  /**
   * Checks the tables that were not checked before the opening, one after the other, while the store is in use.
   *
   * @param found called at the first damaged table. The check ends there: the caller then checks all files
   */
  scrub(found: () => void): void {
    const table = this.#unchecked.shift()
    if (table === undefined) return
    this.#cancelScrub = this.#components.environment.timers.after(SCRUB_PAUSE_MS, () => {
      isTableWhole(this.#location, table).then(
        (isWhole) => {
          if (isWhole === false && this.#count !== undefined) found()
          else this.scrub(found)
        },
        (error: unknown) =>
          this.#components.logger.warn({ err: error, ...table }, 'a table of the store cannot be read; check the disk'),
      )
    })
  }

  /** Notes that more is on disk. The mark is written later. */
  touch(): void {
    this.#cancel ??= this.#components.environment.timers.after(MARK_MS, () => {
      this.#cancel = undefined
      if (this.#count !== undefined) this.#write(marked(this.#count())).catch((error: unknown) => this.#failed(error))
    })
  }

  /** Notes that the database was closed with all counted records in it. */
  async closed(): Promise<void> {
    this.#unchecked = []
    this.#cancelScrub?.()
    await this.#settle()
    if (this.#count === undefined) return
    const counted = marked(this.#count())
    this.#count = undefined
    await this.#write({ ...counted, isOpen: false }).catch((error: unknown) => this.#failed(error))
  }

  async #settle(): Promise<void> {
    this.#cancel?.()
    this.#cancel = undefined
    await this.#writing.run(async () => undefined)
  }

  #write(change: Partial<StoreMark>): Promise<void> {
    this.#mark = { ...this.#mark, ...change }
    const mark = this.#mark
    return this.#writing.run(() => writeMark(this.#location, mark))
  }

  /** Logs only: an outdated mark detects fewer losses, but no write needs it. */
  #failed(error: unknown): void {
    this.#components.logger.warn(
      { err: error, location: this.#location },
      'the mark of the store was not written; until it is, a loss of the newest records may stay unnoticed',
    )
  }
}

function marked({ lastSequence, keptRecords }: Counted): Pick<StoreMark, 'lastSequence' | 'records'> {
  return { lastSequence, records: keptRecords }
}
