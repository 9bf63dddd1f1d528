import { MAX_CONTENT_DEPTH } from './limits.ts'

/** A content nests no deeper; one more token may name an element in the deepest array. */
const MAX_TOKENS = MAX_CONTENT_DEPTH + 1
/** A pointer into a payload is shorter than the payload; this length still fits into a URL. */
const MAX_POINTER_CHARACTERS = 8_192

/**
 * The tokens of a JSON Pointer (RFC 6901, section 3). The empty pointer, which means the whole document, has none.
 *
 * @returns undefined if the text is not a pointer, or has more tokens than any content has levels
 */
export function parsePointer(text: string): string[] | undefined {
  if (text === '') return []
  if (!text.startsWith('/') || text.length > MAX_POINTER_CHARACTERS || /~(?![01])/.test(text)) return undefined
  const tokens = text.slice(1).split('/')
  if (tokens.length > MAX_TOKENS) return undefined
  return tokens.map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/** The JSON Pointer of some tokens (RFC 6901, section 4). */
export function formatPointer(tokens: readonly string[]): string {
  return tokens.map((token) => `/${token.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}
