/**
 * Does the store's background tasks step by step, between commits: removes superseded records from the sync index, deletes
 * avatars that are no longer hosted, prunes history. The rows `u`, `d` and `g` say what is left to do, so that it resumes
 * after a restart.
 */
import type { Logger } from '../observe/types.ts'
import type { Avatar } from '../record/types.ts'
import type { AvatarEntry } from './avatar-entry.ts'
import type { Batch } from './batch.ts'
import { forgetStep, pruneStep, syncIndexStep, type Step } from './background-tasks.ts'
import { NOTHING, plus, type Counts } from './counts.ts'
import { countsOfAll } from './count-all.ts'
import { walk } from './database.ts'
import { type Database } from './level.ts'
import * as keys from './keys.ts'
import type { Key } from './keys.ts'
import { isAvatarWithin, isNodeWithin } from './quotas.ts'
import { readSummary } from './reader.ts'
import type { Quotas } from './types.ts'

export interface CompactorParts {
  readonly db: Database
  readonly logger: Logger
  readonly archive: boolean
  readonly quotas: Quotas
  /** Most records, or rows, in one step. */
  readonly stepRecords: number
  /** Runs a task between commits. If a row fails its check, repairs it and runs the task again. */
  readonly exclusively: <T>(task: () => Promise<T>) => Promise<T>
  /** Removes the entry of an avatar from the cache until `putEntry`. */
  readonly takeEntry: (avatar: Avatar) => Promise<AvatarEntry>
  readonly putEntry: (entry: AvatarEntry) => void
  /** Counts of all avatars. */
  readonly counts: () => Counts
  /** Writes a step and the change of the totals. */
  readonly write: (step: Step, change: Counts) => Promise<void>
}

export class Compactor {
  readonly #parts: CompactorParts
  /** Avatars that have superseded records in the sync index. */
  readonly #staleInSyncIndex: Set<Avatar>
  readonly #forgetting: Set<Avatar>
  #hasGarbage: boolean
  /** Where the previous step ended. */
  #cursor: { readonly avatar: Avatar; readonly next: Key } | undefined
  /** Whether no history is left to delete in favour of live records. */
  #isTrimmed = false
  #isAsked = false
  #isStopped = false
  #running: Promise<void> | undefined

  /** Reads which tasks are unfinished. */
  static async load(parts: CompactorParts): Promise<Compactor> {
    const staleInSyncIndex = await tasksIn(parts.db, 'u')
    const forgetting = await tasksIn(parts.db, 'd')
    return new Compactor(parts, staleInSyncIndex, forgetting)
  }

  private constructor(parts: CompactorParts, staleInSyncIndex: Set<Avatar>, forgetting: Set<Avatar>) {
    this.#parts = parts
    this.#staleInSyncIndex = staleInSyncIndex
    this.#forgetting = forgetting
    this.#hasGarbage = true
  }

  /** Whether the sync index (`o` rows) has exactly the live records. */
  get isSyncIndexExact(): boolean {
    return this.#staleInSyncIndex.size === 0
  }

  isForgetting(avatar: Avatar): boolean {
    return this.#forgetting.has(avatar)
  }

  get isForgettingSome(): boolean {
    return this.#forgetting.size > 0
  }

  /** Adds tasks. Call this before their rows are written, so that no reader sees the rows without the task. */
  note({
    staleInSyncIndex = [],
    forget = [],
  }: {
    readonly staleInSyncIndex?: readonly Avatar[]
    readonly forget?: readonly Avatar[]
  }): void {
    for (const avatar of staleInSyncIndex) this.#staleInSyncIndex.add(avatar)
    for (const avatar of forget) this.#forgetting.add(avatar)
  }

  /** Notes that all rows of an avatar were rebuilt, so its sync index is exact. */
  rebuilt(avatar: Avatar): void {
    this.#staleInSyncIndex.delete(avatar)
  }

  /** Cancels the deletion of an avatar whose task could not be written. */
  cancelForget(avatar: Avatar): void {
    this.#forgetting.delete(avatar)
  }

  /** After a commit: starts if the commit left tasks, or if live records need the space of history. */
  follow({
    staleInSyncIndex,
    hasGarbage,
    hasHistory,
  }: Pick<Batch, 'staleInSyncIndex' | 'hasGarbage' | 'hasHistory'>): void {
    const { archive, quotas, counts } = this.#parts
    if (hasHistory) this.#isTrimmed = false
    const needsRoom = archive && !this.#isTrimmed && !isNodeWithin(quotas, counts())
    if (hasGarbage || staleInSyncIndex.length > 0 || needsRoom) this.wake()
  }

  /** Starts a pass, or makes the running pass check for tasks again. */
  wake(): void {
    if (this.#isStopped) return
    this.#hasGarbage = true
    this.#isAsked = true
    this.#running ??= this.#run()
  }

  /** Resolves when no task is left, or the tasks left cannot be done now. */
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
      if (!this.#isStopped)
        logger.warn({ err: error }, 'a background task of the store failed; the store retries it later')
    }
    this.#running = undefined
  }

  /** Does one step of the most urgent task. Returns whether there was one. */
  async #step(): Promise<boolean> {
    if (!this.isSyncIndexExact) await this.removeFromSyncIndex()
    else if (this.isForgettingSome) await this.#forget(this.#forgetting.values().next().value as Avatar)
    else if (this.#hasGarbage) await this.#prune()
    else return this.#makeRoom()
    return true
  }

  /** Removes some superseded records of an avatar from the sync index. Only between commits. */
  async removeFromSyncIndex(avatar: Avatar = this.#staleInSyncIndex.values().next().value as Avatar): Promise<void> {
    const { db, stepRecords, write } = this.#parts
    const base = this.#forgetting.has(avatar) ? 'all' : (readSummary(db, avatar)?.base?.counter ?? 0)
    const step = await syncIndexStep(db, avatar, base, stepRecords)
    await write(step, NOTHING)
    if (step.isLast) this.#staleInSyncIndex.delete(avatar)
  }

  /** Removes some rows of an avatar that is being deleted. Only between commits. */
  async forgetSome(avatar: Avatar): Promise<void> {
    if (this.#staleInSyncIndex.has(avatar)) await this.removeFromSyncIndex(avatar)
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

  /** With `archive`: deletes history when live records need its space, in the order of avatars. */
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

async function tasksIn(db: Database, task: 'u' | 'd'): Promise<Set<Avatar>> {
  const avatars = new Set<Avatar>()
  for await (const [key] of walk(db, keys.tableRange(task), { keysOnly: true })) avatars.add(keys.avatarInKey(key))
  return avatars
}
