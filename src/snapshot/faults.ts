/**
 * Finds the values that a snapshot cannot express, before anything is signed, so that a user sees all faults at once.
 */
import { formatPointer } from '../record/json-pointer.ts'
import { MAX_CONTENT_DEPTH } from '../record/limits.ts'
import type { JsonObject, JsonValue } from '../record/types.ts'
import { isJsonObject, setMember } from '../state/merge-patch.ts'
import type { SnapshotErrorCode } from './errors.ts'
import { Measure, textBytes, type Size } from './measure.ts'

export interface ContentFault {
  readonly code: Extract<SnapshotErrorCode, 'value_too_large' | 'null_member' | 'too_deep' | 'not_json'>
  /** Keys that lead to the value; empty for the content itself. */
  readonly path: readonly string[]
}

/** With the flag `u` a pair is one character, so only lone surrogates match. */
const LONE_SURROGATE = /\p{Surrogate}/u

const KEY_SHOWN_CHARACTERS = 40
const KEYS_SHOWN = 12

/** Most faults in one result. Bounds the memory for a stranger's content; after removing these, a caller asks again. */
export const MAX_FAULTS = 10_000

/**
 * Returns the values of a content that no snapshot can express, up to 10,000; empty if there are none.
 *
 * @param room space for the members of one namespace's content in a part of its own
 */
export function contentFaults(content: JsonObject, room: Size, measure: Measure = new Measure()): ContentFault[] {
  const faults: ContentFault[] = []
  const path: string[] = []
  const report = (code: ContentFault['code']): void => void faults.push({ code, path: [...path] })

  /** @param used space that the keys on the path take */
  const visit = (object: JsonObject, used: Size): void => {
    for (const key of Object.keys(object)) {
      if (faults.length >= MAX_FAULTS) return
      const value = object[key] as JsonValue
      path.push(key)
      const bytes = used.bytes + textBytes(key) + 1
      const members = used.members + 1
      const code = LONE_SURROGATE.test(key) ? 'not_json' : faultOf(value, path.length + 1)
      if (code !== undefined) report(code)
      else if (isJsonObject(value) && Object.keys(value).length > 0) visit(value, { bytes: bytes + 2, members })
      else {
        const size = measure.of(value)
        if (bytes + size.bytes > room.bytes || members + size.members > room.members) report('value_too_large')
      }
      path.pop()
    }
  }
  visit(content, { bytes: 0, members: 0 })
  return faults
}

/**
 * The fault of a value. Members of an object are checked by the caller, except inside of arrays.
 *
 * @param depth nesting level of the value, if it is an object or an array
 */
function faultOf(value: JsonValue, depth: number): ContentFault['code'] | undefined {
  if (value === null) return 'null_member'
  if (isJsonObject(value)) return depth > MAX_CONTENT_DEPTH ? 'too_deep' : undefined
  return elementFault(value, depth)
}

function elementFault(value: JsonValue, depth: number): ContentFault['code'] | undefined {
  if (typeof value === 'string') return LONE_SURROGATE.test(value) ? 'not_json' : undefined
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : 'not_json'
  if (value === null || typeof value === 'boolean') return undefined
  if (typeof value !== 'object') return 'not_json'
  if (depth > MAX_CONTENT_DEPTH) return 'too_deep'
  if (!Array.isArray(value) && Object.keys(value).some((key) => LONE_SURROGATE.test(key))) return 'not_json'
  for (const each of Object.values(value) as JsonValue[]) {
    const fault = elementFault(each, depth + 1)
    if (fault !== undefined) return fault
  }
  return undefined
}

/** A copy of a content without the values at these paths. Values without a fault are shared. */
export function withoutFaults(content: JsonObject, faults: readonly Pick<ContentFault, 'path'>[]): JsonObject {
  const below = new Map<string, Pick<ContentFault, 'path'>[]>()
  for (const { path } of faults) {
    const [key, ...rest] = path
    if (key !== undefined) below.set(key, [...(below.get(key) ?? []), { path: rest }])
  }
  const copy: JsonObject = {}
  for (const key of Object.keys(content)) {
    const value = content[key] as JsonValue
    const inside = below.get(key)
    if (inside === undefined) setMember(copy, key, value)
    else if (isJsonObject(value) && inside.every(({ path }) => path.length > 0)) {
      setMember(copy, key, withoutFaults(value, inside))
    }
  }
  return copy
}

/** A path as a JSON Pointer (RFC 6901). Long keys and long paths are shortened. */
export function pathText(path: readonly string[]): string {
  const shown = path
    .slice(0, KEYS_SHOWN)
    .map((key) => (key.length > KEY_SHOWN_CHARACTERS ? `${key.slice(0, KEY_SHOWN_CHARACTERS)}…` : key))
  return formatPointer(shown) + (path.length > KEYS_SHOWN ? '/…' : '')
}

/** Explains a fault. Each text completes a sentence that begins with the path of the value. */
export const FAULT_TEXTS: Readonly<Record<ContentFault['code'], string>> = {
  value_too_large:
    'is one value that does not fit into a record: divide the array or text into several members of an object',
  null_member: 'is null, which no content can hold: leave it out',
  too_deep: `nests deeper than ${MAX_CONTENT_DEPTH} levels: flatten it`,
  not_json: 'has half a surrogate pair, or is a number outside the range of a double, or no JSON value at all',
}
