/**
 * Measures the size of JSON values against a record's limits without serialising whole contents: RFC 8785 differs from
 * `JSON.stringify` only in the order of members, so sizes add up.
 */
import { utf8Length } from '../record/order.ts'
import type { JsonObject, JsonValue } from '../record/types.ts'
import { isJsonObject } from '../state/merge-patch.ts'

/** UTF-8 bytes of the canonical form, and the number of object members and array elements at every level. */
export interface Size {
  readonly bytes: number
  readonly members: number
}

/** Measuring a shorter key is faster than looking it up. */
const LONG_KEY_CHARACTERS = 256

/** Bytes of a text as JSON, quotes included. */
export function textBytes(text: string): number {
  return utf8Length(JSON.stringify(text))
}

/** Measures values and caches the sizes of objects, because callers measure a content again level by level. */
export class Measure {
  readonly #objects = new Map<JsonObject, Size>()
  readonly #keys = new Map<string, number>()

  /** `textBytes` of a key, which a divided object repeats in each part. */
  ofKey(key: string): number {
    if (key.length < LONG_KEY_CHARACTERS) return textBytes(key)
    const bytes = this.#keys.get(key) ?? textBytes(key)
    this.#keys.set(key, bytes)
    return bytes
  }

  /** @param value JSON, nested no deeper than a content may be */
  of(value: JsonValue): Size {
    if (!isJsonObject(value)) return Array.isArray(value) ? sizeOfArray(value) : scalar(value)
    let size = this.#objects.get(value)
    if (size === undefined) {
      size = sizeOfObject(value, (each) => this.of(each))
      this.#objects.set(value, size)
    }
    return size
  }
}

function scalar(value: string | number | boolean | null): Size {
  return { bytes: typeof value === 'string' ? textBytes(value) : String(value).length, members: 0 }
}

function sizeOfObject(value: JsonObject, sizeOf: (value: JsonValue) => Size): Size {
  const keys = Object.keys(value)
  // Two braces, a colon for each member, a comma between two.
  let bytes = 2 + keys.length + Math.max(0, keys.length - 1)
  let members = keys.length
  for (const key of keys) {
    const size = sizeOf(value[key] as JsonValue)
    bytes += textBytes(key) + size.bytes
    members += size.members
  }
  return { bytes, members }
}

/** Sizes inside of arrays are not cached: arrays are never divided. */
function sizeOfArray(value: readonly JsonValue[]): Size {
  let bytes = 2 + Math.max(0, value.length - 1)
  let members = value.length
  for (const each of value) {
    const size = isJsonObject(each) ? sizeOfObject(each, inside) : inside(each)
    bytes += size.bytes
    members += size.members
  }
  return { bytes, members }
}

function inside(value: JsonValue): Size {
  if (Array.isArray(value)) return sizeOfArray(value)
  return isJsonObject(value) ? sizeOfObject(value, inside) : scalar(value)
}
