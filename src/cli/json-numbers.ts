/** Texts, which are left alone, and numbers of a JSON text. */
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g

/**
 * A JSON text with every integer replaced that does not survive as a double (RFC 8259, section 6).
 *
 * @param replace gives JSON for the digits of one
 */
export function replaceInexact(text: string, replace: (digits: string) => string): string {
  return text.replace(TOKENS, (token) =>
    /^-?\d+$/.test(token) && !Number.isSafeInteger(Number(token)) ? replace(token) : token,
  )
}

/** The first integer in a JSON text that does not survive as a double. */
export function changedInteger(text: string): string | undefined {
  let first: string | undefined
  replaceInexact(text, (digits) => {
    first ??= digits
    return digits
  })
  return first
}
