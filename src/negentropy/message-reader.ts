import { NegentropyError } from './errors.ts'
import { compareBounds } from './order.ts'
import type { Bound } from './types.ts'
import { FINGERPRINT, FINGERPRINT_BYTES, ID_BYTES, ID_LIST, SKIP } from './wire.ts'

/** One received range. */
export interface Range {
  /** Exclusive. The range begins at the upper bound of the previous range; the first begins at timestamp 0. */
  readonly upper: Bound
  readonly mode: typeof SKIP | typeof FINGERPRINT | typeof ID_LIST
  /** A view into the message: empty, a fingerprint of 16 bytes, or concatenated ids of 32 bytes. */
  readonly payload: Uint8Array
}

/** With a greater value, one more digit would exceed 2^53. */
const MAX_BEFORE_LAST_DIGIT = 2 ** 46

/**
 * Reads the ranges of a message one by one, after its version byte, so that a message of many tiny ranges costs no memory.
 *
 * Beyond the specification: accepts empty ranges after infinity, with which the reference implementation ends a full frame, and
 * rejects every other bound that does not ascend.
 */
export class MessageReader {
  readonly #bytes: Uint8Array
  #at = 1
  #lower: Bound = { timestamp: 0, id: new Uint8Array(0) }

  constructor(message: Uint8Array) {
    this.#bytes = message
  }

  /** @throws NegentropyError `truncated`, `bad_varint`, `bad_bound`, `bad_mode` or `bad_id_list` */
  next(): Range | undefined {
    if (this.#at === this.#bytes.length) return undefined
    const upper = this.#bound()
    const mode = this.#varint()
    switch (mode) {
      case SKIP:
        return { upper, mode, payload: this.#take(0) }
      case FINGERPRINT:
        return { upper, mode, payload: this.#take(FINGERPRINT_BYTES) }
      case ID_LIST:
        return { upper, mode, payload: this.#ids() }
      default:
        throw new NegentropyError('bad_mode', `A range has the unknown mode ${mode}; the protocol has 0, 1 and 2.`)
    }
  }

  #bound(): Bound {
    const encoded = this.#varint()
    const timestamp = encoded === 0 ? Infinity : this.#lower.timestamp + (encoded - 1)
    const length = this.#varint()
    if (length > ID_BYTES)
      throw new NegentropyError('bad_bound', `A bound has ${length} bytes of an id; an id has ${ID_BYTES}.`)
    const upper = { timestamp, id: this.#take(length) }
    if (encoded === 0) {
      if (length > 0) throw new NegentropyError('bad_bound', 'The bound at infinity has bytes of an id.')
    } else if (timestamp > Number.MAX_SAFE_INTEGER) {
      throw new NegentropyError('bad_bound', 'A bound is above 2^53 - 1, or follows infinity.')
    } else if (compareBounds(this.#lower, upper) >= 0) {
      throw new NegentropyError('bad_bound', 'A bound is not above the previous one.')
    }
    this.#lower = upper
    return upper
  }

  #ids(): Uint8Array {
    const count = this.#varint()
    if (count * ID_BYTES > this.#bytes.length - this.#at) {
      throw new NegentropyError('bad_id_list', `A list of ${count} ids is longer than the rest of the message.`)
    }
    return this.#take(count * ID_BYTES)
  }

  /** Reads a varint of at most 8 bytes and at most 2^53, without leading zero digits. */
  #varint(): number {
    let value = 0
    for (let digits = 0; ; digits += 1) {
      const byte = this.#bytes[this.#at]
      if (byte === undefined) throw new NegentropyError('truncated', 'The message ends inside a number.')
      this.#at += 1
      const digit = byte & 0x7f
      if (digits === 0 && byte === 0x80) throw new NegentropyError('bad_varint', 'A number begins with a zero digit.')
      if (value > MAX_BEFORE_LAST_DIGIT || (value === MAX_BEFORE_LAST_DIGIT && digit > 0)) {
        throw new NegentropyError('bad_varint', 'A number is above 2^53.')
      }
      value = value * 0x80 + digit
      if (byte < 0x80) return value
    }
  }

  #take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#at) {
      throw new NegentropyError('truncated', 'The message ends inside a range.')
    }
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
}
