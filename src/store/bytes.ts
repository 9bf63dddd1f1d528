/** Reading and writing of rows: big-endian integers, variable-length integers (LEB128), text and hex. */

/** Most UTF-8 bytes of one UTF-16 code unit. */
const MAX_UTF8_BYTES_A_UNIT = 3

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export const textBytes = (text: string): Uint8Array => encoder.encode(text)
export const bytesText = (bytes: Uint8Array): string => decoder.decode(bytes)

/** The result of a decoder; undefined if it throws, because the bytes are malformed. */
export function attempt<T>(decode: () => T): T | undefined {
  try {
    return decode()
  } catch {
    return undefined
  }
}

/** `0x` + lower-case hex of some bytes. */
export function toHex(bytes: Uint8Array): `0x${string}` {
  return `0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}`
}

/** Bytes of a text of hex digits after `0x`. */
export function fromHex(text: string): Uint8Array {
  return Buffer.from(text.slice(2), 'hex')
}

/** The last text of each length, with its bytes. One avatar and one id are written into a dozen rows in succession. */
const lastOfLength = new Map<number, { readonly text: string; readonly bytes: Uint8Array }>()
/** Bounds the map. Avatars and ids have two lengths. */
const MAX_KNOWN_LENGTHS = 8

function knownBytes(text: string): Uint8Array {
  const last = lastOfLength.get(text.length)
  if (last?.text === text) return last.bytes
  const bytes = fromHex(text)
  if (last !== undefined || lastOfLength.size < MAX_KNOWN_LENGTHS) lastOfLength.set(text.length, { text, bytes })
  return bytes
}

/** Appends to a growing buffer. */
export class ByteWriter {
  #bytes: Buffer
  #length = 0

  constructor(capacity = 256) {
    this.#bytes = Buffer.allocUnsafe(capacity)
  }

  get length(): number {
    return this.#length
  }

  /** Returns the bytes written. The writer must not be used afterwards. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  /** Leaves `length` bytes to be filled in later. */
  skip(length: number): this {
    this.#reserve(length)
    this.#length += length
    return this
  }

  u8(value: number): this {
    this.#reserve(1)
    this.#bytes[this.#length] = value
    this.#length += 1
    return this
  }

  u32(value: number): this {
    this.#reserve(4)
    this.#length = this.#bytes.writeUInt32BE(value >>> 0, this.#length)
    return this
  }

  /** An integer up to 2^53 − 1 in 8 bytes, big-endian: byte order is number order. */
  u64(value: number): this {
    this.#reserve(8)
    this.#bytes.writeUInt32BE(Math.floor(value / 2 ** 32), this.#length)
    this.#length = this.#bytes.writeUInt32BE(value % 2 ** 32, this.#length + 4)
    return this
  }

  varint(value: number): this {
    let rest = value
    while (rest >= 0x80) {
      this.u8((rest % 0x80) | 0x80)
      rest = Math.floor(rest / 0x80)
    }
    return this.u8(rest)
  }

  bytes(value: Uint8Array): this {
    this.#reserve(value.length)
    this.#bytes.set(value, this.#length)
    this.#length += value.length
    return this
  }

  /** The bytes of `0x` + hex digits. */
  hex(value: string): this {
    return this.bytes(knownBytes(value))
  }

  /** UTF-8 without a length prefix. */
  utf8(value: string): this {
    this.#reserve(value.length * MAX_UTF8_BYTES_A_UNIT)
    this.#length += this.#bytes.write(value, this.#length, 'utf8')
    return this
  }

  /** Length in bytes, then UTF-8. */
  text(value: string): this {
    if (value.length * MAX_UTF8_BYTES_A_UNIT >= 0x80) return this.varint(Buffer.byteLength(value)).utf8(value)
    const at = this.#length
    this.skip(1).utf8(value)
    this.#bytes[at] = this.#length - at - 1
    return this
  }

  #reserve(extra: number): void {
    if (this.#length + extra <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + extra))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }
}

/** Reads what `ByteWriter` wrote. Throws RangeError past the end. */
export class ByteReader {
  readonly #bytes: Uint8Array
  #at: number

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes
    this.#at = at
  }

  get remaining(): number {
    return this.#bytes.length - this.#at
  }

  u8(): number {
    return this.bytes(1)[0] as number
  }

  u32(): number {
    const bytes = this.bytes(4)
    return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0)
  }

  u64(): number {
    const bytes = this.bytes(8)
    const view = new DataView(bytes.buffer, bytes.byteOffset, 8)
    return view.getUint32(0) * 2 ** 32 + view.getUint32(4)
  }

  varint(): number {
    let value = 0
    for (let factor = 1; ; factor *= 0x80) {
      const byte = this.u8()
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
  }

  hex(length: number): `0x${string}` {
    return toHex(this.bytes(length))
  }

  text(): string {
    return decoder.decode(this.bytes(this.varint()))
  }

  /** @returns a view */
  bytes(length: number): Uint8Array {
    if (length > this.remaining) throw new RangeError('the row ends early')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
}
