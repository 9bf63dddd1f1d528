/** The rows of one avatar's content: read when the state needs them, written for its changes. */
import { OWN_PLATFORM } from '../record/members.ts'
import type { Avatar } from '../record/types.ts'
import { cellValue, isVoid, type Cell } from '../state/cell.ts'
import { nameKey } from '../state/content.ts'
import type { Content, NamespaceChange, NamespaceMarks, NamespaceName } from '../state/content.ts'
import { LINKS_KEY, linksIn } from '../state/links.ts'
import type { Stamp } from '../state/order.ts'
import { decodeMember, encodeMember } from './cell-codec.ts'
import { cellWeight, textWeight } from './cell-weight.ts'
import { openRow, readRow, walk } from './database.ts'
import { CorruptRowError } from './errors.ts'
import * as keys from './keys.ts'
import { del, put, putSealed, type Database, type Operation } from './level.ts'
import { pushLinks, readLinks } from './link-rows.ts'
import { mustBeUnclaimed } from './reader.ts'
import * as rows from './rows.ts'
import { seal, sealOf } from './seal.ts'

/** Bytes of memory of a namespace, and of a member without its cell (measured). */
const NAMESPACE_BYTES = 270
const MEMBER_BYTES = 130

const NO_MEMBERS: rows.NamespaceRow = { lastPatch: 0, inBase: false, live: 0, deleted: 0, check: 0 }

type StoredMember = 'live' | 'deleted'

/** Facts about the row of a member in memory. */
interface MemberRow {
  readonly place: StoredMember
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
  readonly #db: Database
  readonly #avatar: Avatar
  readonly #namespaceRows = new Map<string, rows.NamespaceRow>()
  readonly #memberRows = new WeakMap<Cell, MemberRow>()
  /** Approximate memory of the members read so far. */
  #memberBytes = 0
  #isPreloaded = false

  constructor(db: Database, avatar: Avatar, stored: { readonly namespaces: number } | undefined) {
    this.#db = db
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
    for (const letter of ['v', 't'] as const) {
      for await (const [key, row] of walk(this.#db, keys.tableRange(letter, this.#avatar))) {
        const kind = keys.kindOfViewKey(key)
        if (kind === 'summary') continue
        const name = keys.namespaceInKey(key)
        const marks = this.marks(name)
        if (marks === undefined)
          throw new CorruptRowError(this.#avatar, 'namespace', 'it is missing, but its members are stored')
        const members: [string, Cell][] = kind === 'member' ? [this.#openMember(key, row, letter)] : []
        content.preload(name, marks, members)
      }
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

  flush({ namespace, members, gone }: NamespaceChange, operations: Operation[]): void {
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
      const written = isVoid(cell) ? undefined : this.#writeMember(namespace, member, cell, operations, stamps)
      count(written, 1)
      if (stored !== undefined && stored.place !== written?.place) {
        operations.push(del(keys.memberKey(this.#avatar, namespace, member, stored.place === 'deleted')))
      }
    }
    if (namespace.platform === OWN_PLATFORM) this.#flushLinks(members, operations)
    const key = keys.namespaceKey(this.#avatar, namespace)
    if (gone) {
      this.#namespaceRows.delete(name)
      if (before === undefined) return
      this.namespaces -= 1
      operations.push(del(key), del(keys.identityKey(namespace, this.#avatar)))
      return
    }
    const { lastPatch, inBase } = namespace
    const row: rows.NamespaceRow = { lastPatch, inBase, live, deleted, check: check >>> 0 }
    this.#namespaceRows.set(name, row)
    operations.push(putSealed(key, rows.encodeNamespace(row)))
    if (before !== undefined) return
    this.namespaces += 1
    operations.push(put(keys.identityKey(namespace, this.#avatar)))
  }

  /** Updates the rows of the avatar's links if its own namespace changed under the key of the links. */
  #flushLinks(members: NamespaceChange['members'], operations: Operation[]): void {
    const changed = members.find(([member]) => member === LINKS_KEY)
    if (changed === undefined) return
    const [, cell] = changed
    if (!this.isNew) this.reads += 1
    const before = this.isNew ? [] : readLinks(this.#db, this.#avatar)
    pushLinks(operations, this.#avatar, before, linksIn(this.#avatar, isVoid(cell) ? undefined : cellValue(cell)))
  }

  #writeMember(
    namespace: NamespaceName,
    member: string,
    cell: Cell,
    operations: Operation[],
    stamps: Set<Stamp>,
  ): MemberRow {
    const { row, hasValue } = encodeMember(member, cell)
    const key = keys.memberKey(this.#avatar, namespace, member, !hasValue)
    const sealed = seal(key, row)
    operations.push(put(key, sealed))
    const written: MemberRow = {
      place: hasValue ? 'live' : 'deleted',
      check: sealOf(sealed),
      weight: memberWeight(member, cell, stamps),
    }
    this.#memberRows.set(cell, written)
    return written
  }

  #namespaceRow(namespace: NamespaceName): rows.NamespaceRow | undefined {
    const name = nameKey(namespace)
    const known = this.#namespaceRows.get(name)
    if (known !== undefined || this.isNew) return known
    const key = keys.namespaceKey(this.#avatar, namespace)
    this.reads += 1
    const row = readRow(this.#db, this.#avatar, 'namespace', key, rows.decodeNamespace)
    if (row === undefined) mustBeUnclaimed(this.#db, this.#avatar, namespace)
    else this.#namespaceRows.set(name, row)
    return row
  }

  #readMember(namespace: NamespaceName, member: string, place: StoredMember): Cell | undefined {
    const key = keys.memberKey(this.#avatar, namespace, member, place === 'deleted')
    this.reads += 1
    const row = this.#db.getSync(key)
    return row === undefined ? undefined : this.#openMember(key, row, place === 'live' ? 'v' : 't')[1]
  }

  #openMember(key: keys.Key, row: Uint8Array, letter: 'v' | 't'): [string, Cell] {
    const { key: member, cell } = openRow(this.#avatar, 'member', key, row, decodeMember)
    const weight = memberWeight(member, cell, new Set())
    this.#memberRows.set(cell, { place: letter === 'v' ? 'live' : 'deleted', check: sealOf(row), weight })
    this.#memberBytes += weight
    return [member, cell]
  }
}

/** Approximate memory of a member in bytes. @param stamps as `counted` of `cellWeight` */
function memberWeight(member: string, cell: Cell, stamps: Set<Stamp>): number {
  return MEMBER_BYTES + textWeight(member) + cellWeight(cell, stamps)
}
