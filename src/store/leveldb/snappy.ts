/** Decompresses Snappy blocks (github.com/google/snappy, `format_description.txt`). */
import { ByteCursor } from './byte-cursor.ts'

/** A block exceeds 4 KiB by at most one row, and no row of the store is as large as this. */
const MAX_BYTES = 64 * 1_024 * 1_024

/** Decompresses a block. @throws RangeError if it is damaged */
export function snappyOpen(block: Uint8Array): Uint8Array {
  const cursor = new ByteCursor(block)
  const length = cursor.varint()
  if (length > MAX_BYTES) throw new RangeError(`A block of ${length} bytes is too large.`)
  const out = new Uint8Array(length)
  let at = 0
  while (cursor.remaining > 0) {
    const tag = cursor.u8()
    if ((tag & 3) === 0) {
      const literal = cursor.bytes(literalBytes(tag >> 2, cursor))
      if (at + literal.length > length) throw new RangeError('A block is longer than it says.')
      out.set(literal, at)
      at += literal.length
      continue
    }
    const [copied, offset] = copyOf(tag, cursor)
    if (offset === 0 || offset > at || at + copied > length) throw new RangeError('A copy reaches outside its block.')
    // Byte by byte: source and target may overlap.
    for (const end = at + copied; at < end; at += 1) out[at] = out[at - offset] as number
  }
  if (at !== length) throw new RangeError('A block is shorter than it says.')
  return out
}

/** Length of a literal: a code up to 60 is the length; a larger one says how many length bytes follow. */
function literalBytes(code: number, cursor: ByteCursor): number {
  return (code < 60 ? code : littleEndian(cursor, code - 59)) + 1
}

function copyOf(tag: number, cursor: ByteCursor): [length: number, offset: number] {
  if ((tag & 3) === 1) return [4 + ((tag >> 2) & 7), ((tag >> 5) << 8) | cursor.u8()]
  return [1 + (tag >> 2), littleEndian(cursor, (tag & 3) === 2 ? 2 : 4)]
}

function littleEndian(cursor: ByteCursor, bytes: number): number {
  let value = 0
  for (let byte = 0; byte < bytes; byte += 1) value += cursor.u8() * 256 ** byte
  return value
}
