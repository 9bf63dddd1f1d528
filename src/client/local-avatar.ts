/**
 * One avatar's verified records in memory, and the state that they make, kept up to date record by record.
 *
 * Guarantee: this code verified every record in here. Records that a base supersedes are dropped, so memory grows with the
 * live records, not with history. The state is that of all records added: superseded records have no effect on it, not
 * even on what is missing.
 */
import { citationOf, compareNamespaces } from '../record/order.ts'
import type { Avatar, Citation, JsonObject, JsonValue, RecordBody, RecordId, VerifiedRecord } from '../record/types.ts'
import type { PartBody, SnapshotBody, StateEntry } from '../record/types.ts'
import { AvatarState } from '../state/avatar-state.ts'
import { type HeldRecord, type RecordStatus, type StateSource } from '../state/state-source.ts'
import { cellValue, type Cell } from '../state/cell.ts'
import { nameKey, type NamespaceName } from '../state/content.ts'
import { avatarDigest } from '../state/digest.ts'
import { setMember } from '../state/merge-patch.ts'
import type { CachedAvatar, VerifiedAvatar } from './types.ts'

/** What the records say at one moment. */
export type LocalState = Omit<VerifiedAvatar, 'avatar' | 'network' | 'state' | 'nodes' | 'problems'>

interface LocalNamespace extends NamespaceName {
  readonly members: Map<string, Cell>
  /** Frozen values by key, without those deleted. */
  readonly values: Map<string, JsonValue>
  content: JsonObject
}

export class LocalAvatar implements CachedAvatar {
  readonly avatar: Avatar
  readonly network: string
  /** How far each node's records were read. */
  readonly cursors = new Map<string, string>()
  readonly #held = new Map<RecordId, VerifiedRecord>()
  readonly #state: AvatarState
  readonly #namespaces = new Map<string, LocalNamespace>()
  readonly #listeners = new Set<(record: VerifiedRecord) => void>()
  #unsaved: VerifiedRecord[] = []
  /** Of payloads and signatures. */
  bytes = 0

  constructor(avatar: Avatar, network: string) {
    this.avatar = avatar
    this.network = network
    this.#state = new AvatarState(avatar, sourceOf(this.#held))
  }

  /** Live records. */
  get records(): Iterable<VerifiedRecord> {
    return this.#held.values()
  }

  get size(): number {
    return this.#held.size
  }

  get base(): Citation | null {
    return this.#state.base
  }

  get tips(): readonly Citation[] {
    return this.#state.tips
  }

  get head(): number {
    return this.#state.head
  }

  get digest(): string {
    return avatarDigest(this.#state.base, this.#state.tips)
  }

  get(id: RecordId): VerifiedRecord | undefined {
    return this.#held.get(id)
  }

  standing(record: VerifiedRecord): RecordStatus {
    return this.#state.status(citationOf(record), record.body.type)
  }

  /** Takes in a record; false where it was held already, or has no effect any more. */
  add(record: VerifiedRecord): boolean {
    if (this.#held.has(record.id) || record.body.avatar !== this.avatar) return false
    if (this.#state.judge(record.body) === 'superseded') return false
    this.#held.set(record.id, record)
    this.bytes += record.payload.length + record.signature.length
    const before = this.#state.base
    this.#state.add(record)
    if (this.#state.base !== before) this.#letGo()
    this.#unsaved.push(record)
    for (const listener of this.#listeners) listener(record)
    return true
  }

  /** Hands the records that were added since the last time to `save`; again the next time where that fails. */
  async save(save: (added: readonly VerifiedRecord[]) => Promise<void>): Promise<void> {
    const added = this.#unsaved.splice(0)
    try {
      await save(added)
    } catch (error) {
      this.#unsaved.unshift(...added)
      throw error
    }
  }

  /** For a state that is not saved, or whose records are saved already. */
  forgetUnsaved(): void {
    this.#unsaved = []
  }

  /** Calls back with every record that is added from now on; the returned function ends it. */
  onAdded(listener: (record: VerifiedRecord) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** The cell of a member, with the stamps that tell who wrote what. */
  cell(name: NamespaceName, key: string): Cell | undefined {
    this.#refresh()
    return this.#namespaces.get(nameKey(name))?.members.get(key)
  }

  /** The content of a namespace, frozen; undefined where it does not exist. */
  content(name: NamespaceName): JsonObject | undefined {
    this.#refresh()
    return this.#namespaces.get(nameKey(name))?.content
  }

  /** The base's own state and its parts' with the record that each is in, the last to apply first. */
  *layers(): Iterable<{ readonly record: VerifiedRecord; readonly state: readonly StateEntry[] }> {
    const base = this.#state.base === null ? undefined : this.#held.get(this.#state.base.id)
    if (base?.body.type !== 'snapshot') return
    for (const id of base.body.parts.toReversed()) {
      const part = this.#held.get(id)
      if (part !== undefined) yield { record: part, state: (part.body as PartBody).state }
    }
    yield { record: base, state: (base.body as SnapshotBody).state }
  }

  snapshot(): LocalState {
    this.#refresh()
    return {
      head: this.#state.head,
      tips: Object.freeze([...this.#state.tips]),
      base: this.#state.base,
      digest: this.digest,
      pending: this.#state.waiting.patches,
      missing: Object.freeze([...this.#state.missing()].sort()),
      namespaces: Object.freeze(
        [...this.#namespaces.values()]
          .sort(compareNamespaces)
          .map(({ platform, identity, content }) => Object.freeze({ content, identity, platform })),
      ),
      records: this.#held.size,
    }
  }

  #letGo(): void {
    const counter = this.#state.base?.counter ?? 0
    for (const [id, { body, payload, signature }] of this.#held) {
      if (body.counter >= counter) continue
      this.#held.delete(id)
      this.bytes -= payload.length + signature.length
    }
  }

  /** Makes the values of what changed, and only of that. */
  #refresh(): void {
    for (const { namespace, members, gone } of this.#state.content.takeChanges()) {
      const name = nameKey(namespace)
      if (gone) {
        this.#namespaces.delete(name)
        continue
      }
      const { platform, identity } = namespace
      const known = this.#namespaces.get(name)
      // A namespace that went and came back has other members.
      const values = known?.members === namespace.members ? known.values : new Map<string, JsonValue>()
      for (const [key, cell] of members) {
        const value = cellValue(cell)
        if (value === undefined) values.delete(key)
        else values.set(key, deepFreeze(value))
      }
      const content: JsonObject = {}
      for (const [key, value] of values) setMember(content, key, value)
      this.#namespaces.set(name, { platform, identity, members: namespace.members, values, content: freeze(content) })
    }
  }
}

function sourceOf(held: ReadonlyMap<RecordId, VerifiedRecord>): StateSource {
  return {
    held(id): HeldRecord | undefined {
      const body = held.get(id)?.body
      return body && { counter: body.counter, type: body.type }
    },
    body({ id }): RecordBody {
      const record = held.get(id)
      if (record === undefined) throw new Error(`Record ${id} is not held.`)
      return record.body
    },
    marks: () => undefined,
    member: () => undefined,
  }
}

function freeze<T extends object>(value: T): T {
  return Object.freeze(value)
}

/** What callers get is shared with what is kept here: a change of theirs must not become a change of the state. */
function deepFreeze(value: JsonValue): JsonValue {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    for (const each of Object.values(value)) deepFreeze(each)
    Object.freeze(value)
  }
  return value
}
