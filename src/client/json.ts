/** JSON of an app, and the patch that turns one content into another. */
import { MAX_CONTENT_DEPTH } from '../record/limits.ts'
import type { JsonObject, JsonValue, StateEntry } from '../record/types.ts'
import { nameKey } from '../state/content.ts'
import { isJsonObject, setMember } from '../state/merge-patch.ts'
import { formatPointer } from '../record/json-pointer.ts'
import { ClientError } from './errors.ts'

/**
 * A copy of a JSON object, so that what is signed later is what the app gave.
 *
 * @param absent what a member that is undefined means: nothing, or a mistake
 * @throws ClientError `invalid_change`, naming the place
 */
export function copyObject(value: unknown, absent: 'dropped' | 'refused'): JsonObject {
  const path: string[] = []
  const refuse = (why: string): ClientError => {
    const at = formatPointer(path)
    const where = at === '' ? 'What should be written' : at.slice(0, 200)
    return new ClientError('invalid_change', `${where} ${why}.`, { path: at })
  }

  function copy(each: unknown): JsonValue {
    if (each === null || typeof each === 'string' || typeof each === 'boolean') return each
    if (typeof each === 'number') {
      if (!Number.isFinite(each)) throw refuse(`is ${each}, which JSON has not: write it as a text`)
      return each
    }
    if (typeof each !== 'object') throw refuse(`is ${typeof each}, which is no JSON`)
    if (path.length >= MAX_CONTENT_DEPTH) throw refuse(`nests deeper than ${MAX_CONTENT_DEPTH} levels, or in itself`)
    if (Array.isArray(each)) return Array.from(each, (item: unknown, index) => inside(String(index), item))
    const prototype: unknown = Object.getPrototypeOf(each)
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
      throw refuse('is an object of a class: use plain objects and arrays')
    }
    const result: JsonObject = {}
    for (const [key, item] of Object.entries(each)) {
      if (item === undefined && absent === 'dropped') continue
      setMember(result, key, inside(key, item))
    }
    return result
  }

  function inside(key: string, item: unknown): JsonValue {
    path.push(key)
    const result = item === undefined ? undefined : copy(item)
    if (result === undefined) throw refuse('is undefined: null deletes a member, and a content leaves it out')
    path.pop()
    return result
  }

  const result = copy(value)
  if (!isJsonObject(result)) throw refuse('is not an object')
  return result
}

/**
 * The merge patch (RFC 7396) that turns one content into another: members that differ, null for those that go; arrays are
 * replaced as a whole.
 *
 * @returns undefined where there is nothing to change
 * @throws ClientError `invalid_change` where the result has a null member, which no content can: arrays alone hold nulls
 */
export function mergePatchOf(before: JsonObject, after: JsonObject): JsonObject | undefined {
  return objectPatch(before, after, [])
}

function objectPatch(before: JsonObject, after: JsonObject, path: readonly string[]): JsonObject | undefined {
  const patch: JsonObject = {}
  for (const key of Object.keys(before)) if (!Object.hasOwn(after, key)) setMember(patch, key, null)
  for (const key of Object.keys(after)) {
    const value = after[key] as JsonValue
    const inside = [...path, key]
    const old = Object.hasOwn(before, key) ? before[key] : undefined
    if (isJsonObject(value)) {
      // What stands there and is no object is replaced by an empty one, and this is laid over it.
      const change = objectPatch(isJsonObject(old) ? old : {}, value, inside)
      if (change !== undefined || !isJsonObject(old)) setMember(patch, key, change ?? {})
    } else if (value === null) {
      const at = formatPointer(inside)
      throw new ClientError(
        'invalid_change',
        `${at.slice(0, 200)} is null, which no content can hold: leave the member out.`,
        {
          path: at,
        },
      )
    } else if (old === undefined || !sameJson(old, value)) setMember(patch, key, value)
  }
  return Object.keys(patch).length > 0 ? patch : undefined
}

/** Whether two JSON values are the same, whatever the order of members. */
export function sameJson(a: JsonValue, b: JsonValue): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((each, at) => sameJson(each, b[at] as JsonValue))
  }
  if (Array.isArray(b)) return false
  const keys = Object.keys(a)
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && sameJson(a[key] as JsonValue, b[key] as JsonValue))
  )
}

/** Returns the first namespace in which two sets of contents differ, in any order; undefined if they are equal. */
export function differingNamespace(own: readonly StateEntry[], other: readonly StateEntry[]): StateEntry | undefined {
  const others = new Map(other.map((each) => [nameKey(each), each]))
  for (const each of own) {
    const counterpart = others.get(nameKey(each))
    if (counterpart === undefined || !sameJson(each.content, counterpart.content)) return each
    others.delete(nameKey(each))
  }
  const [more] = others.values()
  return more
}
