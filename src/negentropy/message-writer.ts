import type { Bound } from './types.ts'
import { FINGERPRINT, ID_LIST, MAX_BOUND_BYTES, MAX_VARINT_BYTES, putVarint, SKIP, VERSION } from './wire.ts'

/** A state of a `MessageWriter` to return to. */
export interface Mark {
  readonly length: number
  readonly timestamp: number
}

/** Writes one message of the protocol, version byte included. Bounds must come in ascending order. */
export class MessageWriter {
  #bytes = new Uint8Array(512)
  #length = 0
  #timestamp = 0

  constructor() {
    this.#bytes[0] = VERSION
    this.#length = 1
  }

  get length(): number {
    return this.#length
  }

  mark(): Mark {
    return { length: this.#length, timestamp: this.#timestamp }
  }

  /** Discards everything written since the mark. */
  backTo(mark: Mark): void {
    this.#length = mark.length
    this.#timestamp = mark.timestamp
  }

  skip(upper: Bound): void {
    this.#head(upper, SKIP)
  }

  /** @param fingerprint 16 bytes */
  fingerprint(upper: Bound, fingerprint: Uint8Array): void {
    this.#head(upper, FINGERPRINT)
    this.#put(fingerprint)
  }

  /** @param ids 32 bytes each */
  idList(upper: Bound, ids: readonly Uint8Array[]): void {
    this.#head(upper, ID_LIST)
    this.#varint(ids.length)
    for (const id of ids) this.#put(id)
  }

  /** A copy of the message. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  #head(upper: Bound, mode: number): void {
    if (upper.timestamp === Infinity) {
      this.#varint(0)
    } else {
      this.#varint(1 + (upper.timestamp - this.#timestamp))
      this.#timestamp = upper.timestamp
    }
    this.#varint(upper.id.length)
    this.#put(upper.id)
    this.#varint(mode)
  }

  #varint(value: number): void {
    this.#reserve(MAX_VARINT_BYTES)
    this.#length = putVarint(this.#bytes, this.#length, value)
  }

  #put(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  #reserve(extra: number): void {
    if (this.#length + extra <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + extra))
    larger.set(this.#bytes)
    this.#bytes = larger
  }
}

/** Bytes of the longest `Skip`, and of the longest list before its ids. */
export const MAX_SKIP_BYTES = MAX_BOUND_BYTES + 1
export const MAX_LIST_HEAD_BYTES = MAX_BOUND_BYTES + 1 + MAX_VARINT_BYTES
