import { reader, writer } from 'protons-runtime'
import { describe, expect, it } from 'vitest'
import { decodeBatch, encodeBatch, encodedBytes } from '../../src/record/codec.ts'
import { RecordError } from '../../src/record/errors.ts'
import type { SignedRecord } from '../../src/record/types.ts'
import { utf8 } from './fixtures.ts'

const A: SignedRecord = { payload: utf8('{"a":1}'), signature: new Uint8Array(64).fill(7) }
const B: SignedRecord = { payload: new Uint8Array(300).fill(0x62), signature: new Uint8Array(64).fill(9) }

const bytes = (...pieces: (number | number[] | Uint8Array)[]): Uint8Array =>
  Uint8Array.from(pieces.flatMap((each) => (typeof each === 'number' ? [each] : [...each])))

function codeOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof RecordError) return error.code
    throw error
  }
  return 'accepted'
}

/** Records written by another implementation of protobuf. */
function encodeWithProtons(records: readonly SignedRecord[]): Uint8Array {
  const w = writer()
  for (const { payload, signature } of records) {
    w.uint32(10).fork()
    w.uint32(10).bytes(payload)
    w.uint32(18).bytes(signature)
    w.ldelim()
  }
  return w.finish()
}

describe('the batch codec', () => {
  it.each([0, 1, 2, 127, 128, 129, 16_383, 16_384, 262_144])('carries a payload of %i bytes', (length) => {
    const record = { payload: new Uint8Array(length).fill(1), signature: new Uint8Array(64).fill(2) }
    const encoded = encodeBatch([A, record, B])
    const decoded = decodeBatch(encoded)
    expect(encoded.length).toBe(encodedBytes(A) + encodedBytes(record) + encodedBytes(B))
    expect(decoded.map(({ payload }) => payload.length)).toEqual([A.payload.length, length, 300])
    expect(Buffer.from(record.payload).equals(decoded[1]?.payload ?? utf8('none'))).toBe(true)
    expect(decoded[1]?.signature).toEqual(record.signature)
  })

  it('writes and reads what another implementation does', () => {
    const theirs = encodeWithProtons([A, B])
    expect(encodeBatch([A, B])).toEqual(Uint8Array.from(theirs))
    expect(decodeBatch(theirs)).toEqual([A, B])
    const r = reader(encodeBatch([B]))
    expect([r.uint32(), r.uint32()]).toEqual([10, encodedBytes(B) - 3])
    expect(r.uint32()).toBe(10)
    expect(Uint8Array.from(r.bytes())).toEqual(B.payload)
  })

  it('is empty for no records', () => {
    expect(encodeBatch([])).toHaveLength(0)
    expect(decodeBatch(new Uint8Array(0))).toEqual([])
    expect(decodeBatch(encodeBatch([{ payload: new Uint8Array(0), signature: new Uint8Array(0) }]))).toEqual([
      { payload: new Uint8Array(0), signature: new Uint8Array(0) },
    ])
  })

  it('reads a Buffer, at an offset too, into plain arrays', () => {
    const encoded = encodeBatch([A])
    const [decoded] = decodeBatch(Buffer.concat([Buffer.alloc(3), encoded]).subarray(3))
    expect(decoded).toEqual(A)
    expect(Buffer.isBuffer(decoded?.payload)).toBe(false)
  })

  it('ignores unknown fields of every form, in the batch and in a record', () => {
    const unknown = bytes(
      [0x18, 0x96, 0x01], // field 3, a number
      [0x21, 1, 2, 3, 4, 5, 6, 7, 8], // field 4, 64 bits
      [0x2a, 3, 1, 2, 3], // field 5, bytes
      [0x35, 1, 2, 3, 4], // field 6, 32 bits
      [0x08, 1], // field 1, but a number
    )
    const record = bytes(unknown, 0x0a, 2, 1, 2, unknown, 0x12, 1, 3, unknown)
    const batch = bytes(unknown, 0x0a, [0x80 | (record.length & 0x7f), record.length >> 7], record, unknown)
    expect(decodeBatch(batch)).toEqual([{ payload: bytes(1, 2), signature: bytes(3) }])
  })

  it('keeps the last value of a field that comes twice', () => {
    expect(decodeBatch(bytes(0x0a, 9, 0x0a, 1, 1, 0x12, 1, 2, 0x0a, 1, 3))).toEqual([
      { payload: bytes(3), signature: bytes(2) },
    ])
  })

  it.each<[string, Uint8Array]>([
    ['a tag alone', bytes(0x0a)],
    ['a number cut short', bytes(0x0a, 0x80)],
    ['a length beyond the end', bytes(0x0a, 5, 0x0a)],
    ['a length beyond the end of the record', bytes(0x0a, 2, 0x0a, 1)],
    ['a length of 2^63', bytes(0x0a, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])],
    [
      'a number of 11 bytes',
      bytes(
        0x08,
        Array.from({ length: 11 }, () => 0x80),
      ),
    ],
    ['field 0', bytes(0x02, 0)],
    ['wire type 6', bytes(0x0e)],
    ['wire type 7', bytes(0x0f)],
    ['a group, of an unknown field', bytes(0x3b, 0x0a, 1, 9, 0x3c)],
    ['the end of a group that never began', bytes(0x0c)],
    ['100,000 nested groups', new Uint8Array(100_000).fill(0x0b)],
    ['64 bits cut short', bytes(0x09, 1, 2, 3)],
    ['32 bits cut short', bytes(0x0d, 1, 2, 3)],
    ['1 MiB and a byte', new Uint8Array(1_048_577)],
    ['4,097 records', bytes(Array.from({ length: 4_097 }, () => [0x0a, 0]).flat())],
    ['JSON', utf8('{"records":[]}')],
  ])('refuses %s', (_, batch) => {
    expect(codeOf(() => decodeBatch(batch))).toBe('invalid_batch')
  })

  it('takes limits', () => {
    const encoded = encodeBatch([A, B])
    expect(codeOf(() => decodeBatch(encoded, { maxBytes: encoded.length - 1 }))).toBe('invalid_batch')
    expect(codeOf(() => decodeBatch(encoded, { maxRecords: 1 }))).toBe('invalid_batch')
    expect(decodeBatch(encoded, { maxBytes: encoded.length, maxRecords: 2 })).toHaveLength(2)
    expect(decodeBatch(bytes(Array.from({ length: 4_096 }, () => [0x0a, 0]).flat()))).toHaveLength(4_096)
  })
})
