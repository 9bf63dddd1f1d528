import type { JsonObject, JsonValue } from '../record/types.ts'

/** Whether a JSON value is an object (not null, not an array). */
export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Sets an own property of any name: plain assignment to `__proto__` would call a setter. */
export function setMember(object: JsonObject, key: string, value: JsonValue): void {
  if (key === '__proto__') {
    Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
  } else {
    object[key] = value
  }
}

/** An own member, or undefined; never an inherited one. */
export function getMember(object: JsonObject, key: string): JsonValue | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined
}

/**
 * Applies a JSON merge patch (RFC 7396, section 2). Neither argument is changed; the result may share parts with both.
 *
 * @param target the document, undefined where there is none
 * @returns the new document
 */
export function applyMergePatch(target: JsonValue | undefined, patch: JsonValue): JsonValue {
  if (!isJsonObject(patch)) return patch
  const result: JsonObject = {}
  if (isJsonObject(target)) {
    for (const key of Object.keys(target)) {
      if (getMember(patch, key) !== null) setMember(result, key, target[key] as JsonValue)
    }
  }
  for (const key of Object.keys(patch)) {
    const value = patch[key] as JsonValue
    if (value !== null) setMember(result, key, applyMergePatch(getMember(result, key), value))
  }
  return result
}

/**
 * A merge patch that turns one value into another: applied to `before`, it gives `after`.
 *
 * @param before undefined where there is none
 * @param after a value as contents have them: no object in it has a member null, except within arrays
 */
export function mergePatchTo(before: JsonValue | undefined, after: JsonValue): JsonValue {
  if (!isJsonObject(before) || !isJsonObject(after)) return after
  const patch: JsonObject = {}
  for (const key of Object.keys(before)) if (!Object.hasOwn(after, key)) setMember(patch, key, null)
  for (const key of Object.keys(after)) {
    const [old, value] = [getMember(before, key), after[key] as JsonValue]
    if (old === undefined || JSON.stringify(old) !== JSON.stringify(value))
      setMember(patch, key, mergePatchTo(old, value))
  }
  return patch
}
