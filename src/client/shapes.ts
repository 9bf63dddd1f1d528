/** What is expected of JSON that somebody else wrote. */
import type { Citation, JsonObject, JsonValue } from '../record/types.ts'

/** Reads a value. @param name the member, for the message. @throws TypeError if the value has another shape */
export type Shape<T> = (value: JsonValue | undefined, name?: string) => T

/** Stands in messages for the answer as a whole. */
const ANSWER = 'the answer'

export function object(value: JsonValue | undefined, name = ANSWER): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(name, 'an object')
  return value
}

export function text(value: JsonValue | undefined, name = ANSWER): string {
  if (typeof value !== 'string') throw wrong(name, 'a text')
  return value
}

export function count(value: JsonValue | undefined, name = ANSWER): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw wrong(name, 'a whole number')
  return value
}

export function flag(value: JsonValue | undefined, name = ANSWER): boolean {
  if (typeof value !== 'boolean') throw wrong(name, 'true or false')
  return value
}

/** `0x` and so many lower-case hex digits. */
function hex(digits: number): Shape<`0x${string}`> {
  return (value, name = ANSWER) => {
    if (typeof value !== 'string' || value.length !== digits + 2 || !/^0x[0-9a-f]+$/.test(value)) {
      throw wrong(name, `0x and ${digits} hex digits`)
    }
    return value as `0x${string}`
  }
}

export const avatarHex = hex(66)
export const idHex = hex(64)

export function oneOf<T extends string>(...all: readonly T[]): Shape<T> {
  return (value, name = ANSWER) => {
    const found = all.find((each) => each === value)
    if (found === undefined) throw wrong(name, `one of ${all.join(', ')}`)
    return found
  }
}

export function list<T>(item: Shape<T>): Shape<T[]> {
  return (value, name = ANSWER) => {
    if (!Array.isArray(value)) throw wrong(name, 'a list')
    return value.map((each) => item(each, name))
  }
}

/** Null where there is none. */
export function optional<T>(shape: Shape<T>): Shape<T | null> {
  return (value, name) => (value === undefined || value === null ? null : shape(value, name))
}

type Fields<S> = { readonly [K in keyof S]: S[K] extends Shape<infer T> ? T : never }

/** An object with these members; others are left out. */
export function fields<S extends Readonly<Record<string, Shape<unknown>>>>(shapes: S): Shape<Fields<S>> {
  const all = Object.entries(shapes)
  return (value, name = ANSWER) => {
    const given = object(value, name)
    const read = (key: string, shape: Shape<unknown>) => shape(given[key], name === ANSWER ? key : `${name}.${key}`)
    return Object.fromEntries(all.map(([key, shape]) => [key, read(key, shape)])) as Fields<S>
  }
}

/** The same, and all other members as they are. */
export function openFields<S extends Readonly<Record<string, Shape<unknown>>>>(
  shapes: S,
): Shape<Fields<S> & JsonObject> {
  const known = fields(shapes)
  return (value, name) => ({ ...object(value, name), ...known(value, name) })
}

export const citation: Shape<Citation> = fields({ counter: count, id: idHex })

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
