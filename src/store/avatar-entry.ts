/**
 * One avatar in memory: the state of the state core, which reads from the store's rows on demand, and the rows to write for
 * its changes.
 */
import { hash as hashOnce } from 'node:crypto'
import { compareCitations } from '../record/order.ts'
import type { Avatar, Citation, RecordBody, RecordId } from '../record/types.ts'
import { AvatarState } from '../state/avatar-state.ts'
import type { HeldRecord, StateSource, StoredState } from '../state/state-source.ts'
import type { Cell } from '../state/cell.ts'
import type { NamespaceMarks, NamespaceName } from '../state/content.ts'
import { avatarDigest } from '../state/digest.ts'
import type { PendingRecords } from '../state/waiting.ts'
import type { AvatarRows, RowSink, Split } from './avatar-rows.ts'
import { QuotaExceptions } from './quota-exceptions.ts'
import { fromHex } from './bytes.ts'
import { ContentRows } from './content-rows.ts'
import { LiveSum, type Counts } from './counts.ts'
import type { SummaryRow } from './rows.ts'
import type { AvatarSummary } from './types.ts'

/** Tips in the summary: those that a new record may cite (docs/protocol.md, `tips`). */
export const SUMMARY_TIPS = 16
/** Missing ids listed in the summary (docs/protocol.md, `missing`). */
const SUMMARY_MISSING = 100
/**
 * Bytes of memory that an avatar takes without its content. Measured: the weights are within 20 % of the heap from two
 * records (3.8 KB) to members of 3 MB.
 */
const ENTRY_BYTES = 2_000
/** Bytes of memory of an id that a pending record names (measured: 368). A tip takes less (147). */
const NAME_BYTES = 370
const TIP_BYTES = 150

export const fastHash = (bytes: Uint8Array): Uint8Array => hashOnce('sha256', bytes, 'buffer')

/** The stored data of a known avatar. */
interface Stored {
  readonly summary: SummaryRow
  readonly state: StoredState
  /** The stored records among those that pending records name. */
  readonly named: ReadonlyMap<RecordId, HeldRecord>
}

export class AvatarEntry implements StateSource {
  readonly avatar: Avatar
  readonly state: AvatarState
  /** Decides which snapshots and parts are accepted beyond a quota. */
  readonly quotaExceptions: QuotaExceptions
  /** Number of records added. A sum that was computed at another number may be too low. */
  additions = 0
  #live = new LiveSum()
  #keptRecords = 0
  #keptBytes = 0
  #reads = 0
  #missing: { readonly at: number; readonly from: number; readonly value: AvatarSummary['missing'] } | undefined
  readonly #rows: AvatarRows
  /** Undefined instead of empty, here and below: an empty map takes 180 bytes, and most cached avatars would have several. */
  #uncommitted: Map<RecordId, RecordBody> | undefined
  readonly #content: ContentRows
  #storedTips: readonly Citation[] = []
  #storedPending: Map<RecordId, Citation> | undefined
  /** Set during construction of the state. */
  #named: ReadonlyMap<RecordId, HeldRecord> | undefined

  /** @param stored default: an avatar without stored data */
  constructor(rows: AvatarRows, avatar: Avatar, stored?: Stored) {
    this.#rows = rows
    this.avatar = avatar
    this.quotaExceptions = new QuotaExceptions(rows)
    // Set before the state is created: its constructor looks up every id that pending records name.
    this.#content = new ContentRows(rows, avatar, stored?.summary)
    this.#named = stored?.named
    this.state = new AvatarState(avatar, this, stored?.state)
    this.#named = undefined
    if (stored === undefined) return
    this.#live.addAll(stored.summary)
    this.#keptRecords = stored.summary.keptRecords
    this.#keptBytes = stored.summary.keptBytes
    this.#storedTips = stored.summary.tipsTotal > SUMMARY_TIPS ? this.state.tips.slice() : []
    this.#storedPending = placesOf(this.state.waiting)
  }

  get isNew(): boolean {
    return this.#content.isNew
  }

  /** Approximate memory in bytes. */
  get weight(): number {
    const { waiting, tips } = this.state
    return ENTRY_BYTES + this.#content.weight + waiting.names * NAME_BYTES + tips.length * TIP_BYTES
  }

  /** Returns the look-ups for the state since the last call. Each runs on the main thread; most read one row. */
  takeReads(): number {
    const reads = this.#reads + this.#content.reads
    this.#reads = this.#content.reads = 0
    return reads
  }

  /** Reads all content. A new base needs it. */
  preload(): Promise<void> {
    return this.#content.preload(this.state.content)
  }

  marks(namespace: NamespaceName): NamespaceMarks | undefined {
    return this.#content.marks(namespace)
  }

  member(namespace: NamespaceName, member: string): Cell | undefined {
    return this.#content.member(namespace, member)
  }

  get counts(): Counts {
    const { records, bytes } = this.#live
    return { records, bytes, keptRecords: this.#keptRecords, keptBytes: this.#keptBytes }
  }

  /** Counts a record that is stored now, live or as history. */
  keep(id: RecordId, bytes: number, isLive: boolean): void {
    this.#keptRecords += 1
    this.#keptBytes += bytes
    this.additions += 1
    if (isLive) this.#live.add(fromHex(id), bytes)
  }

  /** Counts records that are no longer live. */
  supersede(gone: LiveSum): void {
    this.#live.subtract(gone)
  }

  /** Sets the live records to those in `left`. */
  keepLive(left: LiveSum): void {
    this.#live = left
  }

  /** Counts a superseded record that was deleted. */
  prune(bytes: number): void {
    this.#keptRecords -= 1
    this.#keptBytes -= bytes
  }

  /** Registers a record as stored. Call before `state.add`. */
  hold(id: RecordId, body: RecordBody): void {
    this.#uncommitted ??= new Map()
    this.#uncommitted.set(id, body)
  }

  held(id: RecordId): HeldRecord | undefined {
    this.#reads += 1
    const body = this.#uncommitted?.get(id)
    if (body !== undefined) return body
    if (this.isNew) return undefined
    return this.#named === undefined ? this.#rows.held(id) : this.#named.get(id)
  }

  body(place: Citation): RecordBody {
    const body = this.#uncommitted?.get(place.id)
    if (body !== undefined) return body
    this.#reads += 2
    return this.#rows.body(place)
  }

  /** The current summary. */
  summary(): AvatarSummary & SummaryRow {
    const { state } = this
    return {
      avatar: this.avatar,
      head: state.head,
      tips: state.tips.slice(-SUMMARY_TIPS),
      tipsTotal: state.tips.length,
      base: state.base,
      digest: avatarDigest(state.base, state.tips, fastHash),
      pending: state.waiting.patches,
      incomplete: state.waiting.snapshots,
      missing: this.#missingNow(),
      ...this.counts,
      idSum: this.#live.idSum,
      namespaces: this.#content.namespaces,
    }
  }

  /** Cached until the pending records change: up to 56,000 ids may be missing. */
  #missingNow(): AvatarSummary['missing'] {
    const at = this.state.waiting.changes
    const from = this.state.base?.counter ?? 0
    if (this.#missing?.at !== at || this.#missing.from !== from) {
      this.#missing = { at, from, value: leastOf(this.state.missing(), SUMMARY_MISSING) }
    }
    return this.#missing.value
  }

  /** Adds the rows of all changes since the last call to `sink`. */
  flush(sink: RowSink): AvatarSummary {
    for (const change of this.state.content.takeChanges()) this.#content.flush(change, sink)
    if (this.isNew) sink.putHosted(this.avatar)
    this.#flushTips(sink)
    this.#flushPending(sink)
    const summary = this.summary()
    sink.putSummary(this.avatar, summary)
    this.#content.isNew = false
    this.#uncommitted = undefined
    return summary
  }

  /** Tips beyond those in the summary have one row each, so one more tip writes one row. */
  #flushTips(sink: RowSink): void {
    const tips = this.state.tips.length > SUMMARY_TIPS ? this.state.tips : []
    const before = this.#storedTips.values()
    let stored = before.next().value
    // Both lists are sorted, so one merge pass is enough: 2 ms for 50,000 tips.
    for (const tip of tips) {
      for (; stored !== undefined && compareCitations(stored, tip) < 0; stored = before.next().value) {
        sink.dropTip(this.avatar, stored)
      }
      if (stored?.id === tip.id) stored = before.next().value
      else sink.putTip(this.avatar, tip)
    }
    for (; stored !== undefined; stored = before.next().value) sink.dropTip(this.avatar, stored)
    this.#storedTips = tips.slice()
  }

  #flushPending(sink: RowSink): void {
    const before = this.#storedPending
    this.#storedPending = placesOf(this.state.waiting)
    for (const pending of this.state.waiting.all()) {
      if (before?.delete(pending.id) !== true) sink.putPending(this.avatar, pending)
    }
    for (const place of before?.values() ?? []) sink.dropPending(this.avatar, place)
  }

  /** Divides the stored records at a new base. */
  split(from: number, base: number, atOnce: number): Promise<Split> {
    return this.#rows.split(from, base, atOnce)
  }
}

/** The places of all pending records by id; undefined if there are none. */
function placesOf(waiting: PendingRecords): Map<RecordId, Citation> | undefined {
  const all = Array.from(waiting.all(), (pending): [RecordId, Citation] => [pending.id, pending])
  return all.length === 0 ? undefined : new Map(all)
}

/** The smallest `limit` ids in order, and the total number, without sorting all of them. */
function leastOf(ids: Iterable<RecordId>, limit: number): { total: number; ids: RecordId[] } {
  let least: RecordId[] = []
  let total = 0
  let bound: RecordId | undefined
  for (const id of ids) {
    total += 1
    if (bound !== undefined && id > bound) continue
    least.push(id)
    if (least.length < limit * 8) continue
    least = least.sort().slice(0, limit)
    bound = least.at(-1)
  }
  return { total, ids: least.sort().slice(0, limit) }
}
