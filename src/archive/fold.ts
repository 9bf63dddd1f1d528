/**
 * What the records of one avatar in an archive amount to: head, tips, base, digest, pending and missing records
 * (docs/protocol.md, "From records to state"), without their contents.
 *
 * It takes records in order of (counter, id), once each. Then every record that a record cites comes before it, and all parts of
 * a snapshot have its counter. So one pass is enough, and a new base frees the memory of what it supersedes.
 */
import type { Citation, RecordBody, RecordId, SnapshotBody } from '../record/types.ts'
import { avatarDigest } from '../state/digest.ts'
import type { ArchivePlatform } from './types.ts'
import { PositionList } from './position-list.ts'

/** What the live records of an avatar amount to. */
export interface FoldResult {
  readonly head: number
  /** The greatest 16 tips in order. */
  readonly tips: readonly Citation[]
  readonly tips_total: number
  readonly base: Citation | null
  /** 64 hex digits. */
  readonly digest: string
  /** Pending patches. */
  readonly pending: number
  /** Ids that are named and not there; the first 100 in order. */
  readonly missing: { readonly total: number; readonly ids: readonly RecordId[] }
  /** Records that are not superseded. */
  readonly live: number
}

/**
 * Memory for one avatar: enough for 1,900,000 live records of a history with few open ends, nearly twice a node's default
 * quota.
 */
const MAX_FOLD_BYTES = 48 * 1024 * 1024
/** Memory of an id as a text in a set. */
const NEED_BYTES = 200
const SHOWN_TIPS = 16
const SHOWN_MISSING = 100

const PENDING = 0
/** A patch that is visible, or the base: a tip as long as no visible patch cites it. */
const TIP = 1
/** Visible, and cited by a visible patch. */
const CITED = 2
/** A complete snapshot at the base's counter that is not the base: it settles citations. */
const SETTLES = 3
/** An incomplete snapshot. */
const INCOMPLETE = 4
const PART = 5

interface Snapshot {
  readonly index: number
  readonly body: SnapshotBody
}

export class ArchiveFold {
  readonly #platform: Pick<ArchivePlatform, 'sha256' | 'randomBytes'>
  readonly #maxBytes: number
  #list: PositionList
  /** Ids that a live record names and that were not found at the position that it names. */
  #needs = new Set<RecordId>()
  #base: Citation | null = null
  /** Index of the first record with the counter of the last one. */
  #run = 0
  #counter = 0
  /** Snapshots with that counter. */
  #snapshots: Snapshot[] = []
  #snapshotBytes = 0
  #isTooLarge = false

  /** @param maxBytes memory that it may take; beyond that it gives up */
  constructor(platform: Pick<ArchivePlatform, 'sha256' | 'randomBytes'>, maxBytes = MAX_FOLD_BYTES) {
    this.#platform = platform
    this.#maxBytes = maxBytes
    this.#list = new PositionList(platform)
  }

  /** Takes the next record in order of (counter, id). */
  add(id: RecordId, body: RecordBody): void {
    if (this.#isTooLarge) return
    if (body.counter !== this.#counter) {
      this.#closeRun()
      this.#run = this.#list.size
      this.#counter = body.counter
    }
    const position = { counter: body.counter, id }
    if (body.type === 'patch') this.#addPatch(position, body.prev)
    else if (body.type === 'part') this.#list.push(position, PART)
    else {
      this.#snapshots.push({ index: this.#list.push(position, INCOMPLETE), body })
      this.#snapshotBytes += NEED_BYTES * (1 + body.parts.length)
    }
    if (this.#list.bytes + this.#needs.size * NEED_BYTES + this.#snapshotBytes > this.#maxBytes) this.#giveUp()
  }

  /** What the records amount to; undefined if that took too much memory. */
  result(): FoldResult | undefined {
    if (!this.#isTooLarge) this.#closeRun()
    if (this.#isTooLarge) return undefined
    const list = this.#list
    const tips: Citation[] = []
    let pending = 0
    for (let index = 0; index < list.size; index++) {
      const mark = list.mark(index)
      if (mark === TIP) tips.push({ counter: list.counter(index), id: list.id(index) })
      else if (mark === PENDING) pending += 1
    }
    const missing = list.absent(this.#needs).sort()
    return {
      head: tips.at(-1)?.counter ?? 0,
      tips: tips.slice(-SHOWN_TIPS),
      tips_total: tips.length,
      base: this.#base,
      digest: avatarDigest(this.#base, tips, this.#platform.sha256),
      pending,
      missing: { total: missing.length, ids: missing.slice(0, SHOWN_MISSING) },
      live: list.size,
    }
  }

  #addPatch(position: Citation, prev: readonly Citation[]): void {
    const base = this.#base?.counter ?? 0
    const cited: number[] = []
    let isSettled = true
    for (const citation of prev) {
      if (citation.counter < base) continue
      const index = this.#list.find(citation)
      const mark = index < 0 ? PENDING : this.#list.mark(index)
      if (mark === TIP || mark === CITED) cited.push(index)
      else if (mark !== SETTLES) isSettled = false
      if (index < 0) this.#needs.add(citation.id)
    }
    this.#list.push(position, isSettled ? TIP : PENDING)
    if (isSettled) for (const each of cited) this.#cite(each)
  }

  #cite(index: number): void {
    if (this.#list.mark(index) !== TIP) return
    this.#list.setMark(index, CITED)
    this.#list.close(index)
  }

  /** Decides what depends on all records of one counter, once they are there. */
  #closeRun(): void {
    if (this.#snapshots.length > 0) this.#judgeSnapshots()
    for (let index = this.#run; index < this.#list.size; index++) {
      const mark = this.#list.mark(index)
      if (mark === PENDING || mark === PART) this.#list.close(index)
    }
  }

  #judgeSnapshots(): void {
    const counter = this.#counter
    const isPart = (id: RecordId): boolean => {
      const index = this.#list.find({ counter, id })
      return index >= 0 && this.#list.mark(index) === PART
    }
    const incomplete: Snapshot[] = []
    const complete: Snapshot[] = []
    for (const each of this.#snapshots) (each.body.parts.every(isPart) ? complete : incomplete).push(each)
    this.#snapshots = []
    this.#snapshotBytes = 0
    for (const { index } of complete) this.#list.setMark(index, SETTLES)
    const base = complete.at(-1)
    if (base !== undefined) {
      this.#base = { counter, id: this.#list.id(base.index) }
      this.#list.setMark(base.index, TIP)
      this.#rebase()
    }
    for (const { body } of incomplete) for (const id of body.parts) if (!isPart(id)) this.#needs.add(id)
  }

  /** Drops what the new base supersedes. Records with its counter stay, and every patch among them is visible now. */
  #rebase(): void {
    const list = this.#list
    const kept = new PositionList(this.#platform)
    for (let index = this.#run; index < list.size; index++) {
      const mark = list.mark(index)
      kept.push({ counter: list.counter(index), id: list.id(index) }, mark === PENDING ? TIP : mark)
    }
    this.#list = kept
    this.#needs.clear()
    this.#run = 0
  }

  #giveUp(): void {
    this.#isTooLarge = true
    this.#list = new PositionList(this.#platform)
    this.#needs = new Set()
    this.#snapshots = []
  }
}
