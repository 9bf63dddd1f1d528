/** LevelDB's block format: entries with shared prefixes, then a compression type and a checksum. */
import { ByteWriter } from '../bytes.ts'
import { ByteCursor } from './byte-cursor.ts'
import { crc32c, masked, nextCrc } from './crc32c.ts'
import { snappyOpen } from './snappy.ts'

/** Bytes after a block: compression type (one byte) and checksum. */
export const TRAILER_BYTES = 5
const [PLAIN, SNAPPY] = [0, 1] as const
/** Entries per restart point, at which a key is stored in full. */
const RESTART_ENTRIES = 16

/** Position of a block in its file, without the trailer. */
export interface BlockPlace {
  readonly offset: number
  readonly length: number
}

export type BlockEntry = readonly [key: Uint8Array, value: Uint8Array]

/** Whether a block exists and its checksum matches. */
export function isBlockWhole(file: Uint8Array, { offset, length }: BlockPlace): boolean {
  const end = offset + length
  if (end + TRAILER_BYTES > file.length) return false
  return masked(crc32c(file, offset, end + 1)) === checksumAt(file, end + 1)
}

/** Finds the end of a block of unknown length: the first position with a matching checksum. Undefined if there is none. */
export function findBlock(file: Uint8Array, offset: number): BlockPlace | undefined {
  let crc = -1
  for (let end = offset; end + TRAILER_BYTES <= file.length; end += 1) {
    crc = nextCrc(crc, file[end] as number)
    if ((file[end] as number) > SNAPPY || masked(~crc >>> 0) !== checksumAt(file, end + 1)) continue
    return { offset, length: end - offset }
  }
  return undefined
}

function checksumAt(file: Uint8Array, at: number): number {
  return new DataView(file.buffer, file.byteOffset + at, 4).getUint32(0, true)
}

/** Decodes the entries of a block, in order. @throws RangeError if the block is malformed */
export function readBlock(file: Uint8Array, { offset, length }: BlockPlace): BlockEntry[] {
  const kind = file[offset + length]
  const raw = file.subarray(offset, offset + length)
  if (kind !== PLAIN && kind !== SNAPPY) throw new RangeError(`A block has the unknown compression type ${kind}.`)
  const block = kind === SNAPPY ? snappyOpen(raw) : raw
  const restarts = new ByteCursor(block.subarray(-4)).u32()
  const end = block.length - 4 * (restarts + 1)
  if (restarts === 0 || end < 0) throw new RangeError('A block has no room for its restart points.')
  const cursor = new ByteCursor(block.subarray(0, end))
  const entries: BlockEntry[] = []
  let key = new Uint8Array(0)
  while (cursor.remaining > 0) {
    const [shared, own, valueBytes] = [cursor.varint(), cursor.varint(), cursor.varint()]
    if (shared > key.length) throw new RangeError('A key shares more bytes than the previous key has.')
    const next = new Uint8Array(shared + own)
    next.set(key.subarray(0, shared))
    next.set(cursor.bytes(own), shared)
    key = next
    entries.push([key, cursor.bytes(valueBytes)])
  }
  return entries
}

/** Encodes a block of entries with its trailer. */
export function buildBlock(entries: readonly BlockEntry[]): Uint8Array {
  const writer = new ByteWriter()
  const restarts = [0]
  let before = new Uint8Array(0)
  for (const [at, [key, value]] of entries.entries()) {
    const isRestart = at % RESTART_ENTRIES === 0
    if (isRestart && at > 0) restarts.push(writer.length)
    const shared = isRestart ? 0 : commonBytes(before, key)
    writer
      .varint(shared)
      .varint(key.length - shared)
      .varint(value.length)
    writer.bytes(key.subarray(shared)).bytes(value)
    before = Uint8Array.from(key)
  }
  const tail = Buffer.alloc(4 * (restarts.length + 1) + TRAILER_BYTES)
  for (const [at, offset] of [...restarts, restarts.length].entries()) tail.writeUInt32LE(offset, 4 * at)
  const block = Buffer.concat([writer.finish(), tail])
  const end = block.length - TRAILER_BYTES
  block[end] = PLAIN
  block.writeUInt32LE(masked(crc32c(block, 0, end + 1)), end + 1)
  return block
}

function commonBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length)
  let at = 0
  while (at < length && a[at] === b[at]) at += 1
  return at
}
