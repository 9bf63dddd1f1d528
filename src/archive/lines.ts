import { concatBytes } from '@noble/hashes/utils.js'
import { MAX_LINE_BYTES } from './format.ts'

const LINE_FEED = 0x0a

/** A line, or a piece of one that is too long. */
export interface Line {
  /** From 1. */
  readonly number: number
  /** With its line feed, if it has one. */
  readonly bytes: Uint8Array
  /**
   * `whole`; `open`: the last one, without line feed; `long`: the beginning of one that is too long; `rest`: more of
   * that one.
   */
  readonly kind: 'whole' | 'open' | 'long' | 'rest'
}

/** Cuts chunks into lines, and holds no more than one line of the greatest length. */
export class LineCutter {
  #carried: Uint8Array = new Uint8Array(0)
  /** Number of the next line. */
  number = 1
  /** Whether the next bytes belong to a line that is too long. */
  #skipping = false;

  /** The lines that end in a chunk; their bytes are views of it or of a copy. */
  *push(chunk: Uint8Array): Iterable<Line> {
    let at = 0
    while (at < chunk.length) {
      const feed = chunk.indexOf(LINE_FEED, at)
      const end = feed < 0 ? chunk.length : feed + 1
      const piece = chunk.subarray(at, end)
      at = end
      if (this.#skipping) {
        yield { number: this.number, bytes: piece, kind: 'rest' }
      } else if (this.#carried.length + piece.length > MAX_LINE_BYTES) {
        yield { number: this.number, bytes: this.#take(piece), kind: 'long' }
        this.#skipping = true
      } else if (feed < 0) {
        this.#carried = this.#take(piece)
      } else {
        yield { number: this.number, bytes: this.#take(piece), kind: 'whole' }
      }
      if (feed >= 0) {
        this.#skipping = false
        this.number += 1
      }
    }
  }

  /** The last line, once there are no more chunks. */
  *end(): Iterable<Line> {
    if (this.#carried.length > 0) yield { number: this.number, bytes: this.#carried, kind: 'open' }
    this.#carried = new Uint8Array(0)
  }

  /** The bytes carried over, and a piece. */
  #take(piece: Uint8Array): Uint8Array {
    if (this.#carried.length === 0) return piece
    const joined = concatBytes(this.#carried, piece)
    this.#carried = new Uint8Array(0)
    return joined
  }
}
