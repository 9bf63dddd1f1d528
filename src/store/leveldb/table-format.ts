/**
 * LevelDB's table files, NNN.ldb: which of their blocks are whole, the rows in those, and a table of those alone.
 *
 * LevelDB checks no checksum when it reads or compacts. A flipped bit in a key then ends the process by an assertion
 * ("Compare(key, Slice(r->last_key)) > 0"), and `ClassicLevel.repair` ends the same way. So tables are checked before
 * LevelDB opens them.
 */
import { buildBlock, findBlock, isBlockWhole, readBlock, TRAILER_BYTES } from './block.ts'
import type { BlockEntry, BlockPlace } from './block.ts'
import { ByteCursor, varintBytes } from './byte-cursor.ts'

/** The last 8 bytes of a table. */
const MAGIC = Buffer.from('57fb808b247547db', 'hex')
/** After the user's key in a table: LevelDB's number of the row and whether it is a deletion. */
const SUFFIX_BYTES = 8
const VALUE = 1

interface DataBlock extends BlockPlace {
  /** No key of the block is above it, and none of a later block is below it. */
  readonly bound: Uint8Array
}

export interface TableContents {
  /** True if every block is there and every checksum fits. */
  readonly isWhole: boolean
  /** The blocks of rows that are whole, in order. */
  readonly blocks: readonly DataBlock[]
}

/** Bytes at the end of a table that say where its index is. */
export const FOOTER_BYTES = 48

/** Where the index of a table begins and ends, as its footer says; undefined where that is damaged. */
export function indexPlace(footer: Uint8Array): BlockPlace | undefined {
  if (footer.length < FOOTER_BYTES || !MAGIC.equals(footer.subarray(-MAGIC.length))) return undefined
  try {
    const cursor = new ByteCursor(footer)
    placeAt(cursor)
    return placeAt(cursor)
  } catch {
    return undefined
  }
}

/**
 * Checks a table.
 *
 * @param file what is left of it
 * @param bytes the size that it should have
 */
export function checkTable(file: Uint8Array, bytes: number): TableContents {
  const index = file.length >= bytes ? readIndex(file.subarray(0, bytes)) : undefined
  if (index === undefined) return { isWhole: false, blocks: scanBlocks(file.subarray(0, bytes)) }
  const blocks = index.blocks.filter((block) => isBlockWhole(file, block))
  return { isWhole: blocks.length === index.blocks.length && isFilterWhole(file, index.filters), blocks }
}

function readIndex(file: Uint8Array): { blocks: DataBlock[]; filters: BlockPlace } | undefined {
  const footer = file.subarray(-FOOTER_BYTES)
  const index = indexPlace(footer)
  if (index === undefined || !isBlockWhole(file, index)) return undefined
  try {
    const filters = placeAt(new ByteCursor(footer))
    const blocks = readBlock(file, index).map(([bound, place]) => ({ ...placeAt(new ByteCursor(place)), bound }))
    return { blocks, filters }
  } catch {
    return undefined
  }
}

/** A filter that is damaged hides rows that are there. */
function isFilterWhole(file: Uint8Array, filters: BlockPlace): boolean {
  if (!isBlockWhole(file, filters)) return false
  try {
    return readBlock(file, filters).every(([, place]) => isBlockWhole(file, placeAt(new ByteCursor(place))))
  } catch {
    return false
  }
}

function placeAt(cursor: ByteCursor): BlockPlace {
  return { offset: cursor.varint(), length: cursor.varint() }
}

/** Finds blocks without an index: up to the first that is damaged, or that holds no rows. */
function scanBlocks(file: Uint8Array): DataBlock[] {
  const blocks: DataBlock[] = []
  for (let at = 0; ;) {
    const place = findBlock(file, at)
    const last = place && lastKey(file, place)
    if (place === undefined || last === undefined) return blocks
    const before = blocks.at(-1)?.bound
    if (before !== undefined && Buffer.compare(userKey(before), userKey(last)) > 0) return blocks
    blocks.push({ ...place, bound: last })
    at = place.offset + place.length + TRAILER_BYTES
  }
}

function lastKey(file: Uint8Array, place: BlockPlace): Uint8Array | undefined {
  try {
    const key = readBlock(file, place).at(-1)?.[0]
    return key !== undefined && key.length > SUFFIX_BYTES && isSuffix(key.subarray(-SUFFIX_BYTES)) ? key : undefined
  } catch {
    return undefined
  }
}

/** Keys of the index of filters have text at their end, not a number and a kind. */
function isSuffix(suffix: Uint8Array): boolean {
  return (suffix[0] as number) <= VALUE
}

function userKey(key: Uint8Array): Uint8Array {
  return key.subarray(0, -SUFFIX_BYTES)
}

/** The rows of a block that put a value; deletions are left out. None of a block that does not decode. */
export function rowsOf(file: Uint8Array, block: BlockPlace): BlockEntry[] {
  try {
    return readBlock(file, block)
      .filter(([key]) => key.length > SUFFIX_BYTES && key[key.length - SUFFIX_BYTES] === VALUE)
      .map(([key, value]) => [userKey(key), value])
  } catch {
    return []
  }
}

/**
 * A table of the same size with the whole blocks alone, each where it was. The manifest then needs no change.
 *
 * @param bytes the size that it must have
 */
export function repairTable(file: Uint8Array, bytes: number, blocks: readonly DataBlock[]): Uint8Array {
  for (let kept = blocks.length; kept >= 0; kept -= 1) {
    const some = blocks.slice(0, kept)
    const last = some.at(-1)
    const dataEnd = last === undefined ? 0 : last.offset + last.length + TRAILER_BYTES
    const filters = buildBlock([])
    const index = buildBlock(some.map(({ bound, ...place }) => [bound, placeBytes(place)]))
    const indexAt = dataEnd + filters.length
    // Without a filter there is more room for an index than before; bounds that were looked up may still be longer.
    if (indexAt + index.length + FOOTER_BYTES > bytes) continue
    const repaired = Buffer.alloc(bytes)
    repaired.set(file.subarray(0, dataEnd))
    repaired.set(filters, dataEnd)
    repaired.set(index, indexAt)
    const footer = [
      placeBytes({ offset: dataEnd, length: filters.length - TRAILER_BYTES }),
      placeBytes({ offset: indexAt, length: index.length - TRAILER_BYTES }),
    ]
    repaired.set(Buffer.concat(footer), bytes - FOOTER_BYTES)
    repaired.set(MAGIC, bytes - MAGIC.length)
    return repaired
  }
  throw new RangeError(`A table of ${bytes} bytes has no room for an index.`)
}

function placeBytes({ offset, length }: BlockPlace): Uint8Array {
  return Uint8Array.from([...varintBytes(offset), ...varintBytes(length)])
}
