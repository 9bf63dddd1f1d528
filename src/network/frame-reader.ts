import { concatBytes } from '@noble/hashes/utils.js'

import { varint } from '../record/protobuf.ts'
import { NetworkError } from './errors.ts'

/** Bits of the length in each byte of a prefix, and the bit that means that another byte follows (unsigned LEB128). */
const PREFIX_BITS = 7
const MORE = 0x80

/**
 * Splits a stream of bytes into frames, each after its length as an unsigned varint (multiformats/unsigned-varint: LEB128,
 * shortest form). A length is checked as soon as it has arrived, before any memory is reserved for the frame.
 */
export class FrameReader {
  readonly #maxFrameBytes: number
  readonly #chunks: Uint8Array[] = []
  /** Bytes of the first chunk that are used up. */
  #used = 0
  #bytes = 0
  #length = 0
  #prefixBytes = 0
  #frame: Uint8Array | undefined
  #filled = 0

  constructor(maxFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes
  }

  /** Bytes that were pushed and are in no frame yet. */
  get waitingBytes(): number {
    return this.#bytes
  }

  /** Whether an incomplete frame has begun. */
  get isWithinFrame(): boolean {
    return this.#bytes > 0 || this.#prefixBytes > 0 || this.#frame !== undefined
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
  }

  /**
   * The next frame, in memory of its own; undefined if it is not complete yet.
   *
   * @throws NetworkError `frame_invalid` for a length above the bound, or not in its shortest form
   */
  next(): Uint8Array | undefined {
    while (this.#frame === undefined) {
      if (this.#bytes === 0) return undefined
      this.#readPrefix(this.#takeByte())
    }
    while (this.#filled < this.#frame.length && this.#bytes > 0) {
      const chunk = this.#chunks[0] as Uint8Array
      const part = chunk.subarray(this.#used, this.#used + this.#frame.length - this.#filled)
      this.#frame.set(part, this.#filled)
      this.#filled += part.length
      this.#consume(part.length)
    }
    if (this.#filled < this.#frame.length) return undefined
    const frame = this.#frame
    this.#frame = undefined
    return frame
  }

  #readPrefix(byte: number): void {
    // Multiply instead of shift: 32 bits could overflow. The bound on the length also rejects long prefixes of zeros.
    this.#length += (byte & (MORE - 1)) * 2 ** (PREFIX_BITS * this.#prefixBytes)
    this.#prefixBytes += 1
    const mayGoOn = 2 ** (PREFIX_BITS * this.#prefixBytes) <= this.#maxFrameBytes
    const goesOn = (byte & MORE) !== 0
    if (this.#length > this.#maxFrameBytes || (goesOn && !mayGoOn)) {
      throw new NetworkError('frame_invalid', `A frame is longer than the ${this.#maxFrameBytes} bytes allowed.`)
    }
    if (goesOn) return
    if (byte === 0 && this.#prefixBytes > 1) {
      throw new NetworkError('frame_invalid', 'The length of a frame is not in its shortest form.')
    }
    this.#frame = new Uint8Array(this.#length)
    this.#filled = 0
    this.#length = 0
    this.#prefixBytes = 0
  }

  #takeByte(): number {
    const byte = (this.#chunks[0] as Uint8Array)[this.#used] as number
    this.#consume(1)
    return byte
  }

  #consume(count: number): void {
    this.#used += count
    this.#bytes -= count
    if (this.#used < (this.#chunks[0] as Uint8Array).length) return
    this.#chunks.shift()
    this.#used = 0
  }
}

/** A frame behind its length, in memory of its own. */
export function withLength(frame: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.from(varint(frame.length)), frame)
}
