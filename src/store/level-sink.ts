/** Turns the changes of a batch into operations of LevelDB (see `keys.ts`). */
import type { Item } from '../negentropy/types.ts'
import type { Avatar, Citation, VerifiedRecord } from '../record/types.ts'
import type { Cell } from '../state/cell.ts'
import type { NamespaceName } from '../state/content.ts'
import type { Link } from '../state/links.ts'
import type { PendingRecord } from '../state/waiting.ts'
import type { MemberPlace, RowSink } from './avatar-rows.ts'
import type { Change } from './rows.ts'
import { encodeMember } from './cell-codec.ts'
import * as keys from './keys.ts'
import { del, put, putSealed, type Database, type Operations } from './level.ts'
import { pushLinks } from './link-rows.ts'
import { indexed, pushFeed, pushIndexes, pushRecord } from './record-rows.ts'
import * as rows from './rows.ts'
import { seal, sealOf } from './seal.ts'

export class LevelSink implements RowSink {
  readonly operations: Operations
  readonly #db: Database

  /** @param operations takes the operations */
  constructor(db: Database, operations: Operations) {
    this.#db = db
    this.operations = operations
  }

  get size(): number {
    return this.operations.length
  }

  putHosted(avatar: Avatar): void {
    this.operations.push(put(keys.hostedKey(avatar)))
  }

  putSummary(avatar: Avatar, summary: rows.SummaryRow): void {
    this.operations.push(putSealed(keys.summaryKey(avatar), rows.encodeSummary(summary)))
  }

  putTip(avatar: Avatar, place: Citation): void {
    this.operations.push(put(keys.tipKey(avatar, place)))
  }

  dropTip(avatar: Avatar, place: Citation): void {
    this.operations.push(del(keys.tipKey(avatar, place)))
  }

  putPending(avatar: Avatar, pending: PendingRecord): void {
    this.operations.push(putSealed(keys.pendingKey(avatar, pending), rows.encodePendingRecord(pending)))
  }

  dropPending(avatar: Avatar, place: Citation): void {
    this.operations.push(del(keys.pendingKey(avatar, place)))
  }

  putNamespace(avatar: Avatar, name: NamespaceName, row: rows.NamespaceRow, isNew: boolean): void {
    this.operations.push(putSealed(keys.namespaceKey(avatar, name), rows.encodeNamespace(row)))
    if (isNew) this.operations.push(put(keys.identityKey(name, avatar)))
  }

  dropNamespace(avatar: Avatar, name: NamespaceName): void {
    this.operations.push(del(keys.namespaceKey(avatar, name)), del(keys.identityKey(name, avatar)))
  }

  putMember(avatar: Avatar, name: NamespaceName, key: string, cell: Cell): { place: MemberPlace; check: number } {
    const { row, hasValue } = encodeMember(key, cell)
    const at = keys.memberKey(avatar, name, key, !hasValue)
    const sealed = seal(at, row)
    this.operations.push(put(at, sealed))
    return { place: hasValue ? 'live' : 'deleted', check: sealOf(sealed) }
  }

  dropMember(avatar: Avatar, name: NamespaceName, key: string, place: MemberPlace): void {
    this.operations.push(del(keys.memberKey(avatar, name, key, place === 'deleted')))
  }

  putLinks(avatar: Avatar, before: readonly Link[], after: readonly Link[]): void {
    pushLinks(this.operations, avatar, before, after)
  }

  putRecord(record: VerifiedRecord, stored: { sequence: number; bytes: number; isLive: boolean }): void {
    const { sequence, bytes, isLive } = stored
    pushRecord(this.operations, record, sequence)
    pushIndexes(this.operations, indexed(record), sequence, bytes, isLive)
  }

  dropLive({ timestamp, id }: Item): void {
    this.operations.push(del(keys.orderKey(timestamp, keys.idText(id))))
  }

  putChange(change: Change): void {
    pushFeed(this.operations, change)
  }

  noteStale(avatar: Avatar, counter: number): void {
    const key = keys.taskKey('u', avatar)
    // A row of an earlier base stays: its records come first and are still to be removed.
    if (this.#db.getSync(key) !== undefined) return
    this.operations.push(putSealed(key, rows.encodePlace(lastBelow(counter))))
  }

  noteGarbage(avatar: Avatar): void {
    this.operations.push(put(keys.taskKey('g', avatar)))
  }
}

/** The greatest possible position below a counter. */
function lastBelow(counter: number): Citation {
  return { counter: Math.max(0, counter - 1), id: `0x${'ff'.repeat(32)}` }
}
