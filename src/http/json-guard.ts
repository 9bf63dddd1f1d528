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

/**
 * Whether JSON text is flat and small enough to be parsed: 16 MiB of `[` or of `{},` would become hundreds of megabytes
 * of objects. Looks at bytes alone, in one pass; whether the text is JSON is for the parser to say.
 */
export function isShapeWithin(json: Uint8Array, limits: JsonShapeLimits): boolean {
  let depth = 0
  let tokens = 0
  for (let at = 0; at < json.length; at++) {
    const byte = json[at]
    if (byte === QUOTE) {
      at = endOfString(json, at)
    } else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      if (++depth > limits.depth || ++tokens > limits.tokens) return false
    } else if (byte === COMMA) {
      if (++tokens > limits.tokens) return false
    } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) {
      depth--
    }
  }
  return true
}

/** Index of the quote that ends the string beginning at `start`, or the length where none does. */
function endOfString(json: Uint8Array, start: number): number {
  let at = start + 1
  while (at < json.length && json[at] !== QUOTE) at += json[at] === BACKSLASH ? 2 : 1
  return at
}
