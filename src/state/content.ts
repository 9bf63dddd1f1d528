/**
 * The content of one avatar: the members of each namespace by top-level key, because each app writes under a key of its own.
 * Writing costs what the patch touches; other members are not even read.
 */
import type { JsonObject, JsonValue, PatchBody, StateEntry } from '../record/types.ts'
import { cutCell, emptyCell, isVoid, writeCell, type Cell } from './cell.ts'
import { applyMergePatch, isJsonObject } from './merge-patch.ts'
import type { Stamp } from './order.ts'

export interface NamespaceName {
  readonly platform: string
  readonly identity: string
}

/** What is known of a namespace besides its members. */
export interface NamespaceMarks {
  /** Greatest counter of a visible patch that wrote here; 0 without one. */
  lastPatch: number
  /** Whether the base names it. */
  inBase: boolean
}

/** Reads an avatar's stored content. The caller owns what it returns. */
export interface ContentSource {
  marks(namespace: NamespaceName): NamespaceMarks | undefined
  member(namespace: NamespaceName, key: string): Cell | undefined
}

export interface Namespace extends NamespaceName, NamespaceMarks {
  /** The members read or written so far. A void member is not stored. */
  readonly members: Map<string, Cell>
}

/** What changed in one namespace since the last `takeChanges`. */
export interface NamespaceChange {
  readonly namespace: Namespace
  /** The members that were written. The row of a void member must be deleted. */
  readonly members: readonly (readonly [key: string, cell: Cell])[]
  /** Whether the namespace no longer exists. */
  readonly gone: boolean
}

/** The key of a namespace in a map. */
export const nameKey = (name: NamespaceName): string => `${name.platform}\n${name.identity}`

export class Content {
  readonly #source: ContentSource
  readonly #namespaces = new Map<string, Namespace>()
  /** Undefined between commits, so that a cached avatar takes less memory. */
  #changed: Map<string, { namespace: Namespace; keys: Set<string> }> | undefined

  constructor(source: ContentSource) {
    this.#source = source
  }

  /** Namespaces read so far; all of them once everything was preloaded. */
  namespaces(): Iterable<Namespace> {
    return this.#namespaces.values()
  }

  /** Adds a stored namespace or member, so that the source need not read it. */
  preload(name: NamespaceName, marks: NamespaceMarks, members: Iterable<[string, Cell]>): void {
    const namespace = this.#namespace(name, marks)
    for (const [key, cell] of members) if (!namespace.members.has(key)) namespace.members.set(key, cell)
  }

  /** Applies one visible patch; in any order (see `cell.ts`). */
  applyPatch(body: PatchBody, stamp: Stamp): void {
    const namespace = this.#namespace(body)
    namespace.lastPatch = Math.max(namespace.lastPatch, body.counter)
    this.#write(namespace, body.patch, stamp)
  }

  /**
   * Applies a new base: removes every write earlier than the base, then writes the base's content under what remains.
   * Everything stored must have been preloaded.
   *
   * @param layers the snapshot's own `state`, then its parts', in order
   */
  applyBase(stamp: Stamp, layers: Iterable<readonly StateEntry[]>): void {
    const base = foldLayers(layers)
    for (const namespace of this.#namespaces.values()) {
      const keys = this.#touch(namespace)
      namespace.inBase = base.has(nameKey(namespace))
      if (namespace.lastPatch < stamp.counter) namespace.lastPatch = 0
      for (const [key, cell] of namespace.members) {
        cutCell(cell, stamp)
        keys.add(key)
      }
    }
    for (const { name, content } of base.values()) {
      const namespace = this.#namespace(name)
      namespace.inBase = true
      this.#write(namespace, content, stamp)
    }
  }

  takeChanges(): NamespaceChange[] {
    const changes: NamespaceChange[] = []
    for (const [name, { namespace, keys }] of this.#changed ?? []) {
      const gone = !namespace.inBase && namespace.lastPatch === 0
      const members = [...keys].map((key) => [key, namespace.members.get(key) as Cell] as const)
      for (const [key, cell] of members) if (isVoid(cell)) namespace.members.delete(key)
      if (gone) this.#namespaces.delete(name)
      changes.push({ namespace, members, gone })
    }
    this.#changed = undefined
    return changes
  }

  #namespace(name: NamespaceName, stored?: NamespaceMarks): Namespace {
    let namespace = this.#namespaces.get(nameKey(name))
    if (namespace === undefined) {
      const marks = stored ?? this.#source.marks(name) ?? { lastPatch: 0, inBase: false }
      namespace = { platform: name.platform, identity: name.identity, ...marks, members: new Map() }
      this.#namespaces.set(nameKey(name), namespace)
    }
    return namespace
  }

  #write(namespace: Namespace, content: JsonObject, stamp: Stamp): void {
    const keys = this.#touch(namespace)
    for (const key of Object.keys(content)) {
      let cell = namespace.members.get(key)
      if (cell === undefined) {
        cell = this.#source.member(namespace, key) ?? emptyCell()
        namespace.members.set(key, cell)
      }
      writeCell(cell, content[key] as JsonValue, stamp)
      keys.add(key)
    }
  }

  #touch(namespace: Namespace): Set<string> {
    const name = nameKey(namespace)
    this.#changed ??= new Map()
    let changed = this.#changed.get(name)
    if (changed === undefined) {
      changed = { namespace, keys: new Set() }
      this.#changed.set(name, changed)
    }
    return changed.keys
  }
}

function foldLayers(
  layers: Iterable<readonly StateEntry[]>,
): Map<string, { name: NamespaceName; content: JsonObject }> {
  const folded = new Map<string, { name: NamespaceName; content: JsonObject }>()
  for (const layer of layers) {
    for (const entry of layer) {
      const before = folded.get(nameKey(entry))?.content ?? {}
      const content = applyMergePatch(before, entry.content)
      folded.set(nameKey(entry), { name: entry, content: isJsonObject(content) ? content : {} })
    }
  }
  return folded
}
