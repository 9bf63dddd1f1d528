/** Collects the changes of a batch as columns, and sends them in as many statements as there are tables. */
import type { Item } from '../../negentropy/types.ts'
import type { Avatar, Citation, VerifiedRecord } from '../../record/types.ts'
import type { Cell } from '../../state/cell.ts'
import type { NamespaceName } from '../../state/content.ts'
import type { Link } from '../../state/links.ts'
import type { PendingRecord } from '../../state/waiting.ts'
import type { MemberPlace, RowSink } from '../avatar-rows.ts'

import { bytesText, textBytes } from '../bytes.ts'
import { encodeCell } from '../cell-codec.ts'
import type { Change, NamespaceRow, SummaryRow } from '../rows.ts'
import type { Queries } from './database.ts'
import { ofMember } from './loaded-rows.ts'
import type { StatementName } from './statements.ts'
import { summaryValues } from './summary.ts'
import { bytea, citationsJson, keyColumns, kindNumber, typeNumber } from './values.ts'

type Rows = unknown[][]

export class PostgresSink implements RowSink {
  size = 0
  readonly #tips = { put: [] as Rows, drop: [] as Rows }
  readonly #pending = { put: [] as Rows, drop: [] as Rows }
  readonly #namespaces = { put: [] as Rows, drop: [] as Rows }
  readonly #links = { put: [] as Rows, drop: [] as Rows }
  /** By namespace and key: the new row, or null if the row is dropped. Last comes what counts. */
  readonly #members = new Map<
    string,
    { readonly key: unknown[]; readonly row: readonly [string | null, Uint8Array] | null }
  >()
  readonly #summaries = new Map<Avatar, SummaryRow>()
  readonly #stale = new Map<Avatar, number>()
  readonly #records: Rows = []
  readonly #changes: Rows = []
  readonly #stored = new Set<Avatar>()

  putHosted(avatar: Avatar): void {
    this.#stored.add(avatar)
  }

  putSummary(avatar: Avatar, summary: SummaryRow): void {
    this.size += 1
    this.#summaries.set(avatar, summary)
  }

  putTip(avatar: Avatar, { counter, id }: Citation): void {
    this.size += 1
    this.#tips.put.push([bytea(avatar), counter, bytea(id)])
  }

  dropTip(avatar: Avatar, { counter, id }: Citation): void {
    this.size += 1
    this.#tips.drop.push([bytea(avatar), counter, bytea(id)])
  }

  putPending(avatar: Avatar, { counter, id, type, names }: PendingRecord): void {
    this.size += 1
    this.#pending.put.push([bytea(avatar), counter, bytea(id), typeNumber(type), citationsJson(names)])
  }

  dropPending(avatar: Avatar, { counter, id }: Citation): void {
    this.size += 1
    this.#pending.drop.push([bytea(avatar), counter, bytea(id)])
  }

  putNamespace(avatar: Avatar, { platform, identity }: NamespaceName, row: NamespaceRow): void {
    this.size += 1
    const { lastPatch, inBase, live, deleted } = row
    this.#namespaces.put.push([bytea(avatar), platform, identity, lastPatch, inBase, live, deleted])
  }

  dropNamespace(avatar: Avatar, { platform, identity }: NamespaceName): void {
    this.size += 1
    this.#namespaces.drop.push([bytea(avatar), platform, identity])
  }

  putMember(avatar: Avatar, name: NamespaceName, key: string, cell: Cell): { place: MemberPlace; check: number } {
    const { value, stamps } = encodeCell(cell)
    this.#setMember(avatar, name, key, [value, stamps])
    return { place: value === null ? 'deleted' : 'live', check: 0 }
  }

  dropMember(avatar: Avatar, name: NamespaceName, key: string): void {
    // A member has one row, whether it has a value or was deleted: where it moves from one to the other, its row stays.
    if ((this.#members.get(ofMember(avatar, name, key))?.row ?? null) === null) this.#setMember(avatar, name, key, null)
  }

  putLinks(avatar: Avatar, before: readonly Link[], after: readonly Link[]): void {
    const textOf = ({ key, avatar: linked }: Link): string => `${linked}${key}`
    const [had, has] = [new Set(before.map(textOf)), new Set(after.map(textOf))]
    const rowOf = ({ key, avatar: linked }: Link) => [bytea(avatar), bytea(linked), keyColumns(key).sort_key]
    for (const link of before) if (!has.has(textOf(link))) this.#links.drop.push(rowOf(link))
    for (const link of after) if (!had.has(textOf(link))) this.#links.put.push([...rowOf(link), textBytes(link.key)])
  }

  putRecord(
    { id, body, payload, signature }: VerifiedRecord,
    stored: { sequence: number; bytes: number; isLive: boolean },
  ): void {
    this.size += 1
    const { avatar, counter, type, created_at } = body
    const { sequence, bytes, isLive } = stored
    const text = bytesText(payload)
    this.#records.push([
      sequence,
      bytea(avatar),
      counter,
      bytea(id),
      typeNumber(type),
      created_at,
      bytes,
      isLive,
      text,
      signature,
    ])
  }

  dropLive(_item: Item): void {
    throw new Error('Rows are not removed one by one: `split` returns no items.')
  }

  putChange({ sequence, kind, avatar, counter, id }: Change): void {
    // A stored record is its own entry.
    if (kind === 'record') return
    this.#changes.push([sequence, kindNumber(kind), bytea(avatar), counter, bytea(id)])
  }

  noteStale(avatar: Avatar, counter: number): void {
    this.#stale.set(avatar, counter)
  }

  noteGarbage(_avatar: Avatar): void {
    // The counts of the avatar say so.
  }

  /**
   * Sends all changes but the records and the changes of the feed.
   *
   * @param inserted avatars whose rows this transaction has inserted
   */
  async flush(queries: Queries, inserted: readonly Avatar[]): Promise<void> {
    const send = async (name: StatementName, rows: Rows, width: number): Promise<void> => {
      if (rows.length > 0) await queries.rows(name, columns(rows, width))
    }
    const stale: Rows = []
    for (const [avatar, from] of this.#stale) {
      stale.push([bytea(avatar), from, this.#summaries.get(avatar)?.base?.counter ?? 0])
    }
    await send('supersede', stale, 3)
    await send('dropTips', this.#tips.drop, 3)
    await send('putTips', this.#tips.put, 3)
    await send('dropPending', this.#pending.drop, 3)
    await send('putPending', this.#pending.put, 5)
    await send('dropNamespaces', this.#namespaces.drop, 3)
    await send('putNamespaces', this.#namespaces.put, 7)
    await send('dropLinks', this.#links.drop, 3)
    await send('putLinks', this.#links.put, 4)
    const put: Rows = []
    const drop: Rows = []
    for (const { key, row } of this.#members.values()) {
      if (row === null) drop.push(key.slice(0, 4))
      else put.push([...key, ...row])
    }
    await send('dropMembers', drop, 4)
    await send('putMembers', put, 7)
    await send(
      'putSummaries',
      [...this.#summaries].map(([avatar, row]) => summaryValues(avatar, row)),
      17,
    )
    // Rows that were inserted only to be locked.
    const unused = inserted.filter((avatar) => !this.#stored.has(avatar))
    if (unused.length > 0) await queries.rows('dropAvatars', [unused.map(bytea)])
  }

  /** The values of the statement `append` for the records and the feed. */
  appended(): unknown[] {
    return [...columns(this.#records, 10), ...columns(this.#changes, 5)]
  }

  #setMember(avatar: Avatar, name: NamespaceName, key: string, row: readonly [string | null, Uint8Array] | null): void {
    this.size += 1
    const { sort_key, long_key } = keyColumns(key)
    const columnsOfKey = [bytea(avatar), name.platform, name.identity, sort_key, long_key]
    this.#members.set(ofMember(avatar, name, key), { key: columnsOfKey, row })
  }
}

function columns(rows: Rows, width: number): unknown[][] {
  return Array.from({ length: width }, (_, at) => rows.map((row) => row[at]))
}
