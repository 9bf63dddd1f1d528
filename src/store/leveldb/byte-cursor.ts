import { ByteReader } from '../bytes.ts'

/** Reads LevelDB's little-endian integers and length-prefixed byte strings. Throws RangeError past the end. */
export class ByteCursor extends ByteReader {
  override u32(): number {
    const bytes = this.bytes(4)
    return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true)
  }

  /** @throws RangeError beyond 2^53 - 1 */
  override u64(): number {
    const low = this.u32()
    return safe(this.u32() * 2 ** 32 + low)
  }

  /** @throws RangeError beyond 2^53 - 1 */
  override varint(): number {
    return safe(super.varint())
  }

  prefixed(): Uint8Array {
    return this.bytes(this.varint())
  }
}

function safe(value: number): number {
  if (!Number.isSafeInteger(value)) throw new RangeError('an integer is out of range')
  return value
}
