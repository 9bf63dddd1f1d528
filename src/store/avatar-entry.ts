/**
 * One avatar in memory: its state as the state core keeps it, reading what it needs from the store's rows, and the
 * rows that must be written for what changed.
 */
import { hash as hashOnce } from 'node:crypto'
import { compareCitations } from '../record/order.ts'
import type { Avatar, Citation, RecordBody, RecordId } from '../record/types.ts'
import { AvatarState } from '../state/avatar-state.ts'
import { type HeldRecord, type StateSource, type StoredState } from '../state/state-source.ts'
import type { Cell } from '../state/cell.ts'
import type { NamespaceMarks, NamespaceName } from '../state/content.ts'
import { avatarDigest } from '../state/digest.ts'
import type { PendingRecord } from '../state/waiting.ts'
import { QuotaExceptions } from './quota-exceptions.ts'
import { bytesText, fromHex } from './bytes.ts'
import { ContentRows } from './content-rows.ts'
import { LiveSum, type Counts } from './counts.ts'
import { NO_VALUE, openRow, readRow, walk } from './database.ts'
import { type Database, type Operation } from './level.ts'
import { CorruptRowError } from './errors.ts'
import * as keys from './keys.ts'
import { readSummary, readLocation, readLocations, type RecordLocation } from './reader.ts'
import { del, put } from './operations.ts'
import * as rows from './rows.ts'
import { seal } from './seal.ts'
import type { AvatarSummary } from './types.ts'

/** Tips that the summary itself holds, which are the ones ready to be cited (docs/protocol.md, `tips`). */
const SUMMARY_TIPS = 16
/** Missing ids that the summary lists (docs/protocol.md, `missing`). */
const SUMMARY_MISSING = 100
/**
 * Bytes of memory that an avatar takes without its content. Measured: the weights are within 20 % of the heap from two
 * records (4.9 KB) to members of 3 MB, and 50,000 avatars of two records stay within the 96 MiB of the cache (95 MB of heap).
 */
const ENTRY_BYTES = 2_990
/** Bytes of memory that a name costs for which a record waits (measured: 368), and a tip (147). */
const NAME_BYTES = 370
const TIP_BYTES = 150

const hash = (bytes: Uint8Array): Uint8Array => hashOnce('sha256', bytes, 'buffer')

/** What is read of an avatar of which something is stored. */
interface Stored {
  readonly summary: rows.SummaryRow
  readonly state: StoredState
  readonly named: ReadonlyMap<RecordId, RecordLocation>
}

export class AvatarEntry implements StateSource {
  readonly avatar: Avatar
  readonly state: AvatarState
  /** What its snapshots may take beyond a quota. */
  readonly quotaExceptions: QuotaExceptions
  /** Changes whenever a record was added: what was counted before may have grown. */
  additions = 0
  #live = new LiveSum()
  #keptRecords = 0
  #keptBytes = 0
  #reads = 0
  #missing: { readonly at: number; readonly from: number; readonly value: AvatarSummary['missing'] } | undefined
  readonly #db: Database
  readonly #uncommitted = new Map<RecordId, RecordBody>()
  readonly #content: ContentRows
  #storedTips: readonly Citation[] = []
  #storedPending = new Map<RecordId, Citation>()
  /** While the state is made: what is held of all that waiting records name. */
  #named: ReadonlyMap<RecordId, RecordLocation> | undefined

  private constructor(db: Database, avatar: Avatar, stored?: Stored) {
    this.#db = db
    this.avatar = avatar
    this.quotaExceptions = new QuotaExceptions(db, avatar)
    // Before the state is made: it asks at once what is held of all that waiting records name.
    this.#content = new ContentRows(db, avatar, stored?.summary)
    this.#named = stored?.named
    this.state = new AvatarState(avatar, this, stored?.state)
    this.#named = undefined
    if (stored === undefined) return
    this.#live.addAll(stored.summary)
    this.#keptRecords = stored.summary.keptRecords
    this.#keptBytes = stored.summary.keptBytes
    this.#storedTips = stored.summary.tipsTotal > SUMMARY_TIPS ? this.state.tips.slice() : []
    for (const pending of this.state.pendingRecords()) this.#storedPending.set(pending.id, pending)
  }

  /** An avatar of which nothing is stored. */
  static empty(db: Database, avatar: Avatar): AvatarEntry {
    return new AvatarEntry(db, avatar)
  }

  get isNew(): boolean {
    return this.#content.isNew
  }

  /** About how many bytes of memory this takes. */
  get weight(): number {
    const { namesWaiting, tips } = this.state
    return ENTRY_BYTES + this.#content.weight + namesWaiting * NAME_BYTES + tips.length * TIP_BYTES
  }

  /** Look-ups for the state since this was asked last, each on the main thread, most of them of a row. */
  takeReads(): number {
    const reads = this.#reads + this.#content.reads
    this.#reads = this.#content.reads = 0
    return reads
  }

  /** Reads an avatar's standing; its content follows when it is needed. */
  static async load(db: Database, avatar: Avatar): Promise<AvatarEntry> {
    const summary = readSummary(db, avatar)
    if (summary === undefined) return new AvatarEntry(db, avatar)
    const tips: Citation[] = []
    if (summary.tipsTotal <= SUMMARY_TIPS) tips.push(...summary.tips)
    else for await (const [key] of walk(db, keys.tableRange('k', avatar))) tips.push(keys.placeInKey(key))
    if (avatarDigest(summary.base, tips, hash) !== summary.digest) {
      throw new CorruptRowError(avatar, 'tips', 'they do not make the digest')
    }
    const pendingRecords: PendingRecord[] = []
    if (summary.pending + summary.incomplete > 0) {
      for await (const [key, row] of walk(db, keys.tableRange('p', avatar))) {
        pendingRecords.push(
          openRow(avatar, 'pending', key, row, (content) => rows.decodePendingRecord(keys.placeInKey(key), content)),
        )
      }
    }
    if (pendingRecords.length !== summary.pending + summary.incomplete) {
      throw new CorruptRowError(avatar, 'pending', 'one is not there')
    }
    const named = await readLocations(db, new Set(pendingRecords.flatMap(({ names }) => names.map(({ id }) => id))))
    return new AvatarEntry(db, avatar, { summary, state: { base: summary.base, tips, pendingRecords }, named })
  }

  /** Reads all content, as a new base needs it. */
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

  /** Counts a record that is kept now, live or as history. */
  keep(id: RecordId, bytes: number, isLive: boolean): void {
    this.#keptRecords += 1
    this.#keptBytes += bytes
    this.additions += 1
    if (isLive) this.#live.add(fromHex(id), bytes)
  }

  /** Counts records that are live no longer. */
  supersede(gone: LiveSum): void {
    this.#live.subtract(gone)
  }

  /** Says which records are still live. */
  keepLive(left: LiveSum): void {
    this.#live = left
  }

  /** Counts a superseded record that is kept no longer. */
  prune(bytes: number): void {
    this.#keptRecords -= 1
    this.#keptBytes -= bytes
  }

  /** Makes a record known as held, before `state.add`. */
  hold(id: RecordId, body: RecordBody): void {
    this.#uncommitted.set(id, body)
  }

  held(id: RecordId): HeldRecord | undefined {
    this.#reads += 1
    const body = this.#uncommitted.get(id)
    if (body !== undefined) return body
    if (this.isNew) return undefined
    const row = this.#named === undefined ? readLocation(this.#db, id) : this.#named.get(id)
    return row?.avatar === this.avatar ? row : undefined
  }

  body(place: Citation): RecordBody {
    const body = this.#uncommitted.get(place.id)
    if (body !== undefined) return body
    this.#reads += 2
    const history = readRow(this.#db, this.avatar, 'history', keys.historyKey(this.avatar, place), rows.decodeHistory)
    if (history === undefined) throw new CorruptRowError(this.avatar, 'history', `${place.id} is not there`)
    const key = keys.recordKey(this.avatar, history.sequence)
    const record = readRow(this.#db, this.avatar, 'record', key, rows.decodeRecord)
    if (record === undefined) throw new CorruptRowError(this.avatar, 'record', `${place.id} is not there`)
    return JSON.parse(bytesText(record.payload)) as RecordBody
  }

  /** The summary as it would be stored now. */
  summary(): AvatarSummary & rows.SummaryRow {
    const { state } = this
    return {
      avatar: this.avatar,
      head: state.head,
      tips: state.tips.slice(-SUMMARY_TIPS),
      tipsTotal: state.tips.length,
      base: state.base,
      digest: avatarDigest(state.base, state.tips, hash),
      pending: state.pending,
      incomplete: state.incompleteSnapshots,
      missing: this.#missingNow(),
      ...this.counts,
      idSum: this.#live.idSum,
      namespaces: this.#content.namespaces,
    }
  }

  /** Counted again only once what waits has changed: up to 56,000 ids may be missing. */
  #missingNow(): AvatarSummary['missing'] {
    const { missingChanges: at, base } = this.state
    const from = base?.counter ?? 0
    if (this.#missing?.at !== at || this.#missing.from !== from) {
      this.#missing = { at, from, value: leastOf(this.state.missing(), SUMMARY_MISSING) }
    }
    return this.#missing.value
  }

  /** Writes the rows of all that changed since the last time, and forgets that it changed. */
  flush(operations: Operation[]): AvatarSummary {
    for (const change of this.state.content.takeChanges()) this.#content.flush(change, operations)
    if (this.isNew) put(operations, keys.hostedKey(this.avatar), NO_VALUE)
    this.#flushTips(operations)
    this.#flushPending(operations)
    const summary = this.summary()
    const key = keys.summaryKey(this.avatar)
    put(operations, key, seal(key, rows.encodeSummary(summary)))
    this.#content.isNew = false
    this.#uncommitted.clear()
    return summary
  }

  /** Tips beyond the summary's are rows of their own, so that one more costs one row and not all of them. */
  #flushTips(operations: Operation[]): void {
    const tips = this.state.tips.length > SUMMARY_TIPS ? this.state.tips : []
    const before = this.#storedTips.values()
    let stored = before.next().value
    // Both are in order: 50,000 tips are gone through side by side in 2 ms.
    for (const tip of tips) {
      for (; stored !== undefined && compareCitations(stored, tip) < 0; stored = before.next().value) {
        del(operations, keys.tipKey(this.avatar, stored))
      }
      if (stored?.id === tip.id) stored = before.next().value
      else put(operations, keys.tipKey(this.avatar, tip), NO_VALUE)
    }
    for (; stored !== undefined; stored = before.next().value) del(operations, keys.tipKey(this.avatar, stored))
    this.#storedTips = tips.slice()
  }

  #flushPending(operations: Operation[]): void {
    const before = this.#storedPending
    const now = new Map<RecordId, Citation>()
    for (const pending of this.state.pendingRecords()) {
      now.set(pending.id, pending)
      if (before.delete(pending.id)) continue
      const key = keys.pendingKey(this.avatar, pending)
      put(operations, key, seal(key, rows.encodePendingRecord(pending)))
    }
    for (const place of before.values()) del(operations, keys.pendingKey(this.avatar, place))
    this.#storedPending = now
  }
}

/** The least `limit` ids in order, and how many there are, without sorting them all. */
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
