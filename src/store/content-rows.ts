/** The rows of one avatar's content: read when the state needs them, written for its changes. */
import { OWN_PLATFORM } from '../record/members.ts'
import type { Avatar } from '../record/types.ts'
import { cellValue, isVoid, type Cell } from '../state/cell.ts'
import { nameKey } from '../state/content.ts'
import type { Content, NamespaceChange, NamespaceMarks, NamespaceName } from '../state/content.ts'
import { LINKS_KEY, linksIn } from '../state/links.ts'
import type { Stamp } from '../state/order.ts'
import type { AvatarRows, MemberPlace, RowSink, StoredMember } from './avatar-rows.ts'
import { cellWeight, textWeight } from './cell-weight.ts'
import { CorruptRowError } from './errors.ts'
import type { NamespaceRow } from './rows.ts'

/** Bytes of memory of a namespace, and of a member without its cell (measured). */
const NAMESPACE_BYTES = 270
const MEMBER_BYTES = 130

const NO_MEMBERS: NamespaceRow = { lastPatch: 0, inBase: false, live: 0, deleted: 0, check: 0 }

/** Facts about the row of a member in memory. */
interface MemberRow {
  readonly place: MemberPlace
  readonly check: number
  /** Bytes of memory. */
  readonly weight: number
}

export class ContentRows {
  /** Number of stored namespaces. */
  namespaces: number
  /** Number of rows looked up, each on the main thread. */
  reads = 0
  /** True until the first rows are written: there is nothing to read. */
  isNew: boolean
  readonly #rows: AvatarRows
  readonly #avatar: Avatar
  readonly #namespaceRows = new Map<string, NamespaceRow>()
  readonly #memberRows = new WeakMap<Cell, MemberRow>()
  /** Approximate memory of the members read so far. */
  #memberBytes = 0
  #isPreloaded = false

  constructor(rows: AvatarRows, avatar: Avatar, stored: { readonly namespaces: number } | undefined) {
    this.#rows = rows
    this.#avatar = avatar
    this.isNew = stored === undefined
    this.namespaces = stored?.namespaces ?? 0
  }

  /** Approximate memory of the content in bytes. */
  get weight(): number {
    return this.#namespaceRows.size * NAMESPACE_BYTES + this.#memberBytes
  }

  /** Reads all content. A new base needs it. */
  async preload(content: Content): Promise<void> {
    if (this.#isPreloaded || this.isNew) return
    for await (const { name, member } of this.#rows.content()) {
      const marks = this.marks(name)
      if (marks === undefined)
        throw new CorruptRowError(this.#avatar, 'namespace', 'it is missing, but its members are stored')
      content.preload(name, marks, member === undefined ? [] : [[member.key, this.#note(member.key, member)]])
    }
    this.#isPreloaded = true
  }

  marks(namespace: NamespaceName): NamespaceMarks | undefined {
    const row = this.#namespaceRow(namespace)
    return row === undefined ? undefined : { lastPatch: row.lastPatch, inBase: row.inBase }
  }

  member(namespace: NamespaceName, member: string): Cell | undefined {
    const stored = this.#namespaceRow(namespace)
    if (stored === undefined) return undefined
    const live = stored.live > 0 ? this.#readMember(namespace, member, 'live') : undefined
    return live ?? (stored.deleted > 0 ? this.#readMember(namespace, member, 'deleted') : undefined)
  }

  flush({ namespace, members, gone }: NamespaceChange, sink: RowSink): void {
    const name = nameKey(namespace)
    const before = this.#namespaceRow(namespace)
    let { live, deleted, check } = before ?? NO_MEMBERS
    const count = (row: MemberRow | undefined, times: 1 | -1): void => {
      if (row === undefined) return
      this.#memberBytes += times * row.weight
      if (row.place === 'deleted') deleted += times
      else live += times
      if (row.place === 'live') check ^= row.check
    }
    const stamps = new Set<Stamp>()
    for (const [member, cell] of members) {
      const stored = this.#memberRows.get(cell)
      count(stored, -1)
      const written = isVoid(cell) ? undefined : this.#writeMember(namespace, member, cell, sink, stamps)
      count(written, 1)
      if (stored !== undefined && stored.place !== written?.place) {
        sink.dropMember(this.#avatar, namespace, member, stored.place)
      }
    }
    if (namespace.platform === OWN_PLATFORM) this.#flushLinks(members, sink)
    if (gone) {
      this.#namespaceRows.delete(name)
      if (before === undefined) return
      this.namespaces -= 1
      sink.dropNamespace(this.#avatar, namespace)
      return
    }
    const { lastPatch, inBase } = namespace
    const row: NamespaceRow = { lastPatch, inBase, live, deleted, check: check >>> 0 }
    this.#namespaceRows.set(name, row)
    sink.putNamespace(this.#avatar, namespace, row, before === undefined)
    if (before === undefined) this.namespaces += 1
  }

  /** Updates the rows of the avatar's links if its own namespace changed under the key of the links. */
  #flushLinks(members: NamespaceChange['members'], sink: RowSink): void {
    const changed = members.find(([member]) => member === LINKS_KEY)
    if (changed === undefined) return
    const [, cell] = changed
    if (!this.isNew) this.reads += 1
    const before = this.isNew ? [] : this.#rows.links()
    sink.putLinks(this.#avatar, before, linksIn(this.#avatar, isVoid(cell) ? undefined : cellValue(cell)))
  }

  #writeMember(namespace: NamespaceName, member: string, cell: Cell, sink: RowSink, stamps: Set<Stamp>): MemberRow {
    const { place, check } = sink.putMember(this.#avatar, namespace, member, cell)
    // Not a copy by spread: V8 gives that more memory.
    const written: MemberRow = { place, check, weight: memberWeight(member, cell, stamps) }
    this.#memberRows.set(cell, written)
    return written
  }

  #namespaceRow(namespace: NamespaceName): NamespaceRow | undefined {
    const name = nameKey(namespace)
    const known = this.#namespaceRows.get(name)
    if (known !== undefined || this.isNew) return known
    this.reads += 1
    const row = this.#rows.namespace(namespace)
    if (row !== undefined) this.#namespaceRows.set(name, row)
    return row
  }

  #readMember(namespace: NamespaceName, key: string, place: MemberPlace): Cell | undefined {
    this.reads += 1
    const stored = this.#rows.member(namespace, key, place)
    return stored && this.#note(key, { ...stored, place })
  }

  /** Notes the facts about a member's row and returns its cell. */
  #note(key: string, { cell, check, place }: StoredMember & { readonly place: MemberPlace }): Cell {
    const weight = memberWeight(key, cell, new Set())
    this.#memberRows.set(cell, { place, check, weight })
    this.#memberBytes += weight
    return cell
  }
}

/** Approximate memory of a member in bytes. @param stamps as `counted` of `cellWeight` */
function memberWeight(member: string, cell: Cell, stamps: Set<Stamp>): number {
  return MEMBER_BYTES + textWeight(member) + cellWeight(cell, stamps)
}
