/**
 * LevelDB's log format, of NNN.log and MANIFEST-NNN: blocks of 32 KiB, each with pieces of records that have a checksum.
 *
 * After a piece with a wrong checksum LevelDB silently drops the rest of the block. This reader reports the damage and drops
 * only that piece.
 */
import { crc32c, masked } from './crc32c.ts'

const BLOCK_BYTES = 32_768
/** Checksum, length, type. */
const HEADER_BYTES = 7
const [FULL, FIRST, MIDDLE, LAST] = [1, 2, 3, 4] as const
/** A disk writes a sector completely or not at all: a file with an empty last sector was never written to its end. */
const SECTOR_BYTES = 512

export interface LogContents {
  /** The payloads of whole records, in order. */
  readonly records: readonly Uint8Array[]
  /**
   * Whether a record that was written is missing. False also if the writer was killed during the append of the last record,
   * which it never acknowledged.
   */
  readonly isDamaged: boolean
}

/** A piece of a record in a log. */
interface Piece {
  readonly type: number
  readonly payload: Uint8Array
  readonly end: number
}

/** Reads a log file. The records share memory with `bytes`, except those in several pieces. */
export function readLog(bytes: Uint8Array): LogContents {
  const records: Uint8Array[] = []
  let isDamaged = false
  let pieces: Uint8Array[] | undefined
  for (let at = 0; at < bytes.length;) {
    const blockEnd = Math.min(bytes.length, (Math.floor(at / BLOCK_BYTES) + 1) * BLOCK_BYTES)
    const piece = pieceAt(bytes, at, blockEnd)
    if (piece === undefined) {
      const next = nextPiece(bytes, at, blockEnd)
      const isTrailer = blockEnd - at < HEADER_BYTES
      if (next === undefined && isCutOff(bytes, at, blockEnd)) break
      if (!isTrailer) {
        isDamaged = true
        pieces = undefined
      }
      at = next ?? blockEnd
      continue
    }
    const { type, payload } = piece
    at = piece.end
    const isStart = type === FULL || type === FIRST
    // An earlier record has no end, or this piece continues a record without a beginning.
    if (isStart ? (pieces?.length ?? 0) > 0 : pieces === undefined) isDamaged = true
    if (isStart) pieces = [payload]
    else pieces?.push(payload)
    if (type !== FULL && type !== LAST) continue
    if (pieces !== undefined) records.push(pieces.length === 1 ? payload : Buffer.concat(pieces))
    pieces = undefined
  }
  return { records, isDamaged }
}

/** The piece at a position, if there is one and its checksum matches. */
function pieceAt(bytes: Uint8Array, at: number, blockEnd: number): Piece | undefined {
  if (at + HEADER_BYTES > blockEnd) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, HEADER_BYTES)
  const type = view.getUint8(6)
  const end = at + HEADER_BYTES + view.getUint16(4, true)
  if (type < FULL || type > LAST || end > blockEnd) return undefined
  if (masked(crc32c(bytes, at + 6, end)) !== view.getUint32(0, true)) return undefined
  return { type, payload: bytes.subarray(at + HEADER_BYTES, end), end }
}

/** The start of the next piece of a block after a damaged one. */
function nextPiece(bytes: Uint8Array, damagedAt: number, blockEnd: number): number | undefined {
  for (let at = damagedAt + 1; at + HEADER_BYTES <= blockEnd; at += 1) {
    if (pieceAt(bytes, at, blockEnd) !== undefined) return at
  }
  return undefined
}

/**
 * Whether a kill or power loss interrupted the append of the last piece of a file: the piece is shorter than its length says,
 * or its last sector was never written. A piece of full length was written, so it is damaged.
 */
function isCutOff(bytes: Uint8Array, at: number, blockEnd: number): boolean {
  if (blockEnd < bytes.length) return isBlank(bytes, at)
  if (at + HEADER_BYTES > bytes.length) return true
  const length = (bytes[at + 4] as number) | ((bytes[at + 5] as number) << 8)
  const end = at + HEADER_BYTES + length
  const lastSector = Math.floor((bytes.length - 1) / SECTOR_BYTES) * SECTOR_BYTES
  return end > bytes.length || isBlank(bytes, Math.max(at, lastSector))
}

function isBlank(bytes: Uint8Array, from: number): boolean {
  return bytes.subarray(from).every((byte) => byte === 0)
}

/** Encodes a log file with these records. */
export function writeLog(records: Iterable<Uint8Array>): Uint8Array {
  const parts: Uint8Array[] = []
  let room = BLOCK_BYTES
  for (const record of records) {
    for (let from = 0, isFirst = true; isFirst || from < record.length; isFirst = false) {
      if (room < HEADER_BYTES) {
        parts.push(new Uint8Array(room))
        room = BLOCK_BYTES
      }
      const piece = record.subarray(from, from + room - HEADER_BYTES)
      from += piece.length
      const isLast = from === record.length
      const start = isLast ? FULL : FIRST
      const type = isFirst ? start : isLast ? LAST : MIDDLE
      const bytes = Buffer.concat([new Uint8Array(HEADER_BYTES), piece])
      bytes.writeUInt16LE(piece.length, 4)
      bytes[6] = type
      bytes.writeUInt32LE(masked(crc32c(bytes, 6, bytes.length)), 0)
      parts.push(bytes)
      room -= bytes.length
      // After an empty piece at the end of a block, the next piece starts in a new block.
      if (piece.length === 0 && !isLast) room = 0
    }
  }
  return Buffer.concat(parts)
}
