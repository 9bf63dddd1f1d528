import { hexToBytes } from '@noble/hashes/utils.js'
import { describe, expect, it } from 'vitest'
import { isStrictSignature, parseSignature, splitSignature } from '../../src/record/signature.ts'
import { id } from './fixtures.ts'

const BYTES = Uint8Array.from({ length: 65 }, (_, i) => (i === 64 ? 1 : 255 - i))
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
const COMPACT = BYTES.slice(0, 64)

describe('parseSignature', () => {
  it.each([
    [`0x${hex(COMPACT)}`, COMPACT],
    [`0x${hex(COMPACT).toUpperCase()}`, COMPACT],
    [`0x${hex(BYTES)}`, BYTES],
    [base64(COMPACT), COMPACT],
    [base64(BYTES), BYTES],
    [base64(BYTES).replace('=', ''), BYTES],
  ])('reads %s', (text, bytes) => expect(parseSignature(text)).toEqual(bytes))

  it.each([
    '',
    '0x',
    hex(COMPACT),
    `0x${hex(COMPACT).slice(1)}`,
    `0x${hex(BYTES)}00`,
    base64(COMPACT.slice(1)),
    base64(COMPACT).replace('/', '_').replace('+', '-'),
    ` ${base64(COMPACT)}`,
    `${base64(BYTES)}\n`,
    'x'.repeat(1_000_000),
  ])('refuses %.40s', (text) => {
    expect(() => parseSignature(text)).toThrow(
      expect.objectContaining({ name: 'RecordError', code: 'invalid_signature' }),
    )
  })
})

const N = 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141'
const BELOW_N = 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140'
const HALF = '7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0'
const ABOVE_HALF = '7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a1'
const ONE = id(1).slice(2)
const ZERO = id(0).slice(2)
const MAX = 'f'.repeat(64)

describe('splitSignature', () => {
  it.each([
    [BELOW_N, HALF],
    [ONE, ONE],
  ])('takes r %s and s %s', (r, s) => {
    const bytes = hexToBytes(r + s)
    expect(splitSignature(bytes, false)).toEqual({ compact: bytes, recoveryId: null })
    expect(isStrictSignature(bytes)).toBe(true)
  })

  it.each([
    [ZERO, ONE, 'invalid_signature'],
    [ONE, ZERO, 'invalid_signature'],
    [ZERO, ZERO, 'invalid_signature'],
    [N, ONE, 'invalid_signature'],
    [ONE, N, 'invalid_signature'],
    [MAX, ONE, 'invalid_signature'],
    [ONE, MAX, 'invalid_signature'],
    [ONE, ABOVE_HALF, 'high_s'],
    [ONE, BELOW_N, 'high_s'],
  ])('refuses r %s and s %s: %s', (r, s, code) => {
    const bytes = hexToBytes(r + s)
    expect(() => splitSignature(bytes, false)).toThrow(expect.objectContaining({ code }))
    expect(isStrictSignature(bytes)).toBe(false)
  })

  it('takes v in {0, 1, 27, 28} where it is asked for, and no other', () => {
    const taken = new Map<number, number | null>()
    for (let v = 0; v < 256; v++) {
      const bytes = hexToBytes(ONE + ONE + v.toString(16).padStart(2, '0'))
      expect(() => splitSignature(bytes, false)).toThrow(expect.objectContaining({ code: 'invalid_signature' }))
      try {
        const { compact, recoveryId } = splitSignature(bytes, true)
        expect(compact).toEqual(bytes.slice(0, 64))
        taken.set(v, recoveryId)
      } catch (error) {
        expect(error).toMatchObject({ code: 'wrong_recovery' })
      }
    }
    expect([...taken]).toEqual([
      [0, 0],
      [1, 1],
      [27, 0],
      [28, 1],
    ])
  })

  it.each([0, 1, 63, 66, 128, 1_000])('refuses %i bytes', (length) => {
    const bytes = new Uint8Array(length).fill(1)
    for (const recoveryByte of [false, true]) {
      expect(() => splitSignature(bytes, recoveryByte)).toThrow(expect.objectContaining({ code: 'invalid_signature' }))
    }
    expect(isStrictSignature(bytes)).toBe(false)
  })
})
