/**
 * Makes one batch out of records: works out what becomes of each, and lists every row that changes. Nothing is written
 * here; if the caller cannot write the batch, it must forget the entries that took part.
 */
import type { Avatar, RecordId, VerifiedRecord } from '../record/types.ts'
import type { Item } from '../sync/negentropy/types.ts'
import type { AvatarEntry } from './avatar-entry.ts'
import { openRow, walk, type Database, type Operation } from './database.ts'
import * as keys from './keys.ts'
import * as rows from './rows.ts'
import type { AvatarSummary, CommitResult } from './types.ts'

/** Pending records that an avatar may have (docs/protocol.md, "From records to state"). */
const MAX_PENDING = 1_024
/** Incomplete snapshots that an avatar may have: each may name 3,500 parts, and all of them are kept in memory. */
const MAX_INCOMPLETE = 16

/** One change, its avatar's head and digest still to be filled in. */
export interface Change extends rows.FeedRow {
  readonly sequence: number
}

export interface Batch {
  readonly results: CommitResult[]
  readonly operations: Operation[]
  readonly changes: Change[]
  readonly summaries: Map<Avatar, AvatarSummary>
  readonly lastSequence: number
  readonly newAvatars: number
  /** Records that are live now and were not; some may be in `removed` as well. */
  readonly added: Item[]
  /** Records that are live no longer. */
  readonly removed: Item[]
}

/** A record in this batch that was kept, as the indexes need it. */
interface Kept {
  readonly record: VerifiedRecord
  readonly sequence: number
  readonly bytes: number
}

/**
 * @param lastSequence the newest sequence committed
 * @param entryOf the entry of an avatar, the same for every call in one batch
 */
export async function buildBatch(
  db: Database,
  records: readonly VerifiedRecord[],
  lastSequence: number,
  entryOf: (avatar: Avatar) => Promise<AvatarEntry>,
): Promise<Batch> {
  const operations: Operation[] = []
  const changes: Change[] = []
  const summaries = new Map<Avatar, AvatarSummary>()
  const entries = new Map<Avatar, AvatarEntry>()
  for (const { body } of records) {
    if (!entries.has(body.avatar)) entries.set(body.avatar, await entryOf(body.avatar))
    if (body.type !== 'patch') await entries.get(body.avatar)?.preload()
  }
  const parts = new Map<Avatar, AvatarBatch>()
  const outcomes: { part: AvatarBatch; refusal: CommitResult | undefined }[] = []
  let sequence = lastSequence
  for (const record of records) {
    const { avatar } = record.body
    let part = parts.get(avatar)
    if (part === undefined) {
      part = new AvatarBatch(entries.get(avatar) as AvatarEntry)
      parts.set(avatar, part)
    }
    const refusal = part.refuse(record)
    outcomes.push({ part, refusal })
    if (refusal !== undefined) continue
    const changed = part.add(record, sequence)
    sequence += changed.length
    changes.push(...changed)
  }
  // What a record is told is how it stands once the whole batch is in.
  const results = outcomes.map(({ part, refusal }, at) => refusal ?? part.standing(records[at] as VerifiedRecord))
  let newAvatars = 0
  const added: Item[] = []
  const removed: Item[] = []
  for (const [avatar, part] of parts) {
    if (part.kept.length === 0) continue
    if (part.entry.isNew) newAvatars += 1
    summaries.set(avatar, await part.finish(db, operations, added, removed))
  }
  for (const change of changes) pushFeed(operations, change)
  return { results, operations, changes, summaries, lastSequence: sequence, newAvatars, added, removed }
}

/** What one batch does to one avatar. */
class AvatarBatch {
  readonly entry: AvatarEntry
  readonly kept: Kept[] = []
  readonly #baseBefore: number

  constructor(entry: AvatarEntry) {
    this.entry = entry
    this.#baseBefore = entry.state.base?.counter ?? 0
  }

  /** Takes in a record that is not refused. */
  add(record: VerifiedRecord, lastSequence: number): Change[] {
    const { entry } = this
    const { id, body } = record
    entry.hold(id, body)
    const superseded = entry.state.add(record)
    const { avatar, counter } = body
    let sequence = lastSequence + 1
    this.kept.push({ record, sequence, bytes: record.payload.length + record.signature.length })
    const changed: Change[] = [{ sequence, kind: 'record', avatar, counter, id }]
    for (const place of superseded) changed.push({ sequence: (sequence += 1), kind: 'superseded', avatar, ...place })
    return changed
  }

  standing({ id, body }: VerifiedRecord): CommitResult {
    return { status: this.entry.state.standing({ counter: body.counter, id }, body.type) }
  }

  /** What becomes of a record that is not kept; undefined for one that is. */
  refuse({ id, body }: VerifiedRecord): CommitResult | undefined {
    const { state } = this.entry
    if (this.entry.held(id) !== undefined) return { status: 'duplicate' }
    const standing = state.judge(body)
    if (standing === 'superseded') return { status: 'superseded' }
    if (standing === 'stored' || body.type === 'part') return undefined
    const isPatch = body.type === 'patch'
    if (isPatch && state.pending >= MAX_PENDING) return { status: 'refused', code: 'too_many_pending' }
    const isFull = !isPatch && state.incompleteSnapshots >= MAX_INCOMPLETE
    return isFull ? { status: 'refused', code: 'too_many_incomplete' } : undefined
  }

  async finish(db: Database, operations: Operation[], added: Item[], removed: Item[]): Promise<AvatarSummary> {
    const { entry } = this
    for (const { record, sequence, bytes } of this.kept) {
      pushRecord(operations, record, sequence)
      pushIndexes(operations, record, sequence, bytes)
      added.push(entry.addLive(record.body.created_at, record.id, bytes))
    }
    const base = entry.state.base?.counter ?? 0
    if (base > this.#baseBefore) {
      for (const { record, bytes } of this.kept) {
        const { counter, created_at: createdAt } = record.body
        if (counter < base) removed.push(this.#dropLive(operations, createdAt, record.id, bytes))
      }
      const range = keys.historyRange(entry.avatar, this.#baseBefore, base)
      for await (const [key, row] of walk(db, range)) {
        const { createdAt, bytes } = openRow(entry.avatar, 'history', key, row, rows.decodeHistory)
        removed.push(this.#dropLive(operations, createdAt, keys.placeInKey(key).id, bytes))
      }
    }
    return entry.flush(operations)
  }

  #dropLive(operations: Operation[], createdAt: number, id: RecordId, bytes: number): Item {
    operations.push({ type: 'del', key: keys.orderKey(createdAt, id) })
    return this.entry.dropLive(createdAt, id, bytes)
  }
}

function pushRecord(operations: Operation[], record: VerifiedRecord, sequence: number): void {
  const { id, signature, payload, body } = record
  const key = keys.recordKey(body.avatar, sequence)
  const row = rows.encodeRecord({ type: body.type, counter: body.counter, id, signature, payload })
  operations.push({ type: 'put', key, value: rows.seal(key, row) })
}

/** Lists the index rows of a live record. */
export function pushIndexes(operations: Operation[], record: VerifiedRecord, sequence: number, bytes: number): void {
  const { id, body } = record
  const { avatar, counter, created_at: createdAt, type } = body
  const history = keys.historyKey(avatar, { counter, id })
  const byId = keys.idKey(id)
  const order = keys.orderKey(createdAt, id)
  operations.push(
    { type: 'put', key: history, value: rows.seal(history, rows.encodeHistory({ sequence, createdAt, bytes, type })) },
    { type: 'put', key: byId, value: rows.seal(byId, rows.encodeWhereabouts({ avatar, counter, type, sequence })) },
    { type: 'put', key: order, value: rows.seal(order, rows.encodeOrder({ avatar, sequence })) },
  )
}

function pushFeed(operations: Operation[], change: Change): void {
  const key = keys.feedKey(change.sequence)
  operations.push({ type: 'put', key, value: rows.seal(key, rows.encodeFeed(change)) })
  if (change.kind === 'record') return
  const own = keys.avatarFeedKey(change.avatar, change.sequence)
  operations.push({ type: 'put', key: own, value: rows.seal(own, rows.encodeFeed(change)) })
}
