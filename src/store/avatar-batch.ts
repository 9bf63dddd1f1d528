/** The changes that one batch makes to one avatar. */
import type { VerifiedRecord } from '../record/types.ts'
import type { Item } from '../negentropy/types.ts'
import type { AvatarEntry } from './avatar-entry.ts'
import { bytesOf, type BatchContext, type BatchEffects } from './batch.ts'
import { fromHex } from './bytes.ts'
import { LiveSum, plus, type Counts } from './counts.ts'
import { fullFor, isAvatarWithin, isNodeWithin } from './quotas.ts'
import type { Change } from './rows.ts'
import type { CommitResult } from './types.ts'

/** Pending records that an avatar may have (docs/protocol.md, "From records to state"). */
const MAX_PENDING = 1_024
/** Incomplete snapshots that an avatar may have. Each may name 3,500 parts, and all of them stay in memory. */
const MAX_INCOMPLETE = 16

/** A record of this batch that is stored, with the fields that the indexes need. */
interface Kept {
  readonly record: VerifiedRecord
  readonly sequence: number
  readonly bytes: number
  isLive: boolean
}

export class AvatarBatch {
  readonly #context: BatchContext
  readonly entry: AvatarEntry
  readonly #kept: Kept[] = []
  readonly #removed: Item[] = []
  readonly #before: Counts
  readonly #baseBefore: number
  /** Counter of the base up to which the live records are known. */
  #settled: number
  #isSyncIndexStale = false

  constructor(context: BatchContext, entry: AvatarEntry) {
    this.#context = context
    this.entry = entry
    this.#before = entry.counts
    this.#baseBefore = entry.state.base?.counter ?? 0
    this.#settled = this.#baseBefore
  }

  /** The change of the avatar's counts by this batch so far. */
  change(): Counts {
    return plus(this.entry.counts, this.#before, -1)
  }

  /** Adds a record that `refuse` did not reject. */
  async add(record: VerifiedRecord, lastSequence: number): Promise<Change[]> {
    const entry = this.entry
    if (entry.state.wouldRebase(record)) await entry.preload()
    const { id, body } = record
    const { avatar, counter } = body
    const bytes = bytesOf(record)
    const isLive = counter >= (entry.state.base?.counter ?? 0)
    entry.hold(id, body)
    if (body.type === 'part') entry.quotaExceptions.countPart(entry.state, id, bytes)
    let sequence = lastSequence + 1
    this.#kept.push({ record, sequence, bytes, isLive })
    entry.keep(id, bytes, isLive)
    const changed: Change[] = [{ sequence, kind: 'record', avatar, counter, id }]
    if (!isLive) return changed
    for (const place of entry.state.add(record)) {
      changed.push({ sequence: (sequence += 1), kind: 'superseded', avatar, ...place })
    }
    return changed
  }

  outcome({ id, body }: VerifiedRecord): CommitResult {
    return { status: this.entry.state.status({ counter: body.counter, id }, body.type) }
  }

  isSuperseded({ body }: VerifiedRecord): boolean {
    return body.counter < (this.entry.state.base?.counter ?? 0)
  }

  /** Returns the result of a record that is not stored; undefined if the record is to be stored. */
  async refuse(record: VerifiedRecord, isTight: boolean, node: () => Counts): Promise<CommitResult | undefined> {
    const { id, body } = record
    const { state, counts, quotaExceptions, additions } = this.entry
    if (state.mayBeHeld(record) && this.entry.held(id) !== undefined) return { status: 'duplicate' }
    const { archive, keepsErased, quotas } = this.#context
    const bytes = bytesOf(record)
    const status = state.judge(body)
    if (status === 'superseded') {
      const hasRoom = isAvatarWithin(quotas, counts, 1, bytes) && isNodeWithin(quotas, node(), 1, bytes)
      const isKept = archive && (keepsErased || !state.isErased)
      return isKept && hasRoom ? undefined : { status: 'superseded' }
    }
    const isPatch = body.type === 'patch'
    if (status === 'pending' && isPatch && state.waiting.patches >= MAX_PENDING) {
      return { status: 'refused', code: 'too_many_pending' }
    }
    if (status === 'pending' && body.type === 'snapshot' && state.waiting.snapshots >= MAX_INCOMPLETE) {
      return { status: 'refused', code: 'too_many_incomplete' }
    }
    if (!isTight) return undefined
    const full = fullFor(quotas, counts, node(), { records: 1, bytes })
    const [first] = full
    if (first === undefined) return undefined
    const unstored = this.#kept.filter(({ isLive }) => isLive)
    const isLet = !isPatch && (await quotaExceptions.allows(record, bytes, full, { state, additions, unstored }))
    return isLet ? undefined : { status: 'refused', code: first.code, quota: first.use }
  }

  /** Subtracts the records that a new base has superseded from the counts. */
  async settle(): Promise<void> {
    const { state, quotaExceptions } = this.entry
    const base = state.base?.counter ?? 0
    if (base <= this.#settled) return
    quotaExceptions.clear()
    const { stepRecords } = this.#context
    const split = this.entry.isNew ? undefined : await this.entry.split(this.#settled, base, stepRecords)
    const gone = new LiveSum()
    const left = new LiveSum()
    for (const kept of this.#kept) {
      if (!kept.isLive) continue
      kept.isLive = kept.record.body.counter >= base
      ;(kept.isLive ? left : gone).add(fromHex(kept.record.id), kept.bytes)
    }
    if (split !== undefined && 'left' in split) {
      this.entry.keepLive(split.left.addAll(left))
      this.#isSyncIndexStale = true
    } else {
      this.entry.supersede(gone)
      if (split !== undefined) this.entry.supersede(split.gone)
      if (split?.items === undefined) this.#isSyncIndexStale ||= split !== undefined
      else this.#removed.push(...split.items)
    }
    this.#settled = base
  }

  async finish(made: BatchEffects): Promise<void> {
    if (this.#kept.length === 0) return
    await this.settle()
    const entry = this.entry
    if (entry.isNew) made.newAvatars += 1
    const { sink } = this.#context
    for (const { record, sequence, bytes, isLive } of this.#kept) {
      sink.putRecord(record, { sequence, bytes, isLive })
      if (isLive) made.added.push({ timestamp: record.body.created_at, id: fromHex(record.id) })
    }
    for (const item of this.#removed) {
      sink.dropLive(item)
      made.removed.push(item)
    }
    this.#addTasks(made)
    made.summaries.set(entry.avatar, entry.flush(sink))
  }

  #addTasks(made: BatchEffects): void {
    const { avatar, counts, state } = this.entry
    const { archive, keepsErased, quotas, sink } = this.#context
    if (this.#isSyncIndexStale) {
      made.staleInSyncIndex.push(avatar)
      sink.noteStale(avatar, this.#baseBefore)
    }
    const hasHistory = counts.keptRecords > counts.records
    made.hasHistory ||= hasHistory
    if (!hasHistory) return
    const isKept = archive && (keepsErased || !state.isErased)
    if (isKept && isAvatarWithin(quotas, counts)) return
    sink.noteGarbage(avatar)
    made.hasGarbage = true
  }
}
