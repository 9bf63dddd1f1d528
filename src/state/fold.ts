import { compareUtf8 } from '../record/order.ts'
import type { Avatar, Citation, JsonObject, RecordBody, RecordId } from '../record/types.ts'
import { AvatarState } from './avatar-state.ts'
import { type HeldRecord, type RecordToAdd, type StateSource } from './state-source.ts'
import { cellValue } from './cell.ts'
import type { NamespaceName } from './content.ts'
import { setMember } from './merge-patch.ts'
import { avatarDigest } from './digest.ts'

/** The state that a set of records makes for one avatar (docs/protocol.md, "From records to state"). */
export interface Fold {
  readonly head: number
  /** All tips in order of (counter, id). */
  readonly tips: readonly Citation[]
  readonly base: Citation | null
  /** 64 hex digits. */
  readonly digest: string
  /** Number of pending patches. */
  readonly pending: number
  /** All ids that are named and not held, in order. */
  readonly missing: readonly RecordId[]
  /** Records that are not superseded. */
  readonly live: number
  /** Sorted as in a snapshot's `state`. */
  readonly namespaces: readonly { platform: string; identity: string; content: JsonObject }[]
}

/** Orders namespaces by the unsigned UTF-8 bytes of platform, then identity. */
function compareNamespaces(a: NamespaceName, b: NamespaceName): number {
  return compareUtf8(a.platform, b.platform) || compareUtf8(a.identity, b.identity)
}

/**
 * Folds a set of records of one avatar, given in any order and with repetitions, into the state that it makes.
 *
 * @param records genuine records of `avatar`: verify them first
 */
export function foldRecords(avatar: Avatar, records: Iterable<RecordToAdd>): Fold {
  const source = new MemorySource()
  const state = new AvatarState(avatar, source)
  for (const record of records) {
    if (state.mayBeHeld(record) && source.held(record.id) !== undefined) continue
    source.hold(record)
    if (state.judge(record.body) !== 'superseded') state.add(record)
  }
  const namespaces = [...state.content.namespaces()]
    .filter((namespace) => namespace.inBase || namespace.lastPatch > 0)
    .sort(compareNamespaces)
    .map(({ platform, identity, members }) => {
      const content: JsonObject = {}
      for (const [key, cell] of members) {
        const value = cellValue(cell)
        if (value !== undefined) setMember(content, key, value)
      }
      return { platform, identity, content }
    })
  return {
    head: state.head,
    tips: state.tips,
    base: state.base,
    digest: avatarDigest(state.base, state.tips),
    pending: state.pending,
    missing: [...state.missing()].sort(),
    live: source.countFrom(state.base?.counter ?? 0),
    namespaces,
  }
}

/** Holds records in memory. */
class MemorySource implements StateSource {
  readonly #records = new Map<RecordId, RecordBody>()

  hold(record: RecordToAdd): void {
    this.#records.set(record.id, record.body)
  }

  countFrom(counter: number): number {
    let count = 0
    for (const body of this.#records.values()) if (body.counter >= counter) count += 1
    return count
  }

  held(id: RecordId): HeldRecord | undefined {
    return this.#records.get(id)
  }

  body(place: Citation): RecordBody {
    const body = this.#records.get(place.id)
    if (body === undefined) throw new Error(`Record ${place.id} is not held.`)
    return body
  }

  marks(): undefined {
    return undefined
  }

  member(): undefined {
    return undefined
  }
}
