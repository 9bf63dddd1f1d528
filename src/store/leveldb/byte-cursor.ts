/** Reads LevelDB's little-endian integers and length-prefixed byte strings. */
export class ByteCursor {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  /** Position of the next byte. */
  get at(): number {
    return this.#at
  }

  u8(): number {
    return this.take(1)[0] as number
  }

  u32(): number {
    const bytes = this.take(4)
    return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true)
  }

  /** @throws RangeError beyond 2^53 - 1 */
  u64(): number {
    const low = this.u32()
    return safe(this.u32() * 2 ** 32 + low)
  }

  /** @throws RangeError beyond 2^53 - 1 */
  varint(): number {
    let value = 0
    for (let scale = 1; scale < 2 ** 63; scale *= 128) {
      const byte = this.u8()
      value += (byte & 127) * scale
      if (byte < 128) return safe(value)
    }
    throw new RangeError('An integer has no end.')
  }

  /** @throws RangeError if fewer bytes are left */
  take(length: number): Uint8Array {
    const end = this.#at + length
    if (end > this.#bytes.length) throw new RangeError(`${length} bytes should follow byte ${this.#at}.`)
    const bytes = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return bytes
  }

  prefixed(): Uint8Array {
    return this.take(this.varint())
  }
}

function safe(value: number): number {
  if (!Number.isSafeInteger(value)) throw new RangeError('An integer is out of range.')
  return value
}

/** Encodes an unsigned integer as a LEB128 varint. */
export function varintBytes(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  bytes.push(rest)
  return bytes
}
