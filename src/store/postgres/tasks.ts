/** What the store does besides commits: prunes history, deletes avatars, rebuilds the derived rows of an avatar. */
import type { Logger } from '../../observe/types.ts'
import type { Avatar, SignedRecord, SnapshotBody, VerifiedRecord } from '../../record/types.ts'
import { AvatarEntry } from '../avatar-entry.ts'
import { bytesOf } from '../batch.ts'
import { attempt, textBytes } from '../bytes.ts'
import type { Counts } from '../counts.ts'
import { isAvatarWithin, isNodeWithin } from '../quotas.ts'
import type { Rebuilt } from '../types.ts'
import type { FeedTotals } from './change-feed.ts'
import { Rollback, type PostgresDatabase, type Queries } from './database.ts'
import { BatchLoader } from './loader.ts'
import { LoadedRows, PostgresRows } from './loaded-rows.ts'
import type { RecordColumns } from './reader.ts'
import { PostgresSink } from './sink.ts'
import type { StoredSummary } from './summary.ts'
import { avatarOf, bytea, idOf } from './values.ts'
import type { PostgresWriter, Rules } from './writer.ts'

/** Records that one transaction prunes. */
const STEP_RECORDS = 500
/** Avatars with history that are looked at at once. */
const STEP_AVATARS = 256
/** Records read at once for a rebuild. */
const REBUILD_ROWS = 500
const NO_AVATAR = Buffer.alloc(0)

export interface TaskParts {
  readonly database: PostgresDatabase
  readonly writer: PostgresWriter
  readonly logger: Logger
  readonly rules: () => Rules
  readonly totals: () => FeedTotals
  /** Reads the totals again after a change of them. */
  readonly refresh: () => Promise<void>
  readonly verify: (record: SignedRecord) => VerifiedRecord
}

export class PostgresTasks {
  readonly #parts: TaskParts
  #running: Promise<void> | undefined
  #isAsked = false
  #isStopped = false

  constructor(parts: TaskParts) {
    this.#parts = parts
  }

  /** Starts a pass over the avatars with history, or makes the running pass begin once more. */
  wake(): void {
    if (this.#isStopped) return
    this.#isAsked = true
    this.#running ??= this.#run()
  }

  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.idle()
  }

  async #run(): Promise<void> {
    try {
      while (this.#isAsked && !this.#isStopped) {
        this.#isAsked = false
        await this.#pass()
      }
    } catch (error) {
      if (!this.#isStopped)
        this.#parts.logger.warn({ err: error }, 'a background task of the store failed; the store retries it later')
    }
    this.#running = undefined
  }

  async #pass(): Promise<void> {
    const { database, refresh } = this.#parts
    let after: Uint8Array = NO_AVATAR
    for (;;) {
      const page = await database.rows<{ avatar: Uint8Array }>('garbage', [after, STEP_AVATARS])
      for (const { avatar } of page) {
        while (!this.#isStopped && (await this.#pruneSome(avatarOf(avatar)))) await refresh()
      }
      const last = page.at(-1)
      if (last === undefined || page.length < STEP_AVATARS || this.#isStopped) return
      after = last.avatar
    }
  }

  /** Prunes some records of an avatar's history, oldest first. Returns whether there may be more to prune. */
  async #pruneSome(avatar: Avatar): Promise<boolean> {
    const { database, writer } = this.#parts
    return writer.retried(() =>
      database.transaction(async (queries) => {
        const summary = await new BatchLoader(queries).lockOne(avatar)
        if (summary === undefined || summary.base === null) throw new Rollback(false)
        const isKept = await this.#isKept(queries, summary)
        const surplus = isKept ? this.#surplus(summary) : STEP_RECORDS
        if (surplus === 0) throw new Rollback(false)
        const values = [bytea(avatar), summary.base.counter, Math.min(surplus, STEP_RECORDS)]
        const [gone] = await queries.rows<{ records: number; bytes: number }>('pruned', values)
        if (gone === undefined || gone.records === 0) throw new Rollback(false)
        await queries.rows('countPruned', [bytea(avatar), gone.records, gone.bytes])
        await queries.rows('addTotals', [0, 0, 0, -gone.records, -gone.bytes])
        return true
      }),
    )
  }

  async #isKept(queries: Queries, { base }: StoredSummary): Promise<boolean> {
    const { archive, keepsErased } = this.#parts.rules()
    if (!archive || keepsErased || base === null) return archive
    const [row] = await queries.rows<{ payload: string }>('payload', [bytea(base.id)])
    const { state, parts } = JSON.parse(row?.payload ?? '{"state":[],"parts":[]}') as SnapshotBody
    return state.length > 0 || parts.length > 0
  }

  /** Records to prune at once where history is kept as far as quotas allow: few, as each may be large enough. */
  #surplus(summary: StoredSummary): number {
    const { quotas } = this.#parts.rules()
    return isAvatarWithin(quotas, summary) && isNodeWithin(quotas, this.#parts.totals()) ? 0 : 1
  }

  /** Deletes an avatar in one transaction. */
  async forget(avatar: Avatar): Promise<void> {
    const { database, writer, refresh } = this.#parts
    await writer.retried(() =>
      database.transaction(async (queries) => {
        const summary = await new BatchLoader(queries).lockOne(avatar)
        if (summary === undefined) throw new Rollback(undefined)
        for (const name of ['forgetRecords', 'forgetContent', 'forgetRest'] as const)
          await queries.rows(name, [bytea(avatar)])
        const { records, bytes, keptRecords, keptBytes } = summary
        await queries.rows('addTotals', [-1, -records, -bytes, -keptRecords, -keptBytes])
        return undefined
      }),
    )
    await refresh()
  }

  /** Rebuilds the derived rows of one avatar, or of all, from their records. */
  async rebuild(avatar?: Avatar): Promise<Rebuilt> {
    const { database, refresh } = this.#parts
    let [records, quarantined] = [0, 0]
    const add = async (each: Avatar): Promise<void> => {
      const rebuilt = await this.#rebuildOne(each)
      records += rebuilt.records
      quarantined += rebuilt.quarantined
    }
    if (avatar !== undefined) await add(avatar)
    else {
      for (let after: Uint8Array = NO_AVATAR; ;) {
        const page = await database.rows<{ avatar: Uint8Array }>('avatars', [after, STEP_AVATARS])
        for (const row of page) await add(avatarOf(row.avatar))
        const last = page.at(-1)
        if (last === undefined || page.length < STEP_AVATARS) break
        after = last.avatar
      }
    }
    await refresh()
    this.wake()
    return { records, quarantined }
  }

  async #rebuildOne(avatar: Avatar): Promise<Rebuilt> {
    const { database, writer, verify } = this.#parts
    return writer.retried(() =>
      database.transaction(async (queries) => {
        const before = await new BatchLoader(queries).lockOne(avatar)
        if (before === undefined) throw new Rollback({ records: 0, quarantined: 0 })
        await queries.rows('forgetContent', [bytea(avatar)])
        const entry = new AvatarEntry(new PostgresRows(queries, new LoadedRows(), avatar), avatar)
        const kept: { readonly record: VerifiedRecord; readonly bytes: number }[] = []
        const bad: number[] = []
        let after = 0
        for (;;) {
          const page = await queries.rows<RecordColumns>('allRecords', [bytea(avatar), after, REBUILD_ROWS])
          for (const row of page) {
            after = row.sequence
            const record = attempt(() => verify({ payload: textBytes(row.payload), signature: row.signature }))
            if (record?.body.avatar !== avatar || record.id !== idOf(row.id)) {
              bad.push(row.sequence)
              continue
            }
            entry.hold(record.id, record.body)
            if (entry.state.judge(record.body) !== 'superseded') entry.state.add(record)
            kept.push({ record, bytes: bytesOf(record) })
          }
          if (page.length < REBUILD_ROWS) break
        }
        if (bad.length > 0) await queries.rows('quarantine', [bad])
        const base = entry.state.base?.counter ?? 0
        for (const { record, bytes } of kept) entry.keep(record.id, bytes, record.body.counter >= base)
        await queries.rows('setLive', [bytea(avatar), base])
        if (kept.length === 0) await queries.rows('dropAvatars', [[bytea(avatar)]])
        else {
          const sink = new PostgresSink()
          entry.flush(sink)
          await sink.flush(queries, [])
        }
        await queries.rows('addTotals', difference(kept.length === 0 ? -1 : 0, entry.counts, before))
        return { records: kept.length, quarantined: bad.length }
      }),
    )
  }
}

/** Values of the statement `addTotals`. */
function difference(avatars: number, now: Counts, before: Counts): number[] {
  return [
    avatars,
    now.records - before.records,
    now.bytes - before.bytes,
    now.keptRecords - before.keptRecords,
    now.keptBytes - before.keptBytes,
  ]
}
