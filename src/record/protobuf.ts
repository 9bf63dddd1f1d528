/**
 * The protobuf wire format (protobuf.dev/programming-guides/encoding), as much of it as record.proto and sync.proto need.
 * As protobuf demands, unknown fields are ignored, a field that comes twice keeps its last value, and a missing field is
 * 0 or empty. Groups, which protobuf deprecated, are rejected. Nothing is copied and nothing recurses.
 */
export const WIRE_BYTES = 2
const WIRE_VARINT = 0
const WIRE_FIXED64 = 1
const WIRE_FIXED32 = 5
/** A varint of 64 bits takes at most 10 bytes. */
const MAX_VARINT_BYTES = 10
/** Field numbers have 29 bits. */
const MAX_FIELD_NUMBER = 2 ** 29 - 1

/** Writes a field with a number, 0 … 2^53 − 1; writes nothing for 0. */
export function numberField(field: number, value: number): Uint8Array {
  if (value === 0) return EMPTY
  return Uint8Array.from([...varint(field * 8 + WIRE_VARINT), ...varint(value)])
}

/** Writes a field with bytes or a message; writes nothing for empty bytes. */
export function bytesField(field: number, value: Uint8Array): Uint8Array {
  return value.length === 0 ? EMPTY : messageField(field, value)
}

/** Writes a field with a message, also if it is empty: its presence has a meaning. */
export function messageField(field: number, value: Uint8Array): Uint8Array {
  const head = [...varint(field * 8 + WIRE_BYTES), ...varint(value.length)]
  const bytes = new Uint8Array(head.length + value.length)
  bytes.set(head)
  bytes.set(value, head.length)
  return bytes
}

const EMPTY = new Uint8Array(0)

/** A number as LEB128: seven bits a byte, the lowest first. */
export function varint(value: number): number[] {
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
 * @param malformed makes the error to throw for bytes that are not protobuf, of a text that says what is wrong
 */
export function readFields(bytes: Uint8Array, each: Field, malformed: (why: string) => Error): void {
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
  /** Passes over `length` bytes. Lengths beyond 2^53 lose precision, and are far beyond the end all the same. */
  const pass = (length: number): number => {
    if (length > bytes.length - at) throw malformed('a field is longer than what is left')
    at += length
    return at - length
  }
  while (at < bytes.length) {
    const tag = read()
    const field = Math.floor(tag / 8)
    if (field < 1 || field > MAX_FIELD_NUMBER) throw malformed('a field number is out of range')
    const wire = tag % 8
    if (wire === WIRE_BYTES) {
      const length = read()
      // Not subarray: of a Buffer it would be a Buffer.
      each(field, new Uint8Array(bytes.buffer, bytes.byteOffset + pass(length), length))
    } else if (wire === WIRE_VARINT) each(field, read())
    else if (wire === WIRE_FIXED64) pass(8)
    else if (wire === WIRE_FIXED32) pass(4)
    else throw malformed('a field has no known form')
  }
}
