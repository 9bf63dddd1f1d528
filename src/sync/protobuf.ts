/**
 * The protobuf wire format (protobuf.dev/programming-guides/encoding), as much of it as sync.proto needs. As protobuf
 * demands, unknown fields are ignored, a single field that comes twice keeps its last value, and a missing one is 0 or
 * empty. Groups, given up long ago, are refused.
 */
import { SyncError } from './errors.ts'
import { joinBytes } from './ids.ts'

const WIRE_VARINT = 0
const WIRE_FIXED64 = 1
const WIRE_BYTES = 2
const WIRE_FIXED32 = 5
/** A varint of 64 bits takes at most 10 bytes. */
const MAX_VARINT_BYTES = 10

/** A field with a number, 0 … 2^53 − 1; nothing for 0. */
export function numberField(field: number, value: number): Uint8Array {
  if (value === 0) return EMPTY
  return Uint8Array.from([...varint(field * 8 + WIRE_VARINT), ...varint(value)])
}

/** A field with bytes or a message; nothing for empty bytes. */
export function bytesField(field: number, value: Uint8Array): Uint8Array {
  return value.length === 0 ? EMPTY : messageField(field, value)
}

/** A field with a message, whose presence says something even where it is empty. */
export function messageField(field: number, value: Uint8Array): Uint8Array {
  const head = [...varint(field * 8 + WIRE_BYTES), ...varint(value.length)]
  return joinBytes([Uint8Array.from(head), value])
}

const EMPTY = new Uint8Array(0)

function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80)
  bytes.push(rest)
  return bytes
}

export type Field = (field: number, value: number | Uint8Array) => void

/**
 * Calls `each` with every varint (a number, beyond 2^53 not exact) and every length-delimited field (a view).
 *
 * @throws SyncError `malformed_frame`
 */
export function readFields(bytes: Uint8Array, each: Field): void {
  let at = 0
  const read = (): number => {
    let value = 0
    let scale = 1
    for (let digits = 0; digits < MAX_VARINT_BYTES; digits += 1) {
      const byte = bytes[at]
      if (byte === undefined) throw malformed('it ends inside a number')
      at += 1
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 0x80
    }
    throw malformed('a number is longer than 10 bytes')
  }
  const take = (length: number): Uint8Array => {
    if (length > bytes.length - at) throw malformed('a field is longer than what is left')
    at += length
    return bytes.subarray(at - length, at)
  }
  while (at < bytes.length) {
    const tag = read()
    const field = Math.floor(tag / 8)
    if (field < 1 || field >= 2 ** 29) throw malformed('a field number is out of range')
    switch (tag % 8) {
      case WIRE_VARINT:
        each(field, read())
        break
      case WIRE_BYTES:
        each(field, take(read()))
        break
      case WIRE_FIXED64:
        take(8)
        break
      case WIRE_FIXED32:
        take(4)
        break
      default:
        throw malformed('a field has no known form')
    }
  }
}

export function malformed(why: string): SyncError {
  return new SyncError('malformed_frame', `A frame is not of the sync protocol: ${why}.`)
}
