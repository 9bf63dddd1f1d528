const SPACE = /[ \t\n\r]*/y
/** No control character but those above U+001F. */
const STRING = /"(?:[^"\\\p{Cc}]|[\x7f-\x9f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy
const SCALAR = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/y

/**
 * Where a text stops being JSON, as an offset; its length if it ends too early. Browsers do not agree on whether and how their errors
 * tell that.
 */
export function faultOffset(text: string): number {
  let at = 0
  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = at
    const found = pattern.test(text)
    if (found) at = pattern.lastIndex
    return found
  }
  const sign = (wanted: string): boolean => {
    take(SPACE)
    if (text[at] !== wanted) return false
    at += 1
    return true
  }
  /** What closes the objects and arrays that are open, the innermost last. Not by recursion: a text may be nested to any depth. */
  const open: ('}' | ']')[] = []
  const key = (): boolean => {
    take(SPACE)
    return take(STRING) && sign(':')
  }
  for (;;) {
    // A value.
    take(SPACE)
    if (sign('{')) {
      if (!sign('}')) {
        open.push('}')
        if (!key()) return at
        continue
      }
    } else if (sign('[')) {
      if (!sign(']')) {
        open.push(']')
        continue
      }
    } else if (!take(STRING) && !take(SCALAR)) return at
    // What follows a value.
    for (let isDone = false; !isDone;) {
      const close = open.at(-1)
      if (close === undefined) {
        take(SPACE)
        return at
      }
      if (sign(',')) {
        if (close === '}' && !key()) return at
        isDone = true
      } else if (sign(close)) open.pop()
      else return at
    }
  }
}
