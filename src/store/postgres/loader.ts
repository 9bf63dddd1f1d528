/** Loads the rows that a batch needs: first what its records name, then what the state core asks for. */
import type { Avatar, Citation, RecordBody, RecordId, VerifiedRecord } from '../../record/types.ts'
import type { NamespaceName } from '../../state/content.ts'
import type { PendingRecord } from '../../state/waiting.ts'
import { AvatarEntry, SUMMARY_TIPS } from '../avatar-entry.ts'
import { CorruptRowError } from '../errors.ts'
import type { Queries } from './database.ts'
import {
  LoadedRows,
  namespaceRowOf,
  ofMember,
  ofNamespace,
  PostgresRows,
  type MemberResult,
  type NamespaceResult,
  type Wanted,
} from './loaded-rows.ts'
import { summaryOf, type StoredSummary, type SummaryColumns } from './summary.ts'
import {
  avatarOf,
  bytea,
  citationsOf,
  idOf,
  keyColumns,
  keyOf,
  placeOf,
  typeOf,
  type CitationsColumn,
} from './values.ts'

/** Bodies that are read ahead when one was missing: four times as many at each further round, so that a long chain takes few. */
const FIRST_AHEAD = 16
const AHEAD_FACTOR = 4
/** At most this many records are read ahead: 64 MiB if each is as large as it can be. */
const MAX_AHEAD = 256

interface PlaceColumns {
  readonly avatar: Uint8Array
  readonly counter: number
  readonly id: Uint8Array
}

interface NamedMember {
  readonly avatar: Avatar
  readonly name: NamespaceName
  readonly key: string
}

/** What is stored of the avatars of a batch. Their rows are locked. */
export class BatchLoader {
  readonly #queries: Queries
  readonly #loaded = new LoadedRows()
  readonly #summaries = new Map<Avatar, StoredSummary>()
  readonly #tips = new Map<Avatar, Citation[]>()
  readonly #pending = new Map<Avatar, PendingRecord[]>()
  #rounds = 0

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** Locks the rows of the avatars, in one order for all writers, and loads what the records name. */
  async begin(records: readonly VerifiedRecord[]): Promise<void> {
    const avatars = [...new Set(records.map(({ body }) => body.avatar))].sort().map(bytea)
    await this.#queries.rows('insertAvatars', [avatars])
    await this.#lock(avatars)
    const ids = new Set<RecordId>()
    const members: NamedMember[] = []
    for (const { id, body } of records) {
      ids.add(id)
      for (const named of namedBy(body)) ids.add(named)
      if (this.#summaries.has(body.avatar)) members.push(...membersOf(body))
    }
    for (const pending of this.#pending.values()) {
      for (const { id, names } of pending) {
        ids.add(id)
        for (const name of names) ids.add(name.id)
      }
    }
    await this.#loadHeld([...ids])
    await this.#loadMembers(members)
  }

  /** The avatars that have no stored records yet, though their rows are locked. */
  newAmong(records: readonly VerifiedRecord[]): Avatar[] {
    return [...new Set(records.map(({ body }) => body.avatar))].filter((avatar) => !this.#summaries.has(avatar))
  }

  /** Locks one avatar that is stored. */
  async lockOne(avatar: Avatar): Promise<StoredSummary | undefined> {
    await this.#lock([bytea(avatar)])
    return this.#summaries.get(avatar)
  }

  /** An entry from the loaded rows. Each round of a batch needs a new one. */
  entry(avatar: Avatar): AvatarEntry {
    const rows = new PostgresRows(this.#queries, this.#loaded, avatar)
    const summary = this.#summaries.get(avatar)
    if (summary === undefined) return new AvatarEntry(rows, avatar)
    const pendingRecords = this.#pending.get(avatar) ?? []
    const named = new Map(
      pendingRecords.flatMap(({ names }) =>
        names.flatMap(({ id }) => {
          const held = this.#loaded.held(avatar, id)
          return held === undefined ? [] : [[id, held] as const]
        }),
      ),
    )
    const tips = summary.tipsTotal <= SUMMARY_TIPS ? summary.tips : (this.#tips.get(avatar) ?? [])
    return new AvatarEntry(rows, avatar, { summary, state: { base: summary.base, tips, pendingRecords }, named })
  }

  /** Loads what the state core asked for, and what it will probably ask for next. */
  async load(wanted: Wanted): Promise<void> {
    this.#rounds += 1
    if (wanted.kind === 'held') return this.#loadHeld([wanted.id])
    if (wanted.kind === 'body') return this.#loadBodies(wanted.avatar, wanted.place)
    const { avatar, name } = wanted
    return this.#loadMembers([{ avatar, name, key: wanted.kind === 'member' ? wanted.key : '' }])
  }

  async #lock(avatars: readonly Uint8Array[]): Promise<void> {
    const waiting: Uint8Array[] = []
    const wide: Uint8Array[] = []
    for (const row of await this.#queries.rows<SummaryColumns>('lockAvatars', [avatars])) {
      const summary = summaryOf(row)
      if (summary === undefined) continue
      this.#summaries.set(summary.avatar, summary)
      if (summary.pending + summary.incomplete > 0) waiting.push(row.avatar)
      if (summary.tipsTotal > SUMMARY_TIPS) wide.push(row.avatar)
    }
    if (wide.length > 0) {
      for (const row of await this.#queries.rows<PlaceColumns>('tips', [wide]))
        push(this.#tips, avatarOf(row.avatar), placeOf(row))
    }
    if (waiting.length === 0) return
    type PendingColumns = PlaceColumns & { readonly type: number; readonly names: CitationsColumn }
    for (const row of await this.#queries.rows<PendingColumns>('pending', [waiting])) {
      const type = typeOf(row.type) === 'snapshot' ? 'snapshot' : 'patch'
      push(this.#pending, avatarOf(row.avatar), { ...placeOf(row), type, names: citationsOf(row.names) })
    }
  }

  async #loadHeld(ids: readonly RecordId[]): Promise<void> {
    const wanted = ids.filter((id) => !this.#loaded.records.has(id))
    if (wanted.length === 0) return
    type HeldColumns = { id: Uint8Array; avatar: Uint8Array; counter: number; type: number }
    const found = await this.#queries.rows<HeldColumns>('held', [wanted.map(bytea)])
    for (const id of wanted) this.#loaded.records.set(id, null)
    for (const { id, avatar, counter, type } of found) {
      this.#loaded.records.set(idOf(id), { avatar: avatarOf(avatar), counter, type: typeOf(type) })
    }
  }

  /**
   * Loads a body, further pending patches from there on, and live records before it: a gap that closes shows one pending patch
   * after the other, and a snapshot that supersedes records unseen walks back from record to record.
   */
  async #loadBodies(avatar: Avatar, { counter, id }: Citation): Promise<void> {
    const ahead = Math.min(MAX_AHEAD, FIRST_AHEAD * AHEAD_FACTOR ** (this.#rounds - 1))
    type BodyColumns = { id: Uint8Array; payload: string }
    const values = [bytea(avatar), counter, bytea(id), ahead]
    const own = await this.#queries.rows<BodyColumns>('bodies', [[bytea(id)]])
    if (own.length === 0) throw new CorruptRowError(avatar, 'record', `${id} is missing`)
    const pending = await this.#queries.rows<BodyColumns>('bodiesPending', values)
    const before = await this.#queries.rows<BodyColumns>('bodiesBefore', values)
    const ids = new Set<RecordId>()
    const members: NamedMember[] = []
    for (const row of [...own, ...pending, ...before]) {
      this.#loaded.bodies.set(idOf(row.id), row.payload)
      const body = JSON.parse(row.payload) as RecordBody
      for (const named of namedBy(body)) ids.add(named)
      if (body.type === 'patch') members.push(...membersOf(body))
      if (body.type === 'snapshot') await this.#loadParts(body.parts)
    }
    await this.#loadHeld([...ids])
    await this.#loadMembers(members)
  }

  async #loadParts(parts: readonly RecordId[]): Promise<void> {
    if (parts.length === 0) return
    for (const row of await this.#queries.rows<{ id: Uint8Array; payload: string }>('bodies', [parts.map(bytea)])) {
      this.#loaded.bodies.set(idOf(row.id), row.payload)
    }
  }

  async #loadMembers(wanted: readonly NamedMember[]): Promise<void> {
    const names = new Map<string, NamedMember>()
    const members = new Map<string, NamedMember>()
    for (const each of wanted) {
      const { avatar, name, key } = each
      if (!this.#loaded.hasNamespace(avatar, name)) names.set(ofNamespace(avatar, name), each)
      if (!this.#loaded.hasMember(avatar, name, key)) members.set(ofMember(avatar, name, key), each)
    }
    const columns = (each: Iterable<NamedMember>) => {
      const all = [...each]
      return [
        all.map(({ avatar }) => bytea(avatar)),
        all.map(({ name }) => name.platform),
        all.map(({ name }) => name.identity),
      ]
    }
    if (names.size > 0) {
      const found = await this.#queries.rows<NamespaceResult>('namespacesNamed', columns(names.values()))
      for (const { avatar, name } of names.values()) this.#loaded.putNamespace(avatar, name, null)
      for (const row of found) this.#loaded.putNamespace(avatarOf(row.avatar), row, namespaceRowOf(row))
    }
    if (members.size === 0) return
    const sortKeys = [...members.values()].map(({ key }) => keyColumns(key).sort_key)
    const found = await this.#queries.rows<MemberResult>('membersNamed', [...columns(members.values()), sortKeys])
    for (const { avatar, name, key } of members.values()) this.#loaded.putMember(avatar, name, key, null)
    for (const row of found) this.#loaded.putMember(avatarOf(row.avatar), row, keyOf(row), row)
  }
}

/** The ids that a record names. */
function namedBy(body: RecordBody): readonly RecordId[] {
  if (body.type === 'patch') return body.prev.map(({ id }) => id)
  return body.type === 'snapshot' ? [...body.parts, ...body.prev.map(({ id }) => id)] : []
}

/** The members that a patch writes. A snapshot needs all content, which is read when it becomes the base. */
function membersOf(body: RecordBody): NamedMember[] {
  if (body.type !== 'patch') return []
  const { avatar, platform, identity, patch } = body
  const name = { platform, identity }
  const keys = Object.keys(patch)
  return (keys.length === 0 ? [''] : keys).map((key) => ({ avatar, name, key }))
}

function push<T>(map: Map<Avatar, T[]>, avatar: Avatar, value: T): void {
  const list = map.get(avatar)
  if (list === undefined) map.set(avatar, [value])
  else list.push(value)
}
