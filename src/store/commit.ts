/**
 * Makes one batch out of records: works out what becomes of each, and lists every row that changes. Nothing is written
 * here; if the caller cannot write the batch, it must forget the entries that took part.
 */
import { breathe } from '../breathe.ts'
import { compareCitations } from '../record/order.ts'
import type { Avatar, RecordBody, VerifiedRecord } from '../record/types.ts'
import type { Item } from '../sync/negentropy/types.ts'
import type { AvatarEntry } from './avatar-entry.ts'
import { fromHex } from './bytes.ts'
import { LiveSum, NOTHING, plus, type Counts } from './counts.ts'
import { NO_VALUE, type Database, type Operation } from './database.ts'
import * as keys from './keys.ts'
import { fullFor, isAvatarWithin, isNodeWithin, refusedFor } from './quotas.ts'
import * as rows from './rows.ts'
import { splitAt } from './superseded.ts'
import type { AvatarSummary, CommitResult, Quotas } from './types.ts'

/** Pending records that an avatar may have (docs/protocol.md, "From records to state"). */
const MAX_PENDING = 1_024
/** Incomplete snapshots that an avatar may have: each may name 3,500 parts, and all of them are kept in memory. */
const MAX_INCOMPLETE = 16

/** Records, and rows, of a large batch between two pauses: a few milliseconds of the main thread. */
const RECORDS_A_TURN = 256
const OPERATIONS_A_TURN = 2_000

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
  /** What all avatars hold once the batch is in. */
  readonly counts: Counts
  /** Records that are live now and were not. */
  readonly added: readonly Item[]
  /** Records that are live no longer and whose `o` rows this batch removes. */
  readonly removed: readonly Item[]
  /** Avatars of which others have to be removed later. */
  readonly unlisting: readonly Avatar[]
  /** Whether there is history to be pruned. */
  readonly hasGarbage: boolean
  /** Whether an avatar of the batch has history. */
  readonly hasHistory: boolean
}

export interface BatchContext {
  readonly db: Database
  /** The newest sequence committed. */
  readonly lastSequence: number
  /** What all avatars hold. */
  readonly counts: Counts
  readonly archive: boolean
  readonly quotas: Quotas
  /** Superseded records whose `o` rows are removed at once. */
  readonly stepRecords: number
  /** The entry of an avatar, the same for every call in one batch. */
  readonly entryOf: (avatar: Avatar) => Promise<AvatarEntry>
}

/** A record in this batch that was kept, as the indexes need it. */
interface Kept {
  readonly record: VerifiedRecord
  readonly sequence: number
  readonly bytes: number
  isLive: boolean
}

/** @throws CorruptRowError, CorruptWhereaboutsError */
export async function buildBatch(context: BatchContext, records: readonly VerifiedRecord[]): Promise<Batch> {
  const entries = new Map<Avatar, AvatarEntry>()
  for (const { body } of records) {
    if (!entries.has(body.avatar)) entries.set(body.avatar, await context.entryOf(body.avatar))
    if (body.type !== 'patch') await entries.get(body.avatar)?.preload()
  }
  const parts = new Map([...entries].map(([avatar, entry]) => [avatar, new AvatarBatch(context, entry)]))
  const node = (): Counts => [...parts.values()].reduce((sum, part) => plus(sum, part.change()), context.counts)
  const changes: Change[] = []
  const refusals = new Map<number, CommitResult>()
  let sequence = context.lastSequence
  let turn = 0
  const isTight = mayExceed(context, entries, records)
  for (const at of isTight ? inOrder(records) : records.keys()) {
    const record = records[at] as VerifiedRecord
    const part = parts.get(record.body.avatar) as AvatarBatch
    if ((turn += 1) % RECORDS_A_TURN === 0) await breathe()
    const refusal = await part.refuse(record, isTight, node)
    if (refusal !== undefined) {
      refusals.set(at, refusal)
      continue
    }
    const changed = part.add(record, sequence)
    if (isTight) await part.settle()
    sequence += changed.length
    changes.push(...changed)
  }
  // What a record is told is how it stands once the whole batch is in.
  const results = records.map((record, at) => {
    const part = parts.get(record.body.avatar) as AvatarBatch
    const refusal = refusals.get(at)
    // Held or not, whoever sends it must know that it has no effect any more.
    if (refusal?.status === 'duplicate' && part.isSuperseded(record)) return { status: 'superseded' as const }
    return refusal ?? part.standing(record)
  })
  const made = new Made()
  let unpaused = 0
  for (const part of parts.values()) {
    await part.finish(made)
    if (made.operations.length - unpaused < OPERATIONS_A_TURN) continue
    unpaused = made.operations.length
    await breathe()
  }
  for (const change of changes) pushFeed(made.operations, change)
  return { ...made, results, changes, lastSequence: sequence, counts: node() }
}

/** What the batches of all avatars add up to. */
class Made {
  readonly operations: Operation[] = []
  readonly summaries = new Map<Avatar, AvatarSummary>()
  readonly added: Item[] = []
  readonly removed: Item[] = []
  readonly unlisting: Avatar[] = []
  newAvatars = 0
  hasGarbage = false
  hasHistory = false
}

/** Whether a quota could be exceeded, if all of the records were kept. */
function mayExceed(
  { quotas, counts }: BatchContext,
  entries: ReadonlyMap<Avatar, AvatarEntry>,
  records: readonly VerifiedRecord[],
): boolean {
  const all = { records: 0, bytes: 0 }
  const each = new Map<Avatar, { records: number; bytes: number }>()
  for (const record of records) {
    const own = each.get(record.body.avatar) ?? { records: 0, bytes: 0 }
    each.set(record.body.avatar, own)
    for (const sum of [own, all]) {
      sum.records += 1
      sum.bytes += bytesOf(record)
    }
  }
  for (const [avatar, own] of each) {
    if (fullFor(quotas, entries.get(avatar)?.counts ?? NOTHING, NOTHING, own).length > 0) return true
  }
  return fullFor(quotas, NOTHING, counts, all).length > 0
}

const RANKS: Readonly<Record<RecordBody['type'], number>> = { snapshot: 0, part: 1, patch: 2 }

/**
 * The order in which records are taken where there may not be room for all, so that it does not depend on how they were
 * sent: snapshots, for they make room, then their parts, then patches from the oldest on.
 */
function inOrder(records: readonly VerifiedRecord[]): number[] {
  const placeOf = (at: number): { rank: number; counter: number; id: VerifiedRecord['id'] } => {
    const { id, body } = records[at] as VerifiedRecord
    return { rank: RANKS[body.type], counter: body.counter, id }
  }
  return [...records.keys()].sort((a, b) => {
    const [left, right] = [placeOf(a), placeOf(b)]
    return left.rank - right.rank || compareCitations(left, right)
  })
}

const bytesOf = ({ payload, signature }: VerifiedRecord): number => payload.length + signature.length

/** What one batch does to one avatar. */
class AvatarBatch {
  readonly #context: BatchContext
  readonly #entry: AvatarEntry
  readonly #kept: Kept[] = []
  readonly #removed: Item[] = []
  readonly #before: Counts
  readonly #baseBefore: number
  /** The base up to which it is known what is live. */
  #settled: number
  #mustUnlist = false

  constructor(context: BatchContext, entry: AvatarEntry) {
    this.#context = context
    this.#entry = entry
    this.#before = entry.counts
    this.#baseBefore = entry.state.base?.counter ?? 0
    this.#settled = this.#baseBefore
  }

  /** What this batch has changed so far. */
  change(): Counts {
    return plus(this.#entry.counts, this.#before, -1)
  }

  /** Takes in a record that is not refused. */
  add(record: VerifiedRecord, lastSequence: number): Change[] {
    const entry = this.#entry
    const { id, body } = record
    const { avatar, counter } = body
    const bytes = bytesOf(record)
    const isLive = counter >= (entry.state.base?.counter ?? 0)
    entry.hold(id, body)
    if (body.type === 'part') entry.allowances.took(entry.state, id, bytes)
    let sequence = lastSequence + 1
    this.#kept.push({ record, sequence, bytes, isLive })
    entry.keep(id, bytes, isLive)
    const changed: Change[] = [{ sequence, kind: 'record', avatar, counter, id }]
    if (!isLive) {
      entry.state.addHistory(id)
      return changed
    }
    for (const place of entry.state.add(record)) {
      changed.push({ sequence: (sequence += 1), kind: 'superseded', avatar, ...place })
    }
    return changed
  }

  standing({ id, body }: VerifiedRecord): CommitResult {
    return { status: this.#entry.state.standing({ counter: body.counter, id }, body.type) }
  }

  isSuperseded({ body }: VerifiedRecord): boolean {
    return body.counter < (this.#entry.state.base?.counter ?? 0)
  }

  /** What becomes of a record that is not kept; undefined for one that is. */
  async refuse(record: VerifiedRecord, isTight: boolean, node: () => Counts): Promise<CommitResult | undefined> {
    const { id, body } = record
    const { state, counts, allowances, additions } = this.#entry
    if (state.mayBeHeld(record) && this.#entry.held(id) !== undefined) return { status: 'duplicate' }
    const { archive, quotas } = this.#context
    const bytes = bytesOf(record)
    const standing = state.judge(body)
    if (standing === 'superseded') {
      const hasRoom = isAvatarWithin(quotas, counts, 1, bytes) && isNodeWithin(quotas, node(), 1, bytes)
      return archive && hasRoom ? undefined : { status: 'superseded' }
    }
    const isPatch = body.type === 'patch'
    if (standing === 'pending' && isPatch && state.pending >= MAX_PENDING) {
      return { status: 'refused', code: 'too_many_pending' }
    }
    if (standing === 'pending' && body.type === 'snapshot' && state.incompleteSnapshots >= MAX_INCOMPLETE) {
      return { status: 'refused', code: 'too_many_incomplete' }
    }
    if (!isTight) return undefined
    const full = fullFor(quotas, counts, node(), { records: 1, bytes })
    const [first] = full
    if (first === undefined) return undefined
    const unstored = this.#kept.filter(({ isLive }) => isLive)
    const isLet = !isPatch && (await allowances.lets(record, bytes, full, { state, additions, unstored }))
    return isLet ? undefined : refusedFor(first)
  }

  /** Counts out what a new base has superseded. */
  async settle(): Promise<void> {
    const { state, avatar, allowances } = this.#entry
    const base = state.base?.counter ?? 0
    if (base <= this.#settled) return
    allowances.clear()
    const { db, stepRecords } = this.#context
    const isStored = !this.#entry.isNew
    const split = isStored ? await splitAt(db, avatar, this.#settled, base, stepRecords) : undefined
    const gone = new LiveSum()
    const left = new LiveSum()
    for (const kept of this.#kept) {
      if (!kept.isLive) continue
      kept.isLive = kept.record.body.counter >= base
      ;(kept.isLive ? left : gone).add(fromHex(kept.record.id), kept.bytes)
    }
    if (split !== undefined && 'left' in split) {
      this.#entry.keepLive(split.left.addAll(left))
      this.#mustUnlist = true
    } else {
      this.#entry.supersede(gone)
      if (split !== undefined) this.#entry.supersede(split.gone)
      if (split?.items === undefined) this.#mustUnlist ||= split !== undefined
      else this.#removed.push(...split.items)
    }
    this.#settled = base
  }

  async finish(made: Made): Promise<void> {
    if (this.#kept.length === 0) return
    await this.settle()
    const entry = this.#entry
    const { operations } = made
    if (entry.isNew) made.newAvatars += 1
    for (const { record, sequence, bytes, isLive } of this.#kept) {
      pushRecord(operations, record, sequence)
      pushIndexes(operations, record, sequence, bytes, isLive)
      if (isLive) made.added.push({ timestamp: record.body.created_at, id: fromHex(record.id) })
    }
    for (const item of this.#removed) {
      operations.push({ type: 'del', key: keys.orderKey(item.timestamp, keys.idText(item.id)) })
      made.removed.push(item)
    }
    this.#leaveChores(made)
    made.summaries.set(entry.avatar, entry.flush(operations))
  }

  #leaveChores(made: Made): void {
    const { avatar, counts } = this.#entry
    const { archive, quotas, db } = this.#context
    if (this.#mustUnlist) {
      made.unlisting.push(avatar)
      const key = keys.choreKey('u', avatar)
      // What is left of an earlier base lies before this one's, and is still to be done.
      if (db.getSync(key) === undefined) {
        made.operations.push({ type: 'put', key, value: rows.seal(key, rows.encodePlace(lastBelow(this.#baseBefore))) })
      }
    }
    const hasHistory = counts.keptRecords > counts.records
    made.hasHistory ||= hasHistory
    if (!hasHistory || (archive && isAvatarWithin(quotas, counts))) return
    made.operations.push({ type: 'put', key: keys.choreKey('g', avatar), value: NO_VALUE })
    made.hasGarbage = true
  }
}

/** The last place below a counter. */
function lastBelow(counter: number): { counter: number; id: VerifiedRecord['id'] } {
  return { counter: Math.max(0, counter - 1), id: `0x${'ff'.repeat(32)}` }
}

function pushRecord(operations: Operation[], record: VerifiedRecord, sequence: number): void {
  const { id, signature, payload, body } = record
  const key = keys.recordKey(body.avatar, sequence)
  const row = rows.encodeRecord({ type: body.type, counter: body.counter, id, signature, payload })
  operations.push({ type: 'put', key, value: rows.seal(key, row) })
}

/** Lists the index rows of a record that is kept. */
export function pushIndexes(
  operations: Operation[],
  record: VerifiedRecord,
  sequence: number,
  bytes: number,
  isLive: boolean,
): void {
  const { id, body } = record
  const { avatar, counter, created_at: createdAt, type } = body
  const history = keys.historyKey(avatar, { counter, id })
  const byId = keys.idKey(id)
  const order = keys.orderKey(createdAt, id)
  operations.push(
    { type: 'put', key: history, value: rows.seal(history, rows.encodeHistory({ sequence, createdAt, bytes, type })) },
    { type: 'put', key: byId, value: rows.seal(byId, rows.encodeWhereabouts({ avatar, counter, type, sequence })) },
  )
  if (isLive)
    operations.push({ type: 'put', key: order, value: rows.seal(order, rows.encodeOrder({ avatar, sequence })) })
}

function pushFeed(operations: Operation[], change: Change): void {
  const key = keys.feedKey(change.sequence)
  operations.push({ type: 'put', key, value: rows.seal(key, rows.encodeFeed(change)) })
  if (change.kind === 'record') return
  const own = keys.avatarFeedKey(change.avatar, change.sequence)
  operations.push({ type: 'put', key: own, value: rows.seal(own, rows.encodeFeed(change)) })
}
