/**
 * What the writing side of a store reads from its database and writes to it. Every kind of database implements both
 * interfaces; entries, batches and quotas are the same for all of them.
 */
import type { Item } from '../negentropy/types.ts'
import type { Avatar, Citation, RecordBody, RecordId, VerifiedRecord } from '../record/types.ts'
import type { Cell } from '../state/cell.ts'
import type { NamespaceName } from '../state/content.ts'
import type { Link } from '../state/links.ts'
import type { HeldRecord } from '../state/state-source.ts'
import type { PendingRecord } from '../state/waiting.ts'
import type { LiveSum } from './counts.ts'
import type { Change, NamespaceRow, SummaryRow } from './rows.ts'

/** Whether a member has a value or was deleted. */
export type MemberPlace = 'live' | 'deleted'

export interface StoredMember {
  readonly cell: Cell
  /** Checksum of the row; the namespace's row has the XOR of all. 0 in a database that checks its rows itself. */
  readonly check: number
}

/** A namespace, or one of its members. A namespace comes before its members. */
export interface ContentRow {
  readonly name: NamespaceName
  readonly member?: StoredMember & { readonly key: string; readonly place: MemberPlace }
}

/** A stored record in the order of (counter, id). */
export interface HistoryEntry extends Citation {
  readonly type: RecordBody['type']
  /** Of payload and signature. */
  readonly bytes: number
}

/** Sums over the records that a new base divides. */
export type Split =
  /** Sums of the superseded records; `items` are set if the commit can remove all of them from the sync index. */
  | { readonly gone: LiveSum; readonly items: readonly Item[] | undefined }
  /** Sums of the remaining live records. */
  | { readonly left: LiveSum }

/**
 * The stored rows of one avatar. The first five reads are synchronous, because the state core asks for rows while it applies
 * a record. A database that cannot answer at once throws, loads what was asked for, and the caller builds the batch again.
 */
export interface AvatarRows {
  held(id: RecordId): HeldRecord | undefined
  /** The body of a held record. */
  body(place: Citation): RecordBody
  namespace(name: NamespaceName): NamespaceRow | undefined
  member(name: NamespaceName, key: string, place: MemberPlace): StoredMember | undefined
  /** The stored links of the avatar that count. */
  links(): Link[]
  /** All namespaces and members. */
  content(): AsyncIterable<ContentRow>
  /** Bytes of a stored record; undefined if it is not stored. */
  bytesOf(place: Citation): Promise<number | undefined>
  /** Records with a counter from `from` (inclusive) to `below` (exclusive), `after` exclusive, in order. */
  history(from: number, below: number, after?: Citation): AsyncIterable<HistoryEntry>
  /**
   * Divides the stored records from counter `from` on at the counter of a new base.
   *
   * @param from counter of the previous base
   * @param atOnce most records that the commit removes from the sync index itself
   */
  split(from: number, base: number, atOnce: number): Promise<Split>
}

/** Collects the changes of rows that one batch makes. */
export interface RowSink {
  /** Number of changes so far. */
  readonly size: number
  putHosted(avatar: Avatar): void
  putSummary(avatar: Avatar, summary: SummaryRow): void
  putTip(avatar: Avatar, place: Citation): void
  dropTip(avatar: Avatar, place: Citation): void
  putPending(avatar: Avatar, pending: PendingRecord): void
  dropPending(avatar: Avatar, place: Citation): void
  putNamespace(avatar: Avatar, name: NamespaceName, row: NamespaceRow, isNew: boolean): void
  /** Drops the namespace's own row. The rows of its members are dropped by themselves. */
  dropNamespace(avatar: Avatar, name: NamespaceName): void
  /** Returns the facts about the row that the namespace's row sums up. */
  putMember(avatar: Avatar, name: NamespaceName, key: string, cell: Cell): { place: MemberPlace; check: number }
  dropMember(avatar: Avatar, name: NamespaceName, key: string, place: MemberPlace): void
  /** Stores the links that are new, and drops those that no longer count. */
  putLinks(avatar: Avatar, before: readonly Link[], after: readonly Link[]): void
  putRecord(record: VerifiedRecord, stored: { sequence: number; bytes: number; isLive: boolean }): void
  /** Removes a record that is no longer live from the sync index. */
  dropLive(item: Item): void
  putChange(change: Change): void
  /**
   * Notes that superseded records of an avatar are still in the sync index.
   *
   * @param counter of the base before the batch
   */
  noteStale(avatar: Avatar, counter: number): void
  /** Notes that an avatar has history to prune. */
  noteGarbage(avatar: Avatar): void
}
