import { compareNamespaces, compareRecords } from '../record/order.ts'
import type {
  Citation,
  JsonObject,
  JsonValue,
  RecordBody,
  RecordId,
  StateEntry,
  VerifiedRecord,
} from '../record/types.ts'
import { nameKey, type NamespaceName } from '../state/content.ts'
import { applyMergePatch, getMember, isJsonObject } from '../state/merge-patch.ts'
import { formatPointer } from '../record/json-pointer.ts'
import { sameJson } from './json.ts'
import { recordText } from './sign-patch.ts'
import type { RecordText } from './types.ts'

/** Places named of one record; a snapshot can change more than anybody reads. */
const MAX_CHANGES = 1_000

/** A place that a record changed. */
export interface ValueChange {
  readonly platform: string
  readonly identity: string
  /** JSON Pointer (RFC 6901) into the content. */
  readonly path: string
  /** Undefined where nothing stood there, or where `isBeforeKnown` is false. */
  readonly before: JsonValue | undefined
  /** Undefined where nothing stands there now. */
  readonly after: JsonValue | undefined
}

/** One record of an avatar, verified, and what it changed. */
export interface HistoryEntry extends Citation, RecordText {
  readonly type: RecordBody['type']
  /** Unix seconds, as claimed by the author. */
  readonly created_at: number
  readonly prev: readonly Citation[]
  /** Of a patch. */
  readonly platform: string | null
  readonly identity: string | null
  /**
   * `stored`: it counts. `pending`: what it builds on is not there. `superseded`: the base stands for it, or it was left out
   * when the base was made.
   */
  readonly status: 'stored' | 'pending' | 'superseded'
  /** In the order in which records apply; at most 1,000. None of what does not count, and of what changed nothing. */
  readonly changes: readonly ValueChange[]
  /** How many there are. */
  readonly changesTotal: number
  /**
   * False where records before this one are no longer held, such as those that a snapshot replaced. Then `changes` are the
   * values that the record sets or removes, and `before` is undefined in all of them, even if a value stood there.
   */
  readonly isBeforeKnown: boolean
}

/** How a record stands, by the state that all of them make. */
export type StatusOf = (record: VerifiedRecord) => HistoryEntry['status']

/**
 * Replays records in the order in which they apply, and tells what each one changed. Superseded records are replayed as they
 * stood before the base, as far as they are still held.
 */
export function replay(records: Iterable<VerifiedRecord>, statusOf: StatusOf, base: Citation | null): HistoryEntry[] {
  const parts = new Map<RecordId, readonly StateEntry[]>()
  const ordered = [...records].sort((a, b) => compareOver(a, b, base))
  for (const { id, body } of ordered) if (body.type === 'part') parts.set(id, body.state)
  const contents = new Map<string, StateEntry>()
  /** Records after which the content is known: no record before them is missing, or a snapshot stands for it. */
  const whole = new Set<RecordId>()
  return ordered.map((record) => {
    const { id, body } = record
    const status = statusOf(record)
    const applies = body.type !== 'part' && status !== 'pending' && !isPassedOver(record, status, base, parts)
    const isRebuilt = status === 'stored' && id !== base?.id
    const isBeforeKnown = body.type === 'part' || isRebuilt || body.prev.every((each) => whole.has(each.id))
    const changes = applies ? applyRecord(contents, body, parts, isBeforeKnown) : []
    if (body.type !== 'part' && (isBeforeKnown || (body.type === 'snapshot' && applies))) whole.add(id)
    return {
      id,
      counter: body.counter,
      ...recordText(record),
      type: body.type,
      created_at: body.created_at,
      prev: body.type === 'part' ? [] : body.prev,
      platform: body.type === 'patch' ? body.platform : null,
      identity: body.type === 'patch' ? body.identity : null,
      status,
      changes: changes.slice(0, MAX_CHANGES),
      changesTotal: changes.length,
      isBeforeKnown,
    }
  })
}

/** The base comes before every patch of its own counter. */
function compareOver(a: VerifiedRecord, b: VerifiedRecord, base: Citation | null): number {
  if (a.body.counter !== b.body.counter || base === null) return compareRecords(a, b)
  const rank = (record: VerifiedRecord): number => (record.id === base.id ? 1 : record.body.type === 'part' ? 0 : 2)
  return rank(a) - rank(b) || compareRecords(a, b)
}

/** A snapshot that never was the base, or whose parts are gone, has nothing to show. */
function isPassedOver(
  { id, body }: VerifiedRecord,
  status: HistoryEntry['status'],
  base: Citation | null,
  parts: ReadonlyMap<RecordId, unknown>,
): boolean {
  if (body.type !== 'snapshot' || id === base?.id) return false
  return status === 'stored' || !body.parts.every((part) => parts.has(part))
}

function applyRecord(
  contents: Map<string, StateEntry>,
  body: Exclude<RecordBody, { type: 'part' }>,
  parts: ReadonlyMap<RecordId, readonly StateEntry[]>,
  isBeforeKnown: boolean,
): ValueChange[] {
  if (body.type === 'patch') {
    const { platform, identity, patch } = body
    const before = contents.get(nameKey(body))?.content ?? {}
    const after = objectOf(applyMergePatch(before, patch))
    contents.set(nameKey(body), { platform, identity, content: after })
    return isBeforeKnown ? changesBetween(body, before, after, patch) : placesOf(body, patch)
  }
  const next = new Map<string, StateEntry>()
  for (const layer of [body.state, ...body.parts.map((part) => parts.get(part) ?? [])]) {
    for (const { platform, identity, content } of layer) {
      const before = next.get(nameKey({ platform, identity }))?.content ?? {}
      const after = objectOf(applyMergePatch(before, content))
      next.set(nameKey({ platform, identity }), { platform, identity, content: after })
    }
  }
  const names = new Map([...contents, ...next])
  const changes = [...names.values()].sort(compareNamespaces).flatMap((name) => {
    const before = isBeforeKnown ? contents.get(nameKey(name))?.content : undefined
    return changesBetween(name, before ?? {}, next.get(nameKey(name))?.content ?? {})
  })
  contents.clear()
  for (const [key, entry] of next) contents.set(key, entry)
  return changes
}

/**
 * The places at which two contents differ, the deepest that tell it.
 *
 * @param within a patch outside of which nothing has changed
 */
export function changesBetween(
  { platform, identity }: NamespaceName,
  before: JsonObject,
  after: JsonObject,
  within?: JsonObject,
): ValueChange[] {
  const changes: ValueChange[] = []
  const visit = (old: JsonObject, now: JsonObject, mask: JsonValue | undefined, path: readonly string[]): void => {
    const keys = isJsonObject(mask) ? Object.keys(mask) : new Set([...Object.keys(old), ...Object.keys(now)])
    for (const key of keys) {
      const [was, is] = [getMember(old, key), getMember(now, key)]
      const inside = [...path, key]
      if (isJsonObject(was) && isJsonObject(is)) {
        visit(was, is, isJsonObject(mask) ? getMember(mask, key) : undefined, inside)
      } else if (was === undefined ? is !== undefined : is === undefined || !sameJson(was, is)) {
        changes.push({ platform, identity, path: formatPointer(inside), before: was, after: is })
      }
    }
  }
  visit(before, after, within, [])
  return changes
}

/** The places that a patch sets or removes, without the values before it. */
function placesOf({ platform, identity }: NamespaceName, patch: JsonObject): ValueChange[] {
  const changes: ValueChange[] = []
  const visit = (inner: JsonObject, path: readonly string[]): void => {
    for (const [key, value] of Object.entries(inner)) {
      const inside = [...path, key]
      if (isJsonObject(value) && Object.keys(value).length > 0) visit(value, inside)
      else {
        const after = value === null ? undefined : value
        changes.push({ platform, identity, path: formatPointer(inside), before: undefined, after })
      }
    }
  }
  visit(patch, [])
  return changes
}

function objectOf(value: JsonValue): JsonObject {
  return isJsonObject(value) ? value : {}
}
