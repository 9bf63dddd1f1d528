/**
 * LevelDB's table files, NNN.ldb: finds their undamaged blocks, reads the rows, and builds a table of these blocks alone.
 *
 * LevelDB checks no checksums when it reads or compacts. A flipped bit in a key can then abort the process by an assertion
 * ("Compare(key, Slice(r->last_key)) > 0"), and `ClassicLevel.repair` aborts too. So tables are checked before LevelDB opens
 * them.
 */
import { buildBlock, findBlock, isBlockWhole, readBlock, TRAILER_BYTES } from './block.ts'
import type { BlockEntry, BlockPlace } from './block.ts'
import { attempt, ByteWriter } from '../bytes.ts'
import { ByteCursor } from './byte-cursor.ts'

/** The last 8 bytes of a table. */
const MAGIC = Buffer.from('57fb808b247547db', 'hex')
/** Bytes after the user's key in a table: LevelDB's sequence, and whether the row is a deletion. */
const SUFFIX_BYTES = 8
const VALUE = 1

interface DataBlock extends BlockPlace {
  /** At least every key of this block, and at most every key of later blocks. */
  readonly bound: Uint8Array
}

export interface TableContents {
  /** True if every block exists and every checksum matches. */
  readonly isWhole: boolean
  /** The undamaged blocks of rows, in order. */
  readonly blocks: readonly DataBlock[]
}

/** Bytes of the footer, which says where the index of the table is. */
export const FOOTER_BYTES = 48

/** Position of a table's index by its footer; undefined if the footer is damaged. */
export function indexPlace(footer: Uint8Array): BlockPlace | undefined {
  if (footer.length < FOOTER_BYTES || !MAGIC.equals(footer.subarray(-MAGIC.length))) return undefined
  const cursor = new ByteCursor(footer)
  return attempt(() => {
    placeAt(cursor)
    return placeAt(cursor)
  })
}

/**
 * Checks a table.
 *
 * @param file the file's contents, possibly truncated
 * @param bytes the expected size
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
  return attempt(() => {
    const filters = placeAt(new ByteCursor(footer))
    const blocks = readBlock(file, index).map(([bound, place]) => ({ ...placeAt(new ByteCursor(place)), bound }))
    return { blocks, filters }
  })
}

/** Checks the filter: a damaged one hides rows. */
function isFilterWhole(file: Uint8Array, filters: BlockPlace): boolean {
  const isWhole = (): boolean =>
    readBlock(file, filters).every(([, place]) => isBlockWhole(file, placeAt(new ByteCursor(place))))
  return isBlockWhole(file, filters) && attempt(isWhole) === true
}

function placeAt(cursor: ByteCursor): BlockPlace {
  return { offset: cursor.varint(), length: cursor.varint() }
}

/** Finds blocks without an index, up to the first block that is damaged or has no rows. */
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
  const key = attempt(() => readBlock(file, place))?.at(-1)?.[0]
  if (key === undefined || key.length <= SUFFIX_BYTES) return undefined
  // A key of a row ends with its type and a sequence; keys in the index of filters end with text.
  return (key.at(-SUFFIX_BYTES) as number) <= VALUE ? key : undefined
}

function userKey(key: Uint8Array): Uint8Array {
  return key.subarray(0, -SUFFIX_BYTES)
}

/** The rows of a block, without deletions. None if the block is malformed. */
export function rowsOf(file: Uint8Array, block: BlockPlace): BlockEntry[] {
  return (attempt(() => readBlock(file, block)) ?? [])
    .filter(([key]) => key.length > SUFFIX_BYTES && key.at(-SUFFIX_BYTES) === VALUE)
    .map(([key, value]) => [userKey(key), value])
}

/**
 * Builds a table of the same size with only the undamaged blocks, at their old positions, so the manifest stays valid.
 *
 * @param bytes the expected size
 */
export function repairTable(file: Uint8Array, bytes: number, blocks: readonly DataBlock[]): Uint8Array {
  for (let kept = blocks.length; kept >= 0; kept -= 1) {
    const some = blocks.slice(0, kept)
    const last = some.at(-1)
    const dataEnd = last === undefined ? 0 : last.offset + last.length + TRAILER_BYTES
    const filters = buildBlock([])
    const index = buildBlock(some.map(({ bound, ...place }) => [bound, placeBytes(place)]))
    const indexAt = dataEnd + filters.length
    // The empty filter leaves room for the index, which can still be too large: bounds taken from keys may be longer.
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
  return new ByteWriter(16).varint(offset).varint(length).finish()
}
