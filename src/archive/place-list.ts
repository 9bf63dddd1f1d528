import { hash, randomBytes } from 'node:crypto'

import type { Citation, RecordId } from '../record/types.ts'

/** Records of one piece of the list: about 1.6 MB without the rests of ids, 3.2 MB with them. */
const PIECE = 65_536
/** Records that the first piece has room for to begin with, and doubles from: most avatars have few. */
const FIRST_ROOM = 32
/** Bytes of an id by which places are ordered and looked for. */
const START_BYTES = 8
/**
 * Bytes of a hash of the whole id under a secret of this list: what has the same start and the same tag is the same id,
 * for nobody can make another one without knowing the secret.
 */
const TAG_BYTES = 8
const KEPT_BYTES = START_BYTES + TAG_BYTES
const REST_BYTES = 32 - START_BYTES

interface Piece {
  room: number
  counters: Float64Array
  marks: Uint8Array
  /** Start and tag of each. */
  kept: Uint8Array
  /** Needed where an id is to be told in full; null once that can be no more. */
  rests: Uint8Array | null
  /** Records whose rest may be needed. */
  open: number
}

/**
 * Places in ascending order of (counter, id), each with a mark, in 25 bytes each, or 49 as long as ids of their
 * neighbourhood may have to be told in full.
 */
export class PlaceList {
  readonly #pieces: Piece[] = []
  readonly #secret = randomBytes(16)
  #size = 0
  #bytes = 0

  get size(): number {
    return this.#size
  }

  /** Memory that the list takes. */
  get bytes(): number {
    return this.#bytes
  }

  /** Appends a place that is behind all others. @returns its index */
  push({ counter, id }: Citation, mark: number): number {
    const index = this.#size++
    const at = index % PIECE
    if (at === 0 || at === this.#pieces.at(-1)?.room) this.#grow()
    const piece = this.#pieceOf(index)
    piece.counters[at] = counter
    piece.marks[at] = mark
    const bytes = bytesOf(id)
    piece.kept.set(bytes.subarray(0, START_BYTES), at * KEPT_BYTES)
    piece.kept.set(this.#tag(bytes), at * KEPT_BYTES + START_BYTES)
    piece.rests?.set(bytes.subarray(START_BYTES), at * REST_BYTES)
    piece.open += 1
    return index
  }

  /** Index of a place, or -1. */
  find({ counter, id }: Citation): number {
    const bytes = bytesOf(id)
    let low = 0
    let high = this.#size
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#compare(middle, counter, bytes) < 0) low = middle + 1
      else high = middle
    }
    let tag: Uint8Array | undefined
    for (; low < this.#size && this.#compare(low, counter, bytes) === 0; low++) {
      tag ??= this.#tag(bytes)
      const { kept } = this.#pieceOf(low)
      const from = (low % PIECE) * KEPT_BYTES + START_BYTES
      if (tag.every((byte, at) => kept[from + at] === byte)) return low
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

  /** Says that the id of a place will not be asked for in full. To be said once a place. */
  close(index: number): void {
    const piece = this.#pieceOf(index)
    piece.open -= 1
    const isFull = this.#size >= (Math.floor(index / PIECE) + 1) * PIECE
    if (piece.open === 0 && isFull && piece.rests !== null) {
      piece.rests = null
      this.#bytes -= PIECE * REST_BYTES
    }
  }

  /** The id of a place that was not closed. */
  id(index: number): RecordId {
    const { kept, rests } = this.#pieceOf(index)
    if (rests === null) throw new Error('The place was closed.')
    const at = index % PIECE
    const hex = (bytes: Uint8Array, from: number, length: number): string =>
      Buffer.from(bytes.buffer, from, length).toString('hex')
    return `0x${hex(kept, at * KEPT_BYTES, START_BYTES)}${hex(rests, at * REST_BYTES, REST_BYTES)}`
  }

  /** Those of some ids that no place of the list has, whatever its counter. */
  absent(ids: Iterable<RecordId>): RecordId[] {
    const byKey = new Map<string, RecordId>()
    for (const id of ids) {
      const bytes = bytesOf(id)
      byKey.set(bytes.toString('latin1', 0, START_BYTES) + Buffer.from(this.#tag(bytes)).toString('latin1'), id)
    }
    if (byKey.size === 0) return []
    for (let index = 0; index < this.#size; index++) {
      const { kept } = this.#pieceOf(index)
      byKey.delete(Buffer.from(kept.buffer, (index % PIECE) * KEPT_BYTES, KEPT_BYTES).toString('latin1'))
    }
    return [...byKey.values()]
  }

  #tag(id: Uint8Array): Uint8Array {
    return hash('sha256', Buffer.concat([this.#secret, id]), 'buffer').subarray(0, TAG_BYTES)
  }

  /** Makes room for one more: in the last piece, as long as that is not one of full size, or in a new one. */
  #grow(): void {
    const last = this.#pieces.at(-1)
    const grows = last !== undefined && last.room < PIECE
    const room = grows ? last.room * 2 : last === undefined ? FIRST_ROOM : PIECE
    const piece: Piece = {
      room,
      counters: new Float64Array(room),
      marks: new Uint8Array(room),
      kept: new Uint8Array(room * KEPT_BYTES),
      rests: new Uint8Array(room * REST_BYTES),
      open: 0,
    }
    if (grows) {
      piece.counters.set(last.counters)
      piece.marks.set(last.marks)
      piece.kept.set(last.kept)
      piece.rests?.set(last.rests ?? [])
      piece.open = last.open
      this.#pieces.pop()
    }
    this.#pieces.push(piece)
    this.#bytes += (room - (grows ? last.room : 0)) * (8 + 1 + KEPT_BYTES + REST_BYTES)
  }

  #pieceOf(index: number): Piece {
    return this.#pieces[Math.floor(index / PIECE)] as Piece
  }

  #compare(index: number, counter: number, id: Uint8Array): number {
    const { counters, kept } = this.#pieceOf(index)
    const at = index % PIECE
    const difference = (counters[at] as number) - counter
    if (difference !== 0) return difference
    const from = at * KEPT_BYTES
    for (let i = 0; i < START_BYTES; i++) {
      const byte = (kept[from + i] as number) - (id[i] as number)
      if (byte !== 0) return byte
    }
    return 0
  }
}

function bytesOf(id: RecordId): Buffer {
  return Buffer.from(id.slice(2), 'hex')
}
