/**
 * The rows that a transaction has loaded. The state core reads them without waiting; where a row is not loaded, the read throws
 * `RowsNeeded`, the caller loads it, and builds the batch again.
 */
import { OWN_PLATFORM } from '../../record/members.ts'
import type { Avatar, Citation, RecordBody, RecordId } from '../../record/types.ts'
import { cellValue } from '../../state/cell.ts'
import type { NamespaceName } from '../../state/content.ts'
import { LINKS_KEY, linksIn, type Link } from '../../state/links.ts'
import type { HeldRecord } from '../../state/state-source.ts'
import type { AvatarRows, ContentRow, HistoryEntry, MemberPlace, Split, StoredMember } from '../avatar-rows.ts'
import { fromHex } from '../bytes.ts'
import { decodeCell } from '../cell-codec.ts'
import { LiveSum } from '../counts.ts'
import { CorruptRowError } from '../errors.ts'
import type { NamespaceRow } from '../rows.ts'
import type { Queries } from './database.ts'
import { bytea, keyOf, placeOf, typeOf, type KeyColumns } from './values.ts'

/** Rows of one page of an avatar's members or records. */
const PAGE_ROWS = 1_000

/** A row that the state core asked for. */
export type Wanted =
  | { readonly kind: 'held'; readonly id: RecordId }
  | { readonly kind: 'body'; readonly avatar: Avatar; readonly place: Citation }
  | { readonly kind: 'namespace'; readonly avatar: Avatar; readonly name: NamespaceName }
  | { readonly kind: 'member'; readonly avatar: Avatar; readonly name: NamespaceName; readonly key: string }

export class RowsNeeded extends Error {
  readonly wanted: Wanted

  constructor(wanted: Wanted) {
    super(`A row is not loaded: ${wanted.kind}.`)
    this.wanted = wanted
  }
}

/** A member as it is stored. It is decoded at each read, because the state core changes what it gets. */
interface MemberColumns {
  readonly value: string | null
  readonly stamps: Uint8Array
}

interface NamespaceColumns extends NamespaceName {
  readonly avatar: Uint8Array
  readonly last_patch: number
  readonly in_base: boolean
  readonly live: number
  readonly deleted: number
}

/** The keys of maps. Names never contain U+0000. */
export const ofNamespace = (avatar: Avatar, { platform, identity }: NamespaceName): string =>
  `${avatar}\0${platform}\0${identity}`
export const ofMember = (avatar: Avatar, name: NamespaceName, key: string): string =>
  `${ofNamespace(avatar, name)}\0${key}`

/** All that one transaction has loaded. Null: it was looked for, and there is no such row. */
export class LoadedRows {
  readonly records = new Map<RecordId, (HeldRecord & { readonly avatar: Avatar }) | null>()
  readonly bodies = new Map<RecordId, string>()
  readonly #namespaces = new Map<string, NamespaceRow | null>()
  readonly #members = new Map<string, MemberColumns | null>()

  held(avatar: Avatar, id: RecordId): HeldRecord | undefined {
    const known = this.records.get(id)
    if (known === undefined) throw new RowsNeeded({ kind: 'held', id })
    return known?.avatar === avatar ? known : undefined
  }

  body(avatar: Avatar, place: Citation): RecordBody {
    const payload = this.bodies.get(place.id)
    if (payload === undefined) throw new RowsNeeded({ kind: 'body', avatar, place })
    return JSON.parse(payload) as RecordBody
  }

  namespace(avatar: Avatar, name: NamespaceName): NamespaceRow | undefined {
    const row = this.#namespaces.get(ofNamespace(avatar, name))
    if (row === undefined) throw new RowsNeeded({ kind: 'namespace', avatar, name })
    return row ?? undefined
  }

  member(avatar: Avatar, name: NamespaceName, key: string, place: MemberPlace): StoredMember | undefined {
    const row = this.#members.get(ofMember(avatar, name, key))
    if (row === undefined) throw new RowsNeeded({ kind: 'member', avatar, name, key })
    if (row === null || (row.value === null) !== (place === 'deleted')) return undefined
    return { cell: decodeCell(row), check: 0 }
  }

  hasNamespace(avatar: Avatar, name: NamespaceName): boolean {
    return this.#namespaces.has(ofNamespace(avatar, name))
  }

  hasMember(avatar: Avatar, name: NamespaceName, key: string): boolean {
    return this.#members.has(ofMember(avatar, name, key))
  }

  putNamespace(avatar: Avatar, name: NamespaceName, row: NamespaceRow | null): void {
    this.#namespaces.set(ofNamespace(avatar, name), row)
  }

  putMember(avatar: Avatar, name: NamespaceName, key: string, row: MemberColumns | null): void {
    this.#members.set(ofMember(avatar, name, key), row)
  }
}

export function namespaceRowOf({ last_patch, in_base, live, deleted }: NamespaceColumns): NamespaceRow {
  return { lastPatch: last_patch, inBase: in_base, live, deleted, check: 0 }
}

export type NamespaceResult = NamespaceColumns
export type MemberResult = NamespaceName & KeyColumns & MemberColumns & { readonly avatar: Uint8Array }

interface EntryColumns {
  readonly counter: number
  readonly id: Uint8Array
  readonly type: number
  readonly bytes: number
}

const NO_ID = Buffer.alloc(0)

/** The rows of one avatar whose row this transaction has locked. */
export class PostgresRows implements AvatarRows {
  readonly #queries: Queries
  readonly #loaded: LoadedRows
  readonly #avatar: Avatar

  constructor(queries: Queries, loaded: LoadedRows, avatar: Avatar) {
    this.#queries = queries
    this.#loaded = loaded
    this.#avatar = avatar
  }

  held(id: RecordId): HeldRecord | undefined {
    return this.#loaded.held(this.#avatar, id)
  }

  body(place: Citation): RecordBody {
    return this.#loaded.body(this.#avatar, place)
  }

  namespace(name: NamespaceName): NamespaceRow | undefined {
    return this.#loaded.namespace(this.#avatar, name)
  }

  member(name: NamespaceName, key: string, place: MemberPlace): StoredMember | undefined {
    return this.#loaded.member(this.#avatar, name, key, place)
  }

  links(): Link[] {
    const name = { platform: OWN_PLATFORM, identity: this.#avatar }
    const cell = this.#loaded.member(this.#avatar, name, LINKS_KEY, 'live')?.cell
    return linksIn(this.#avatar, cell && cellValue(cell))
  }

  async *content(): AsyncGenerator<ContentRow> {
    const avatar = bytea(this.#avatar)
    for (const row of await this.#queries.rows<NamespaceColumns>('namespacesOf', [avatar])) {
      const name = { platform: row.platform, identity: row.identity }
      this.#loaded.putNamespace(this.#avatar, name, namespaceRowOf(row))
      yield { name }
    }
    let after: unknown[] = ['', '', NO_ID]
    for (;;) {
      const page = await this.#queries.rows<MemberResult>('membersOf', [avatar, ...after, PAGE_ROWS])
      for (const row of page) {
        const name = { platform: row.platform, identity: row.identity }
        const place = row.value === null ? 'deleted' : 'live'
        yield { name, member: { key: keyOf(row), place, cell: decodeCell(row), check: 0 } }
      }
      const last = page.at(-1)
      if (last === undefined || page.length < PAGE_ROWS) return
      after = [last.platform, last.identity, last.sort_key]
    }
  }

  async bytesOf({ counter, id }: Citation): Promise<number | undefined> {
    const [row] = await this.#queries.rows<{ bytes: number }>('bytesOf', [bytea(this.#avatar), counter, bytea(id)])
    return row?.bytes
  }

  async *history(from: number, below: number, after?: Citation): AsyncGenerator<HistoryEntry> {
    let [counter, id] = after === undefined ? [from, NO_ID] : [after.counter, bytea(after.id)]
    for (;;) {
      const values = [bytea(this.#avatar), counter, id, below, PAGE_ROWS]
      const page = await this.#queries.rows<EntryColumns>('entries', values)
      for (const row of page) yield { ...placeOf(row), type: typeOf(row.type), bytes: row.bytes }
      const last = page.at(-1)
      if (last === undefined || page.length < PAGE_ROWS) return
      ;[counter, id] = [last.counter, Buffer.from(last.id)]
    }
  }

  /** Reads the ids of the smaller side of the base. */
  async split(from: number, base: number): Promise<Split> {
    const [sides] = await this.#queries.rows<{ gone: number; remain: number }>('sides', [
      bytea(this.#avatar),
      from,
      base,
    ])
    if (sides === undefined) throw new CorruptRowError(this.#avatar, 'record', 'the records cannot be counted')
    const isGone = sides.gone <= sides.remain
    const sum = new LiveSum()
    const entries = isGone ? this.history(from, base) : this.history(base, Number.MAX_SAFE_INTEGER + 1)
    for await (const { id, bytes } of entries) sum.add(fromHex(id), bytes)
    return isGone ? { gone: sum, items: undefined } : { left: sum }
  }
}
