import { compareNamespaces } from '../record/order.ts'
import type { Avatar, Citation, JsonObject, RecordBody, RecordId } from '../record/types.ts'
import { AvatarState } from './avatar-state.ts'
import type { RecordToAdd } from './state-source.ts'
import { cellValue } from './cell.ts'
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

/**
 * Folds a set of records of one avatar, given in any order and with repetitions, into the state that it makes.
 *
 * @param records genuine records of `avatar`: verify them first
 */
export function foldRecords(avatar: Avatar, records: Iterable<RecordToAdd>): Fold {
  const bodies = new Map<RecordId, RecordBody>()
  const state = new AvatarState(avatar, {
    held: (id) => bodies.get(id),
    body(place) {
      const body = bodies.get(place.id)
      if (body === undefined) throw new Error(`Record ${place.id} is not held.`)
      return body
    },
    marks: () => undefined,
    member: () => undefined,
  })
  for (const record of records) {
    if (state.mayBeHeld(record) && bodies.has(record.id)) continue
    bodies.set(record.id, record.body)
    if (state.judge(record.body) !== 'superseded') state.add(record)
  }
  const liveFrom = state.base?.counter ?? 0
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
    pending: state.waiting.patches,
    missing: [...state.missing()].sort(),
    live: [...bodies.values()].filter(({ counter }) => counter >= liveFrom).length,
    namespaces,
  }
}
