export interface JsonShapeLimits {
  /** Arrays and objects inside each other. */
  readonly depth: number
  /** Arrays, objects and commas together: an upper bound on values, up to one a container. */
  readonly tokens: number
}

const QUOTE = 0x22
const COMMA = 0x2c
const BACKSLASH = 0x5c
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const ZERO = 0x30
const NINE = 0x39
/** `.`, `e`, `E`, `+`, `-` */
const NUMBER_PARTS: ReadonlySet<number> = new Set([0x2e, 0x65, 0x45, 0x2b, 0x2d])

/** Every integer of up to 15 digits is a double of its own (IEEE 754, binary64). */
const SAFE_DIGITS = 16
/** The greatest double has 309 digits. */
const MAX_INTEGER_DIGITS = 309

/** `too_complex`: beyond the limits. `changed_integer`: a number that JavaScript would silently make another one. */
export type JsonFault = 'too_complex' | 'changed_integer'

/**
 * Looks at JSON text before it is parsed: 16 MiB of `[` or of `{},` would become hundreds of megabytes of objects, and
 * 2^53 + 1 would become 2^53. One pass over the bytes; whether the text is JSON is for the parser to say.
 */
export function faultOf(json: Uint8Array, limits: JsonShapeLimits): JsonFault | undefined {
  let depth = 0
  let tokens = 0
  for (let at = 0; at < json.length; at++) {
    const byte = json[at] ?? 0
    if (byte === QUOTE) {
      at = endOfString(json, at)
    } else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      if (++depth > limits.depth || ++tokens > limits.tokens) return 'too_complex'
    } else if (byte === COMMA) {
      if (++tokens > limits.tokens) return 'too_complex'
    } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) {
      depth--
    } else if (isDigit(byte)) {
      const end = endOfNumber(json, at)
      if (end - at >= SAFE_DIGITS && isChanged(json.subarray(at, end))) return 'changed_integer'
      at = end - 1
    }
  }
  return undefined
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE
}

/** Index after a number that begins at `start`: digits, and what makes it a fraction or a power. */
function endOfNumber(json: Uint8Array, start: number): number {
  let at = start + 1
  while (at < json.length && (isDigit(json[at] ?? 0) || NUMBER_PARTS.has(json[at] ?? 0))) at++
  return at
}

/**
 * Whether an integer is neither a double nor the shortest text of one, as JavaScript writes it. A fraction or a power is
 * an approximation by its nature.
 */
function isChanged(number: Uint8Array): boolean {
  if (number.length > MAX_INTEGER_DIGITS) return number.every(isDigit)
  const text = String.fromCharCode(...number)
  return /^\d+$/.test(text) && text !== String(Number(text)) && BigInt(text) !== BigInt(Number(text))
}

/** Index of the quote that ends the string beginning at `start`, or the length where none does. */
function endOfString(json: Uint8Array, start: number): number {
  let at = start + 1
  while (at < json.length && json[at] !== QUOTE) at += json[at] === BACKSLASH ? 2 : 1
  return at
}
