/** What is expected of members in JSON that somebody else wrote. Every message names the member. */
import type { Citation, JsonObject, JsonValue } from '../record/types.ts'

/** @throws TypeError where it is none, as all of these */
export function object(value: JsonValue | undefined, name: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(name, 'an object')
  return value
}

export function list<T>(value: JsonValue | undefined, name: string, item: (value: JsonValue) => T): T[] {
  if (!Array.isArray(value)) throw wrong(name, 'a list')
  return value.map(item)
}

export function text(value: JsonValue | undefined, name: string): string {
  if (typeof value !== 'string') throw wrong(name, 'a text')
  return value
}

export function count(value: JsonValue | undefined, name: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw wrong(name, 'a whole number')
  return value
}

export function flag(value: JsonValue | undefined, name: string): boolean {
  if (typeof value !== 'boolean') throw wrong(name, 'true or false')
  return value
}

export function hex(value: JsonValue | undefined, name: string, digits: number): `0x${string}` {
  if (typeof value !== 'string' || value.length !== digits + 2 || !/^0x[0-9a-f]+$/.test(value)) {
    throw wrong(name, `0x and ${digits} hex digits`)
  }
  return value as `0x${string}`
}

export function citation(value: JsonValue | undefined, name: string): Citation {
  const { counter, id } = object(value, name)
  return { counter: count(counter, `${name}.counter`), id: hex(id, `${name}.id`, 64) }
}

/** Null where there is none. */
export function optional<T>(value: JsonValue | undefined, parse: (value: JsonValue) => T): T | null {
  return value === undefined || value === null ? null : parse(value)
}

/** Depth of objects and lists in a JSON text, found without recursion: those who walk what it is parsed to may recurse. */
export function nestingOf(json: string): number {
  let depth = 0
  let deepest = 0
  for (let at = 0; at < json.length; at++) {
    const unit = json.charCodeAt(at)
    if (unit === 0x22) {
      for (at++; at < json.length && json.charCodeAt(at) !== 0x22; at++) if (json.charCodeAt(at) === 0x5c) at++
    } else if (unit === 0x7b || unit === 0x5b) deepest = Math.max(deepest, ++depth)
    else if (unit === 0x7d || unit === 0x5d) depth--
  }
  return deepest
}

function wrong(name: string, expected: string): TypeError {
  return new TypeError(`${name} is not ${expected}`)
}
