import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { NetworkError } from '../../src/network/errors.ts'
import { FrameReader, withLength } from '../../src/network/frame-reader.ts'
import { propertyRuns } from '../support/runs.ts'

const MAX_BYTES = 20_000

/** Reads all frames of bytes that arrive in pieces of these sizes. */
function readInPieces(bytes: Uint8Array, sizes: readonly number[]): { frames: Uint8Array[]; reader: FrameReader } {
  const reader = new FrameReader(MAX_BYTES)
  const frames: Uint8Array[] = []
  for (let at = 0, piece = 0; at < bytes.length; piece += 1) {
    const size = sizes[piece % sizes.length] ?? 1
    reader.push(bytes.subarray(at, at + size))
    at += size
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) frames.push(frame)
  }
  return { frames, reader }
}

const lengths = fc.oneof(
  fc.constantFrom(0, 1, 127, 128, 129, 16_383, 16_384, MAX_BYTES),
  fc.integer({ min: 0, max: MAX_BYTES }),
)
const pieces = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 20 })

describe('frames behind their length', () => {
  test('come out as they went in, however they are cut on the way', () => {
    fc.assert(
      fc.property(fc.array(lengths, { maxLength: 12 }), pieces, (all, sizes) => {
        const sent = all.map((length, index) => new Uint8Array(length).fill(index + 1))
        const bytes = Buffer.concat(sent.map(withLength))
        const { frames, reader } = readInPieces(bytes, sizes)
        expect(frames.map((frame) => frame.length)).toEqual(sent.map((frame) => frame.length))
        expect(Buffer.compare(Buffer.concat(frames), Buffer.concat(sent))).toBe(0)
        expect(reader.isWithinFrame).toBe(false)
        expect(reader.waitingBytes).toBe(0)
      }),
      { numRuns: propertyRuns(300) },
    )
  })

  test('that are cut short are known to be so, wherever', () => {
    fc.assert(
      fc.property(lengths, pieces, fc.nat(), (length, sizes, seed) => {
        const bytes = withLength(new Uint8Array(length).fill(7))
        const cut = bytes.subarray(0, 1 + (seed % Math.max(1, bytes.length - 1)))
        fc.pre(cut.length < bytes.length)
        const { frames, reader } = readInPieces(cut, sizes)
        expect(frames).toEqual([])
        expect(reader.isWithinFrame).toBe(true)
      }),
      { numRuns: propertyRuns(300) },
    )
  })

  test('any bytes make frames within the bound, or are refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), pieces, (bytes, sizes) => {
        try {
          for (const frame of readInPieces(bytes, sizes).frames) expect(frame.length).toBeLessThanOrEqual(MAX_BYTES)
        } catch (error) {
          expect(error).toBeInstanceOf(NetworkError)
          expect((error as NetworkError).code).toBe('frame_invalid')
        }
      }),
      { numRuns: propertyRuns(2000) },
    )
  })
})

describe('a length', () => {
  test.each([
    { what: 'above the bound', bytes: withLength(new Uint8Array(MAX_BYTES + 1)).subarray(0, 3) },
    { what: 'of many bytes', bytes: Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff) },
    { what: 'of zeros without an end', bytes: Uint8Array.of(0x80, 0x80, 0x80, 0x80) },
    { what: 'of a zero too many', bytes: Uint8Array.of(0x81, 0x00) },
    { what: 'of nothing in two bytes', bytes: Uint8Array.of(0x80, 0x00) },
  ])('$what is refused before anything is gathered', ({ bytes }) => {
    const reader = new FrameReader(MAX_BYTES)
    reader.push(bytes)
    expect(() => reader.next()).toThrow(NetworkError)
  })

  test('is that of the specification', () => {
    // Examples of multiformats/unsigned-varint.
    expect([...withLength(new Uint8Array(1)).subarray(0, 1)]).toEqual([0x01])
    expect([...withLength(new Uint8Array(127)).subarray(0, 1)]).toEqual([0x7f])
    expect([...withLength(new Uint8Array(128)).subarray(0, 2)]).toEqual([0x80, 0x01])
    expect([...withLength(new Uint8Array(255)).subarray(0, 2)]).toEqual([0xff, 0x01])
    expect([...withLength(new Uint8Array(300)).subarray(0, 2)]).toEqual([0xac, 0x02])
    expect([...withLength(new Uint8Array(16_384)).subarray(0, 3)]).toEqual([0x80, 0x80, 0x01])
  })
})
