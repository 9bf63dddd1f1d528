/**
 * Divides contents into states that each fit into one part. The states are disjoint, and each is merged by RFC 7396 into the
 * content so far. So an object can be divided anywhere; an array, a text or a number cannot.
 */
import type { JsonObject, JsonValue, StateEntry } from '../record/types.ts'
import { isJsonObject, setMember } from '../state/merge-patch.ts'
import { textBytes } from './measure.ts'
import type { Measure, Size } from './measure.ts'

/** An object up to this share of a part moves to the next part as a whole instead of being divided. */
const WHOLE_SHARE = 1 / 4

/** Size of an entry of `state` without its content's members. */
export function entryOverhead({ identity, platform }: Omit<StateEntry, 'content'>): Size {
  const names = textBytes(identity) + textBytes(platform)
  return { bytes: '{"content":{},"identity":,"platform":}'.length + names, members: 1 + 3 }
}

/** Size of all namespaces in one `state`, without the brackets of `state`. */
export function stateSize(namespaces: readonly StateEntry[], measure: Measure): Size {
  let bytes = Math.max(0, namespaces.length - 1)
  let members = 0
  for (const namespace of namespaces) {
    const overhead = entryOverhead(namespace)
    const content = measure.of(namespace.content)
    bytes += overhead.bytes + content.bytes - 2
    members += overhead.members + content.members
  }
  return { bytes, members }
}

/**
 * Divides contents into states, filled one after the other in the order of `namespaces`.
 *
 * @param namespaces contents without faults (`contentFaults`), no namespace twice
 * @param room space for `state` in a part
 * @returns undefined if more than `maxStates` states are needed
 */
export function splitState(
  namespaces: readonly StateEntry[],
  room: Size,
  measure: Measure,
  maxStates: number,
): StateEntry[][] | undefined {
  const filler = new StateFiller(room, measure, maxStates)
  for (const namespace of namespaces) {
    filler.open(namespace)
    const { content } = namespace
    const keys = Object.keys(content)
    if (keys.length === 0) filler.placeEmpty()
    for (const key of keys) {
      filler.place([], key, content[key] as JsonValue)
      if (filler.isOver) return undefined
    }
  }
  return filler.isOver ? undefined : filler.states
}

interface Container {
  readonly object: JsonObject
  members: number
}

class StateFiller {
  readonly states: StateEntry[][] = []
  readonly #room: Size
  readonly #measure: Measure
  readonly #maxStates: number
  #bytes = 0
  #members = 0
  #namespace: Omit<StateEntry, 'content'> = { identity: '', platform: '' }
  /** In the current state: the namespace's content, and the objects on the path to the last member added. */
  #open: Container[] = []

  constructor(room: Size, measure: Measure, maxStates: number) {
    this.#room = room
    this.#measure = measure
    this.#maxStates = maxStates
  }

  get isOver(): boolean {
    return this.states.length > this.#maxStates
  }

  open({ identity, platform }: StateEntry): void {
    this.#namespace = { identity, platform }
    this.#open = []
  }

  placeEmpty(): void {
    const cost = this.#costOfPath([])
    if (!this.#fits(cost)) this.#next()
    this.#take(this.#costOfPath([]))
    this.#openPath([])
  }

  /** Adds a member of the object at `path` to the current state, to the next one, or divided to several. */
  place(path: readonly string[], key: string, value: JsonValue): void {
    if (this.isOver) return undefined
    // Objects beside the path are complete.
    this.#open.length = Math.min(this.#open.length, path.length + 1)
    const size = this.#measure.of(value)
    if (this.#fits(this.#cost(path, key, size))) return this.#put(path, key, value, size)
    const divisible = isJsonObject(value) && size.members > 0
    if (!divisible || this.#isSmall(size)) {
      this.#next()
      if (!divisible || this.#fits(this.#cost(path, key, size))) return this.#put(path, key, value, size)
    }
    const inside = [...path, key]
    for (const each of Object.keys(value)) this.place(inside, each, value[each] as JsonValue)
    return undefined
  }

  #isSmall({ bytes, members }: Size): boolean {
    return bytes <= this.#room.bytes * WHOLE_SHARE && members <= this.#room.members * WHOLE_SHARE
  }

  #put(path: readonly string[], key: string, value: JsonValue, size: Size): void {
    this.#take(this.#cost(path, key, size))
    const container = this.#openPath(path)
    setMember(container.object, key, value)
    container.members += 1
  }

  #cost(path: readonly string[], key: string, size: Size): Size {
    const way = this.#costOfPath(path)
    const comma = (this.#open[path.length]?.members ?? 0) > 0 ? 1 : 0
    return {
      bytes: way.bytes + comma + this.#measure.ofKey(key) + 1 + size.bytes,
      members: way.members + 1 + size.members,
    }
  }

  /** Size of the parts of the namespace's entry and of the path that the current state does not have yet. */
  #costOfPath(path: readonly string[]): Size {
    let bytes = 0
    let members = 0
    if (this.#open.length === 0) {
      const overhead = entryOverhead(this.#namespace)
      bytes += overhead.bytes + ((this.states.at(-1)?.length ?? 0) > 0 ? 1 : 0)
      members += overhead.members
    }
    for (let at = Math.max(1, this.#open.length); at <= path.length; at++) {
      const comma = (this.#open[at - 1]?.members ?? 0) > 0 ? 1 : 0
      bytes += comma + this.#measure.ofKey(path[at - 1] ?? '') + ':{}'.length
      members += 1
    }
    return { bytes, members }
  }

  #openPath(path: readonly string[]): Container {
    let container = this.#open[0]
    if (container === undefined) {
      const content: JsonObject = {}
      if (this.states.length === 0) this.states.push([])
      this.states.at(-1)?.push({ content, ...this.#namespace })
      container = { object: content, members: 0 }
      this.#open = [container]
    }
    for (const [index, key] of path.entries()) {
      let next = this.#open[index + 1]
      if (next === undefined) {
        next = { object: {}, members: 0 }
        setMember(container.object, key, next.object)
        container.members += 1
        this.#open.push(next)
      }
      container = next
    }
    return container
  }

  #fits({ bytes, members }: Size): boolean {
    return this.#bytes + bytes <= this.#room.bytes && this.#members + members <= this.#room.members
  }

  #take({ bytes, members }: Size): void {
    this.#bytes += bytes
    this.#members += members
  }

  #next(): void {
    if (this.states.at(-1)?.length === 0 || this.states.length === 0) return
    this.states.push([])
    this.#open = []
    this.#bytes = 0
    this.#members = 0
  }
}
