/**
 * Does the store's background work step by step, between commits: takes superseded records out of the order of sync,
 * removes what is to be forgotten, prunes history. What is left to do is in the rows `u`, `d` and `g`, so that it goes on
 * after a restart.
 */
import type { Logger } from '../observe/types.ts'
import type { Avatar } from '../record/types.ts'
import type { AvatarEntry } from './avatar-entry.ts'
import type { Batch } from './batch.ts'
import { forgetStep, pruneStep, unlistStep, type Step } from './chores.ts'
import { NOTHING, plus, type Counts } from './counts.ts'
import { countsOfAll } from './count-all.ts'
import { walk } from './database.ts'
import { type Database } from './level.ts'
import * as keys from './keys.ts'
import type { Key } from './keys.ts'
import { isAvatarWithin, isNodeWithin } from './quotas.ts'
import { readSummary } from './reader.ts'
import type { Quotas } from './types.ts'

export interface SweeperParts {
  readonly db: Database
  readonly logger: Logger
  readonly archive: boolean
  readonly quotas: Quotas
  /** Records, or rows, that one step is about at most. */
  readonly stepRecords: number
  /** Runs a task between commits; it mends what a row that fails its check tells of, and then runs it again. */
  readonly exclusively: <T>(task: () => Promise<T>) => Promise<T>
  /** The entry of an avatar, which nobody else sees until it is put back. */
  readonly takeEntry: (avatar: Avatar) => Promise<AvatarEntry>
  readonly putEntry: (entry: AvatarEntry) => void
  /** What all avatars hold. */
  readonly counts: () => Counts
  /** Writes a step, and what it changes of the counts. */
  readonly write: (step: Step, change: Counts) => Promise<void>
}

export class Sweeper {
  readonly #parts: SweeperParts
  /** Avatars with `o` rows of records that are not live. */
  readonly #unlisting: Set<Avatar>
  readonly #forgetting: Set<Avatar>
  #hasGarbage: boolean
  /** Where the step before ended. */
  #cursor: { readonly avatar: Avatar; readonly next: Key } | undefined
  /** Whether there is no history left that could make room for what is live. */
  #isTrimmed = false
  #isAsked = false
  #isStopped = false
  #running: Promise<void> | undefined

  /** Finds what was left to do. */
  static async load(parts: SweeperParts): Promise<Sweeper> {
    const unlisting = await choresIn(parts.db, 'u')
    const forgetting = await choresIn(parts.db, 'd')
    return new Sweeper(parts, unlisting, forgetting)
  }

  private constructor(parts: SweeperParts, unlisting: Set<Avatar>, forgetting: Set<Avatar>) {
    this.#parts = parts
    this.#unlisting = unlisting
    this.#forgetting = forgetting
    this.#hasGarbage = true
  }

  /** Whether the `o` rows are those of the live records, no more. */
  get isListed(): boolean {
    return this.#unlisting.size === 0
  }

  isForgetting(avatar: Avatar): boolean {
    return this.#forgetting.has(avatar)
  }

  get isForgettingSome(): boolean {
    return this.#forgetting.size > 0
  }

  /** Notes what is to be done. Before the rows that say so are written, so that nobody reads them unaware. */
  note({
    unlist = [],
    forget = [],
  }: {
    readonly unlist?: readonly Avatar[]
    readonly forget?: readonly Avatar[]
  }): void {
    for (const avatar of unlist) this.#unlisting.add(avatar)
    for (const avatar of forget) this.#forgetting.add(avatar)
  }

  /** Notes that all rows of an avatar were made anew. */
  rebuilt(avatar: Avatar): void {
    this.#unlisting.delete(avatar)
  }

  /** Notes that an avatar is not to be forgotten after all: that could not be written. */
  keeps(avatar: Avatar): void {
    this.#forgetting.delete(avatar)
  }

  /** Follows a commit: works where it has left something to do, or takes room that history has. */
  follow({ unlisting, hasGarbage, hasHistory }: Pick<Batch, 'unlisting' | 'hasGarbage' | 'hasHistory'>): void {
    const { archive, quotas, counts } = this.#parts
    if (hasHistory) this.#isTrimmed = false
    const needsRoom = archive && !this.#isTrimmed && !isNodeWithin(quotas, counts())
    if (hasGarbage || unlisting.length > 0 || needsRoom) this.wake()
  }

  /** Begins to work, or goes on once more. */
  wake(): void {
    if (this.#isStopped) return
    this.#hasGarbage = true
    this.#isAsked = true
    this.#running ??= this.#run()
  }

  /** Resolves when there is nothing left to do, or it cannot be done now. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  stop(): void {
    this.#isStopped = true
  }

  async #run(): Promise<void> {
    const { exclusively, logger } = this.#parts
    try {
      while (this.#isAsked) {
        this.#isAsked = false
        while (await exclusively(async () => !this.#isStopped && this.#step()));
      }
    } catch (error) {
      if (!this.#isStopped) logger.warn({ err: error }, 'background work of the store failed; it is tried again later')
    }
    this.#running = undefined
  }

  /** One step of whatever is most urgent; whether there was one. */
  async #step(): Promise<boolean> {
    if (!this.isListed) await this.unlist()
    else if (this.isForgettingSome) await this.#forget(this.#forgetting.values().next().value as Avatar)
    else if (this.#hasGarbage) await this.#prune()
    else return this.#makeRoom()
    return true
  }

  /** Takes some records out of the order of sync. Only between commits. */
  async unlist(avatar: Avatar = this.#unlisting.values().next().value as Avatar): Promise<void> {
    const { db, stepRecords, write } = this.#parts
    const base = this.#forgetting.has(avatar) ? 'all' : (readSummary(db, avatar)?.base?.counter ?? 0)
    const step = await unlistStep(db, avatar, base, stepRecords)
    await write(step, NOTHING)
    if (step.isLast) this.#unlisting.delete(avatar)
  }

  /** Removes some rows of an avatar that is to be forgotten. Only between commits. */
  async forgetSome(avatar: Avatar): Promise<void> {
    if (this.#unlisting.has(avatar)) await this.unlist(avatar)
    else if (this.#forgetting.has(avatar)) await this.#forget(avatar)
  }

  async #forget(avatar: Avatar): Promise<void> {
    const { db, stepRecords, write } = this.#parts
    const step = await forgetStep(db, avatar, stepRecords, this.#nextOf(avatar))
    await write(step, NOTHING)
    this.#note(avatar, step)
    if (step.isLast) this.#forgetting.delete(avatar)
  }

  async #prune(): Promise<void> {
    const { db, archive, quotas } = this.#parts
    for await (const [key] of walk(db, keys.tableRange('g'), { limit: 1, keysOnly: true })) {
      return this.#pruneOne(keys.avatarInKey(key), (counts) => !archive || !isAvatarWithin(quotas, counts))
    }
    this.#hasGarbage = false
  }

  async #pruneOne(avatar: Avatar, isTooMuch: (counts: Counts) => boolean): Promise<void> {
    const { db, stepRecords, takeEntry, putEntry, write } = this.#parts
    const entry = await takeEntry(avatar)
    const before = entry.counts
    const step = await pruneStep(db, entry, isTooMuch, stepRecords, this.#nextOf(avatar))
    await write(step, plus(entry.counts, before, -1))
    putEntry(entry)
    this.#note(avatar, step)
  }

  #nextOf(avatar: Avatar): Key | undefined {
    return this.#cursor?.avatar === avatar ? this.#cursor.next : undefined
  }

  #note(avatar: Avatar, { next }: Step): void {
    this.#cursor = next === undefined ? undefined : { avatar, next }
  }

  /** Where history is kept, it goes when what is live needs its room: that of the first avatars that have some. */
  async #makeRoom(): Promise<boolean> {
    const { db, archive, quotas, counts } = this.#parts
    if (!archive || this.#isTrimmed || isNodeWithin(quotas, counts())) return false
    for await (const step of countsOfAll(db)) {
      for (const [avatar, own] of step) {
        if (own === undefined || own.keptRecords === own.records) continue
        await this.#pruneOne(avatar, (now) => !isNodeWithin(quotas, plus(counts(), plus(now, own, -1))))
        return true
      }
    }
    this.#isTrimmed = true
    return false
  }
}

async function choresIn(db: Database, chore: 'u' | 'd'): Promise<Set<Avatar>> {
  const avatars = new Set<Avatar>()
  for await (const [key] of walk(db, keys.tableRange(chore), { keysOnly: true })) avatars.add(keys.avatarInKey(key))
  return avatars
}
