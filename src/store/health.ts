/**
 * Whether a store on disk is all that it was: checked before LevelDB opens it, since LevelDB hides damage.
 * What tells of a loss:
 * - Checksums, sizes and numbers of LevelDB's own files (`leveldb/directory.ts`): any damage in a table, and any in a log that
 *   is followed by something whole; a lost log; a damaged manifest. After a clean end, tables beyond 128 MiB are checked
 *   only for their size and index at first, and their blocks in the background, once the store is open.
 * - The mark: fewer sequences than were on disk. It is exact after a clean end, else up to a second old.
 * What nothing tells: after a kill or a power loss, that a log lost rows of its last second. They look like a write that was under
 * way. Peers have these records, or their authors send them again.
 */
import { Level } from 'level'
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
import { findStore, writeMark, type StoreMark } from './mark.ts'
import type { Totals } from './meta.ts'
import type { StoreDamage } from './types.ts'

/** Tables checked whole before each opening, at 2 s of CPU a GiB. After an end that was not clean, all of them are. */
const CLEAN_DEEP_BYTES = 134_217_728
/** Between two tables of 2 MiB that are checked in the background: at most 20 MiB a second, 1.5 % of a core. */
const SCRUB_PAUSE_MS = 100
/** The mark is written so long after a commit: a write and an fsync a second, which no commit waits for. */
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

/** What the mark counts. */
type Counted = Pick<Totals, 'lastSequence' | 'keptRecords'>

const NO_MARK: StoreMark = {
  epoch: undefined,
  network: undefined,
  lastSequence: 0,
  records: 0,
  isOpen: true,
  isRepairing: false,
  damage: undefined,
}

export class StoreHealth {
  readonly #location: string
  readonly #components: HealthComponents
  #mark: StoreMark
  /** Whether there is a store, and whether its mark says so. */
  readonly isThere: boolean
  readonly isMarked: boolean
  /** Tables whose blocks are still to be checked, in the background. */
  #unchecked: TableFile[] = []
  #cancelScrub: (() => void) | undefined
  #count: (() => Counted) | undefined
  #cancel: (() => void) | undefined
  #writing: Promise<void> = Promise.resolve()

  /**
   * Checks the store in a directory before LevelDB opens it, and mends damaged files.
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

  get damage(): StoreDamage | undefined {
    return this.#mark.damage
  }

  /** Whether everything derived must be made again from the records before the store is used. */
  get mustRebuild(): boolean {
    return this.#mark.isRepairing
  }

  /** The network of the store, where its mark says so. */
  get network(): string | undefined {
    return this.#mark.network
  }

  /** A sequence that was on disk. */
  get lastSequence(): number {
    return this.#mark.lastSequence
  }

  /** Checks everything once more, with the database closed. @returns whether damage was found */
  async checkAgain(): Promise<boolean> {
    await this.#settle()
    return this.#check(Infinity)
  }

  /** @param deepBytes of tables that are checked whole; Infinity also where the database may be open elsewhere */
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
      await this.#mend(damages)
      return true
    } catch (error) {
      if (error instanceof UnusableDirectoryError) throw unusable(location, error.message, { cause: error })
      throw error instanceof StoreError ? error : databaseError(error, location)
    }
  }

  async #mend(damages: readonly FileDamage[]): Promise<void> {
    const { logger, metrics } = this.#components
    const files = damages.map(({ file, why }) => `${file}: ${why}`)
    // Files that an interrupted repair moved are of this damage too.
    const isContinued = this.#mark.isRepairing
    for (const { kind } of damages) metrics.corruption(kind)
    // First: once the files are mended, nothing else tells that derived rows are out of date.
    await this.#write({ isRepairing: true, isOpen: true, damage: this.#report(files, null) })
    const kept = `${this.#location}.damaged`
    await repairDirectory(this.#location, damages, kept)
    logger.warn(
      { location: this.#location, files: files.slice(0, MAX_FILES), kept },
      'files of the store are damaged; the node uses what is whole in them and keeps the originals. ' +
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
        'the node deleted the oldest originals of damaged files, to bound the space that they take',
      )
    } catch (error) {
      logger.warn({ err: error, kept }, 'old originals of damaged files cannot be deleted; delete them to free space')
    }
  }

  #report(files: readonly string[], recordsLost: number | null): StoreDamage {
    const foundAt = Math.floor(this.#components.environment.clock.now() / 1_000)
    return { foundAt, files: files.slice(0, MAX_FILES), recordsLost }
  }

  /** Whether a store that was just opened has less than the mark says. Another store is not held against it. */
  isShort(epoch: string, { lastSequence }: Counted): boolean {
    return this.#mark.epoch === epoch && lastSequence < this.#mark.lastSequence
  }

  /**
   * Notes that the store is open, and whole as far as it can be.
   *
   * @param isShort whether it has lost rows that no file tells of
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
      if (lost === 0)
        logger.warn(facts, 'damage to the store cost no record; what follows from the records was made again')
      else logger.warn(facts, LOST_TEXT)
    }
    this.#count = count
    const hasLost = isShort || this.#mark.isRepairing
    await this.#write({ ...marked(counted), epoch, network, isOpen: true, isRepairing: false, damage })
    if (hasLost) this.#components.onLoss?.()
  }

  /**
   * Checks the tables that the opening left out, one after the other, while the store is in use.
   *
   * @param found called at the first that is damaged; the check ends there, since all files are checked then
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
          this.#components.logger.warn({ err: error, ...table }, 'a table of the store cannot be read'),
      )
    })
  }

  /** Notes that more is on disk. Costs nothing: the mark is written later. */
  touch(): void {
    this.#cancel ??= this.#components.environment.timers.after(MARK_MS, () => {
      this.#cancel = undefined
      if (this.#count !== undefined) this.#write(marked(this.#count())).catch((error: unknown) => this.#failed(error))
    })
  }

  /** Notes that the database was closed, and that all that was counted is in it. */
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
    await this.#writing.catch(() => undefined)
  }

  #write(change: Partial<StoreMark>): Promise<void> {
    this.#mark = { ...this.#mark, ...change }
    const mark = this.#mark
    this.#writing = this.#writing.catch(() => undefined).then(() => writeMark(this.#location, mark))
    return this.#writing
  }

  /** A mark that is older than need be tells of fewer losses. No write fails for that. */
  #failed(error: unknown): void {
    this.#components.logger.warn({ err: error, location: this.#location }, 'the mark of the store was not written')
  }
}

function marked({ lastSequence, keptRecords }: Counted): Pick<StoreMark, 'lastSequence' | 'records'> {
  return { lastSequence, records: keptRecords }
}

/** @throws StoreError `locked`: what another process writes meanwhile would look like damage */
async function mustBeFree(location: string): Promise<void> {
  const problem = await openProblem(location)
  if (problem?.code === 'locked') throw problem
}

/** Whether a process, this one included, has the database in a directory open. */
export async function isDatabaseOpen(location: string): Promise<boolean> {
  return (await openProblem(location))?.code === 'locked'
}

async function openProblem(location: string): Promise<StoreError | undefined> {
  // LevelDB takes the lock before it looks whether there is a database, and gives it back when it refuses.
  const db = new Level(location, { createIfMissing: false, errorIfExists: true })
  try {
    await db.open()
    return undefined
  } catch (error) {
    return databaseError(error, location)
  } finally {
    await db.close()
  }
}
