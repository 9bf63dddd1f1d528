/**
 * Reads JSON text without losing anything (docs/protocol.md, "Exact numbers"): a number that a double would change, and a
 * key that an object has twice, are errors that name their place.
 *
 * Payloads do not need this: text that is its own canonical form (RFC 8785) has neither.
 */
import { formatPointer } from './json-pointer.ts'
import { CLOSE_BRACE, CLOSE_BRACKET, COMMA, endOfString, OPEN_BRACE, OPEN_BRACKET, QUOTE } from './bounds.ts'
import { JsonTextError } from './errors.ts'
import { isExactNumber } from './exact-number.ts'
import type { JsonValue } from './types.ts'

export interface JsonLimits {
  /** Arrays and objects inside each other. */
  readonly depth: number
  /** Arrays, objects and commas together: an upper bound on values, up to one a container. */
  readonly tokens: number
}

/** Something that `JSON.parse` would lose. */
export interface JsonLoss {
  readonly code: 'inexact_number' | 'duplicate_key'
  /** Keys and array indices that lead to the number, or to the duplicate key. */
  readonly path: readonly string[]
  /** The number as written in the text; or the key. */
  readonly token: string
}

/** Far above any payload. The depth protects code that recurses from overflowing the stack. */
const NO_LIMITS: JsonLimits = { depth: 1_000, tokens: Infinity }
/** Numbers up to this length without an exponent are exact; most are, and need no copy of their text. */
const SHORT_NUMBER = 15
const SHOWN_CHARACTERS = 100

const PLUS = 0x2b
const MINUS = 0x2d
const DOT = 0x2e
const ZERO = 0x30
const NINE = 0x39
const COLON = 0x3a

/**
 * The value of a JSON text. Limits are checked before anything is parsed: 16 MiB of `[` or of `{},` would become hundreds
 * of megabytes of objects.
 *
 * @throws JsonTextError `too_complex`, `invalid_json`, `inexact_number`, `duplicate_key`
 */
export function parseExactJson(text: string, limits: JsonLimits = NO_LIMITS): JsonValue {
  const members = scan(text, limits)
  let value: JsonValue
  try {
    value = JSON.parse(text) as JsonValue
  } catch (error) {
    throw new JsonTextError('invalid_json', error instanceof Error ? error.message : '')
  }
  // A key that stands twice leaves fewer members in the value than in the text.
  if (members === membersOf(value)) return value
  for (const loss of lossesOf(text)) throw new JsonTextError(loss.code, lossText(loss))
  return value
}

/**
 * Everything in a text that `JSON.parse` would lose, in order.
 *
 * @param text JSON that `JSON.parse` takes, nested at most a few thousand levels
 */
export function* lossesOf(text: string): Generator<JsonLoss> {
  /** Of each open container: the key or index of its member now, and the keys of an object so far. */
  const open: { at: string; index: number; readonly keys: Set<string> | undefined }[] = []
  const path = (): string[] => open.map(({ at }) => at)
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    const inside = open.at(-1)
    if (unit === QUOTE) {
      const end = endOfString(text, at)
      if (inside?.keys !== undefined && isKey(text, end)) {
        inside.at = JSON.parse(text.slice(at, end + 1)) as string
        if (inside.keys.has(inside.at)) yield { code: 'duplicate_key', path: path(), token: inside.at }
        inside.keys.add(inside.at)
      }
      at = end
    } else if (unit === OPEN_BRACE) open.push({ at: '', index: 0, keys: new Set() })
    else if (unit === OPEN_BRACKET) open.push({ at: '0', index: 0, keys: undefined })
    else if (unit === CLOSE_BRACE || unit === CLOSE_BRACKET) open.pop()
    else if (unit === COMMA) {
      if (inside !== undefined && inside.keys === undefined) inside.at = String(++inside.index)
    } else if (unit === MINUS || isDigit(unit)) {
      const token = text.slice(at, endOfNumber(text, at))
      if (!isExactNumber(token)) yield { code: 'inexact_number', path: path(), token }
      at += token.length - 1
    }
  }
}

/** Tells people what would be lost, where, and what to do. */
export function lossText({ code, path, token }: JsonLoss): string {
  const where = briefly(formatPointer(path)) || 'the top'
  if (code === 'duplicate_key')
    return `The key ${briefly(JSON.stringify(token))} stands twice, at ${where}. Remove one.`
  const double = Number(token)
  const becomes = Number.isFinite(double) ? `would become ${double}` : 'is greater than any'
  return (
    `The number ${briefly(token)} at ${where} ${becomes}, because a JSON number is read as a double, which holds about ` +
    `16 digits. Write it as a text: "${briefly(token)}".`
  )
}

/**
 * Checks the limits, and counts the members of all objects. Up to the first syntax error it sees what the parser sees.
 *
 * @returns NaN where a number is inexact
 * @throws JsonTextError `too_complex`
 */
function scan(text: string, limits: JsonLimits): number {
  let depth = 0
  let tokens = 0
  let members = 0
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit === QUOTE) at = endOfString(text, at)
    else if (unit === COLON) members++
    else if (unit === COMMA) {
      if (++tokens > limits.tokens) throw tooComplex(limits)
    } else if (unit === OPEN_BRACKET || unit === OPEN_BRACE) {
      if (++depth > limits.depth || ++tokens > limits.tokens) throw tooComplex(limits)
    } else if (unit === CLOSE_BRACKET || unit === CLOSE_BRACE) depth--
    else if (unit <= NINE && unit >= ZERO) {
      const end = endOfNumber(text, at)
      if (end - at > SHORT_NUMBER || hasExponent(text, at, end)) {
        if (!isExactNumber(text.slice(at, end))) members = NaN
      }
      at = end - 1
    }
  }
  return members
}

function tooComplex({ depth, tokens }: JsonLimits): JsonTextError {
  const most = tokens === Infinity ? '' : ` and ${tokens} values`
  return new JsonTextError('too_complex', `The JSON exceeds ${depth} levels${most}. Send less at a time.`)
}

/** Members of all objects in a value. */
function membersOf(value: JsonValue): number {
  if (typeof value !== 'object' || value === null) return 0
  const children = Object.values(value) as JsonValue[]
  let count = Array.isArray(value) ? 0 : children.length
  for (const child of children) if (typeof child === 'object') count += membersOf(child)
  return count
}

function isDigit(unit: number): boolean {
  return unit >= ZERO && unit <= NINE
}

/** Index after the number that begins at `start`. */
function endOfNumber(text: string, start: number): number {
  let at = start + 1
  for (; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if ((unit < ZERO || unit > NINE) && unit !== DOT && unit !== PLUS && unit !== MINUS && !isE(unit)) break
  }
  return at
}

function hasExponent(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (isE(text.charCodeAt(at))) return true
  return false
}

function isE(unit: number): boolean {
  return unit === 0x65 || unit === 0x45
}

/** Whether a colon follows the string that ends at `end`. */
function isKey(text: string, end: number): boolean {
  let at = end + 1
  while (text.charCodeAt(at) <= 0x20) at++
  return text.charCodeAt(at) === COLON
}

function briefly(text: string): string {
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text
}
