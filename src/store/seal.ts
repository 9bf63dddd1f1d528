/** Every row with a value begins with a CRC-32 of its key and its content. */
import { crc32 } from 'node:zlib'
import { attempt, ByteWriter } from './bytes.ts'
import type { Key } from './keys.ts'

const CRC_BYTES = 4

/** A writer for a row's content that reserves the checksum before it. */
export function startRow(capacity: number): ByteWriter {
  return new ByteWriter(CRC_BYTES + capacity).skip(CRC_BYTES)
}

/** Fills in the checksum of a row begun with `startRow`. */
export function seal(key: Key, row: Uint8Array): Uint8Array {
  new DataView(row.buffer, row.byteOffset, CRC_BYTES).setUint32(0, crc32(row.subarray(CRC_BYTES), crc32(key)))
  return row
}

/** The content of a sealed row; undefined if the checksum does not match. */
export function unseal(key: Key, row: Uint8Array): Uint8Array | undefined {
  if (row.length < CRC_BYTES) return undefined
  const content = row.subarray(CRC_BYTES)
  return sealOf(row) === crc32(content, crc32(key)) ? content : undefined
}

/** The checksum of a sealed row. */
export function sealOf(row: Uint8Array): number {
  return new DataView(row.buffer, row.byteOffset, CRC_BYTES).getUint32(0)
}

/** The decoded content of a sealed row; undefined if there is no row, or if it fails its check or does not decode. */
export function openSealed<T>(
  key: Key,
  row: Uint8Array | undefined,
  decode: (content: Uint8Array) => T,
): T | undefined {
  const content = row && unseal(key, row)
  return content && attempt(() => decode(content))
}
