/**
 * Does the store's background tasks step by step, between commits: removes superseded records from the sync index, deletes
 * avatars that are no longer hosted, indexes the links of older data, prunes history. The rows `u`, `d` and `g`, and a missing
 * `links` row, say what is left to do, so that it resumes after a restart.
 */
import type { Logger } from '../observe/types.ts'
import type { Avatar } from '../record/types.ts'
import type { Batch } from './batch.ts'
import { forgetStep, pruneStep, syncIndexStep, type Step } from './background-tasks.ts'
import { NOTHING, plus, type Counts } from './counts.ts'
import { countsOfAll } from './count-all.ts'
import { walk, writeSoon } from './database.ts'
import { put, type Database } from './level.ts'
import { linksStep } from './link-rows.ts'
import * as keys from './keys.ts'
import type { Key } from './keys.ts'
import { isAvatarWithin, isNodeWithin } from './quotas.ts'
import { readSummary } from './reader.ts'
import type { AvatarState } from '../state/avatar-state.ts'
import type { Quotas } from './types.ts'
import type { WriterState } from './writer-state.ts'

export interface CompactorParts {
  readonly state: WriterState
  readonly logger: Logger
  readonly archive: boolean
  readonly keepsErased: boolean
  readonly quotas: Quotas
  /** Most records, or rows, in one step. */
  readonly stepRecords: number
  /** Runs a task between commits. If a row fails its check, repairs it and runs the task again. */
  readonly exclusively: <T>(task: () => Promise<T>) => Promise<T>
}

/** The avatars with unfinished tasks. */
export interface Tasks {
  readonly staleInSyncIndex: Set<Avatar>
  readonly forgetting: Set<Avatar>
  /** Whether the data was written by a version that had no rows of links. */
  readonly hasUnindexedLinks: boolean
}

export class Compactor {
  readonly #parts: CompactorParts
  /** Avatars that have superseded records in the sync index. */
  readonly #staleInSyncIndex: Set<Avatar>
  readonly #forgetting: Set<Avatar>
  /** The avatar up to which links are indexed; undefined once all are. */
  #indexing: { readonly after: Avatar | undefined } | undefined
  #hasGarbage = true
  /** Where the previous step ended. */
  #cursor: { readonly avatar: Avatar; readonly next: Key } | undefined
  /** Whether no history is left to delete in favour of live records. */
  #isTrimmed = false
  #isAsked = false
  #isStopped = false
  #running: Promise<void> | undefined

  constructor(parts: CompactorParts, { staleInSyncIndex, forgetting, hasUnindexedLinks }: Tasks) {
    this.#parts = parts
    this.#indexing = hasUnindexedLinks ? { after: undefined } : undefined
    this.#staleInSyncIndex = staleInSyncIndex
    this.#forgetting = forgetting
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
  note(staleInSyncIndex: readonly Avatar[], forget?: Avatar): void {
    for (const avatar of staleInSyncIndex) this.#staleInSyncIndex.add(avatar)
    if (forget !== undefined) this.#forgetting.add(forget)
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
  follow({ staleInSyncIndex, hasGarbage, hasHistory }: Batch): void {
    if (hasHistory) this.#isTrimmed = false
    if (hasGarbage || staleInSyncIndex.length > 0 || this.#needsRoom()) this.wake()
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
    else if (this.#indexing !== undefined) await this.#indexLinks(this.#indexing.after)
    else if (this.#hasGarbage) await this.#prune()
    else return this.#makeRoom()
    return true
  }

  /** Removes some superseded records of an avatar from the sync index. Only between commits. */
  async removeFromSyncIndex(avatar: Avatar = this.#staleInSyncIndex.values().next().value as Avatar): Promise<void> {
    const { state, stepRecords } = this.#parts
    const base = this.#forgetting.has(avatar) ? 'all' : (readSummary(state.db, avatar)?.base?.counter ?? 0)
    const step = await syncIndexStep(state.db, avatar, base, stepRecords)
    await this.#write(step)
    if (step.isLast) this.#staleInSyncIndex.delete(avatar)
  }

  /** Removes some rows of an avatar that is being deleted. Only between commits. */
  async forgetSome(avatar: Avatar): Promise<void> {
    if (this.#staleInSyncIndex.has(avatar)) await this.removeFromSyncIndex(avatar)
    else if (this.#forgetting.has(avatar)) await this.#forget(avatar)
  }

  async #forget(avatar: Avatar): Promise<void> {
    const { state, stepRecords } = this.#parts
    const step = await forgetStep(state.db, avatar, stepRecords, this.#nextOf(avatar))
    await this.#write(step)
    this.#note(avatar, step)
    if (step.isLast) this.#forgetting.delete(avatar)
  }

  /** Writes the rows of links of some avatars. Only between commits. */
  async #indexLinks(after: Avatar | undefined): Promise<void> {
    const { state, stepRecords } = this.#parts
    const { operations, last } = await linksStep(state.db, after, stepRecords)
    if (last === undefined) operations.push(put(keys.metaKey('links')))
    await writeSoon(state.db, operations)
    this.#indexing = last && { after: last }
  }

  async #prune(): Promise<void> {
    const { state, archive, keepsErased, quotas } = this.#parts
    for await (const [key] of walk(state.db, keys.tableRange('g'), { limit: 1, values: false })) {
      return this.#pruneOne(keys.avatarInKey(key), (counts, of) => {
        return !archive || (!keepsErased && of.isErased) || !isAvatarWithin(quotas, counts)
      })
    }
    this.#hasGarbage = false
  }

  async #pruneOne(
    avatar: Avatar,
    isTooMuch: (counts: Counts, of: Pick<AvatarState, 'isErased'>) => boolean,
  ): Promise<void> {
    const { state, stepRecords } = this.#parts
    const entry = await state.entries.get(avatar)
    // Until the step is written, the entry differs from the rows.
    state.entries.evict(avatar)
    const before = entry.counts
    const isMore = (counts: Counts): boolean => isTooMuch(counts, entry.state)
    const step = await pruneStep(state.db, entry, isMore, stepRecords, this.#nextOf(avatar))
    await this.#write(step, plus(entry.counts, before, -1))
    state.entries.keep(entry)
    this.#note(avatar, step)
  }

  /** Writes a step and the change of the totals. */
  async #write(step: Step, change = NOTHING): Promise<void> {
    const { state } = this.#parts
    const totals = { ...state.totals, ...plus(state.totals, change) }
    await state.write(step.operations, totals, { added: [], removed: step.removed }, writeSoon)
  }

  #nextOf(avatar: Avatar): Key | undefined {
    return this.#cursor?.avatar === avatar ? this.#cursor.next : undefined
  }

  #note(avatar: Avatar, { next }: Step): void {
    this.#cursor = next === undefined ? undefined : { avatar, next }
  }

  #needsRoom(): boolean {
    const { archive, quotas, state } = this.#parts
    return archive && !this.#isTrimmed && !isNodeWithin(quotas, state.totals)
  }

  /** With `archive`: deletes history when live records need its space, in the order of avatars. */
  async #makeRoom(): Promise<boolean> {
    if (!this.#needsRoom()) return false
    const { state, quotas } = this.#parts
    for await (const step of countsOfAll(state.db)) {
      for (const [avatar, own] of step) {
        if (own === undefined || own.keptRecords === own.records) continue
        await this.#pruneOne(avatar, (now) => !isNodeWithin(quotas, plus(state.totals, plus(now, own, -1))))
        return true
      }
    }
    this.#isTrimmed = true
    return false
  }
}

/** Reads which tasks are unfinished. */
export async function readTasks(db: Database): Promise<Tasks> {
  return {
    staleInSyncIndex: await tasksIn(db, 'u'),
    forgetting: await tasksIn(db, 'd'),
    hasUnindexedLinks: (await db.get(keys.metaKey('links'))) === undefined,
  }
}

async function tasksIn(db: Database, task: 'u' | 'd'): Promise<Set<Avatar>> {
  const avatars = new Set<Avatar>()
  for await (const [key] of walk(db, keys.tableRange(task), { values: false })) avatars.add(keys.avatarInKey(key))
  return avatars
}
