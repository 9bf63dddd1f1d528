import type { Citation, StateEntry, VerifiedRecord } from './types.ts'

/** Orders citations by (counter, id). Ids are lower-case hex, so text order is byte order. */
export function compareCitations(a: Citation, b: Citation): number {
  return a.counter - b.counter || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
}

/** How other records cite a record. */
export const citationOf = ({ id, body }: Pick<VerifiedRecord, 'id' | 'body'>): Citation => ({
  counter: body.counter,
  id,
})

/** Orders records by (counter, id). */
export const compareRecords = (a: VerifiedRecord, b: VerifiedRecord): number =>
  compareCitations(citationOf(a), citationOf(b))

/**
 * Orders texts by their unsigned UTF-8 bytes, which is by code points. JavaScript's own `<` compares UTF-16 code units
 * and so puts U+10000 and above before U+E000 … U+FFFF.
 */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return rank(x) - rank(y)
  }
  return a.length - b.length
}

/** Orders namespaces by the UTF-8 bytes of platform, then identity. */
export function compareNamespaces(a: Omit<StateEntry, 'content'>, b: Omit<StateEntry, 'content'>): number {
  return compareUtf8(a.platform, b.platform) || compareUtf8(a.identity, b.identity)
}

/** The rank of the first code unit that differs. Surrogates rank above all others: they encode code points above U+FFFF. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit
}

/** Length of a text in UTF-8 bytes. A lone surrogate counts three, as the replacement character would. */
export function utf8Length(text: string): number {
  let bytes = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit >= 0x80) bytes += unit >= 0x800 ? 2 : 1
    if (unit >= 0xd800 && unit <= 0xdbff) {
      const next = text.charCodeAt(i + 1)
      if (next >= 0xdc00 && next <= 0xdfff) {
        // Four bytes for two units; two of them are counted already.
        i++
      }
    }
  }
  return bytes
}
