import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js'
import type { Citation, RecordId } from '../record/types.ts'
import type { ArchivePlatform } from './types.ts'

/** Records in one piece of the list: about 1.6 MB without the rests of ids, 3.2 MB with them. */
const PIECE = 65_536
/** Room of the first piece at the beginning; it doubles from there. Most avatars have few records. */
const FIRST_ROOM = 32
/** Bytes of an id by which positions are ordered and searched. */
const START_BYTES = 8
/**
 * Bytes of a hash of the whole id under a secret of this list. Two ids with the same start and the same tag are taken for the
 * same id: nobody can make such a pair without the secret.
 */
const TAG_BYTES = 8
const SECRET_BYTES = 16
const ID_BYTES = 32
const KEY_BYTES = START_BYTES + TAG_BYTES
const REST_BYTES = ID_BYTES - START_BYTES

interface Piece {
  room: number
  counters: Float64Array
  marks: Uint8Array
  /** Start and tag of each id. */
  keys: Uint8Array
  /** The other bytes of each id; null once no id of the piece can be asked for in full. */
  rests: Uint8Array | null
  /** Records whose id may be asked for in full. */
  open: number
}

/**
 * Positions of records in ascending order of (counter, id), each with a mark. One takes 25 bytes, or 49 as long as an id of
 * its piece may be asked for in full.
 */
export class PositionList {
  readonly #pieces: Piece[] = []
  readonly #sha256: (bytes: Uint8Array) => Uint8Array
  /** The secret, and room for an id behind it. */
  readonly #tagged = new Uint8Array(SECRET_BYTES + ID_BYTES)
  size = 0
  /** Memory that the list takes. */
  bytes = 0

  constructor({ sha256, randomBytes }: Pick<ArchivePlatform, 'sha256' | 'randomBytes'>) {
    this.#sha256 = sha256
    this.#tagged.set(randomBytes(SECRET_BYTES))
  }

  /** Appends a position that comes after all others. @returns its index */
  push({ counter, id }: Citation, mark: number): number {
    const index = this.size++
    const at = index % PIECE
    if (at === 0 || at === this.#pieces.at(-1)?.room) this.#grow()
    const piece = this.#pieceOf(index)
    piece.counters[at] = counter
    piece.marks[at] = mark
    const bytes = bytesOf(id)
    piece.keys.set(bytes.subarray(0, START_BYTES), at * KEY_BYTES)
    piece.keys.set(this.#tag(bytes), at * KEY_BYTES + START_BYTES)
    piece.rests?.set(bytes.subarray(START_BYTES), at * REST_BYTES)
    piece.open += 1
    return index
  }

  /** Index of a position, or -1. */
  find({ counter, id }: Citation): number {
    const bytes = bytesOf(id)
    let low = 0
    let high = this.size
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#compare(middle, counter, bytes) < 0) low = middle + 1
      else high = middle
    }
    let tag: Uint8Array | undefined
    for (; low < this.size && this.#compare(low, counter, bytes) === 0; low++) {
      tag ??= this.#tag(bytes)
      const { keys } = this.#pieceOf(low)
      const from = (low % PIECE) * KEY_BYTES + START_BYTES
      if (tag.every((byte, at) => keys[from + at] === byte)) return low
    }
    return -1
  }

  counter(index: number): number {
    return this.#pieceOf(index).counters[index % PIECE] as number
  }

  mark(index: number): number {
    return this.#pieceOf(index).marks[index % PIECE] as number
  }

  setMark(index: number, mark: number): void {
    this.#pieceOf(index).marks[index % PIECE] = mark
  }

  /** Notes that the id at an index will not be asked for in full. Call it once an index. */
  close(index: number): void {
    const piece = this.#pieceOf(index)
    piece.open -= 1
    const isFull = this.size >= (Math.floor(index / PIECE) + 1) * PIECE
    if (piece.open === 0 && isFull && piece.rests !== null) {
      piece.rests = null
      this.bytes -= PIECE * REST_BYTES
    }
  }

  /** The id at an index that was not closed. */
  id(index: number): RecordId {
    const { keys, rests } = this.#pieceOf(index)
    if (rests === null) throw new Error('The position was closed.')
    const at = index % PIECE
    const hex = (bytes: Uint8Array, from: number, length: number): string =>
      bytesToHex(bytes.subarray(from, from + length))
    return `0x${hex(keys, at * KEY_BYTES, START_BYTES)}${hex(rests, at * REST_BYTES, REST_BYTES)}`
  }

  /** Returns the ids that no position of the list has, with any counter. */
  absent(ids: Iterable<RecordId>): RecordId[] {
    const byKey = new Map<string, RecordId>()
    for (const id of ids) {
      const bytes = bytesOf(id)
      byKey.set(bytesToHex(bytes.subarray(0, START_BYTES)) + bytesToHex(this.#tag(bytes)), id)
    }
    if (byKey.size === 0) return []
    for (let index = 0; index < this.size; index++) {
      const from = (index % PIECE) * KEY_BYTES
      byKey.delete(bytesToHex(this.#pieceOf(index).keys.subarray(from, from + KEY_BYTES)))
    }
    return [...byKey.values()]
  }

  #tag(id: Uint8Array): Uint8Array {
    this.#tagged.set(id, SECRET_BYTES)
    return this.#sha256(this.#tagged).subarray(0, TAG_BYTES)
  }

  /** Makes room for one more: in the last piece while that is not of full size, else in a new one. */
  #grow(): void {
    const last = this.#pieces.at(-1)
    const grows = last !== undefined && last.room < PIECE
    const room = grows ? last.room * 2 : last === undefined ? FIRST_ROOM : PIECE
    const piece: Piece = {
      room,
      counters: new Float64Array(room),
      marks: new Uint8Array(room),
      keys: new Uint8Array(room * KEY_BYTES),
      rests: new Uint8Array(room * REST_BYTES),
      open: 0,
    }
    if (grows) {
      piece.counters.set(last.counters)
      piece.marks.set(last.marks)
      piece.keys.set(last.keys)
      piece.rests?.set(last.rests ?? [])
      piece.open = last.open
      this.#pieces.pop()
    }
    this.#pieces.push(piece)
    this.bytes += (room - (grows ? last.room : 0)) * (8 + 1 + KEY_BYTES + REST_BYTES)
  }

  #pieceOf(index: number): Piece {
    return this.#pieces[Math.floor(index / PIECE)] as Piece
  }

  #compare(index: number, counter: number, id: Uint8Array): number {
    const { counters, keys } = this.#pieceOf(index)
    const at = index % PIECE
    const difference = (counters[at] as number) - counter
    if (difference !== 0) return difference
    const from = at * KEY_BYTES
    for (let i = 0; i < START_BYTES; i++) {
      const byte = (keys[from + i] as number) - (id[i] as number)
      if (byte !== 0) return byte
    }
    return 0
  }
}

function bytesOf(id: RecordId): Uint8Array {
  return hexToBytes(id.slice(2))
}
