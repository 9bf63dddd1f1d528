import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
import fc from 'fast-check'
import { expect, test } from 'vitest'

import { hexBytes, hexWriter, writeHexBytes } from '../../src/record/hex.ts'
import { recordDigest } from '../../src/record/id.ts'

const BYTES = fc.uint8Array({ maxLength: 70 })

test('hex digits and bytes are those of the library', () => {
  fc.assert(
    fc.property(BYTES, fc.boolean(), (bytes, isUpper) => {
      const digits = isUpper ? bytesToHex(bytes).toUpperCase() : bytesToHex(bytes)
      expect(hexBytes(digits, 0)).toEqual(bytes)
      expect(hexBytes(`0x${digits}`, 2)).toEqual(hexToBytes(digits))
      expect(hexWriter('0x', bytes.length)(bytes)).toBe(`0x${bytesToHex(bytes)}`)
    }),
  )
})

test('bytes are written where they belong, and nowhere else', () => {
  const target = new Uint8Array(5).fill(9)
  writeHexBytes(target, 1, '0x01ff', 2)
  expect([...target]).toEqual([9, 1, 255, 9, 9])
})

test('what is no pair of hex digits is an error, as with the library', () => {
  const text = fc.string({ unit: fc.constantFrom('0', '9', 'a', 'F', 'g', '/', ':', '@', '`', ' ', 'é', '\u{ff10}') })
  fc.assert(
    fc.property(text, (digits) => {
      const read = (decode: (text: string) => Uint8Array) => {
        try {
          return bytesToHex(decode(digits))
        } catch {
          return 'error'
        }
      }
      expect(read((each) => hexBytes(each, 0))).toBe(read(hexToBytes))
    }),
  )
  expect(() => hexWriter('', 2)(Uint8Array.of(1))).toThrow(RangeError)
})

test('the digest of a payload does not depend on those before it, whatever their lengths', () => {
  const lengths = fc.array(fc.oneof(fc.nat(1_200), fc.integer({ min: 4_000, max: 4_200 })), { maxLength: 20 })
  fc.assert(
    fc.property(lengths, fc.nat(255), (all, fill) => {
      for (const [at, length] of all.entries()) {
        const payload = new Uint8Array(length).fill(fill + at)
        const prefix = Buffer.from(`\x19Ethereum Signed Message:\n${length}`)
        expect(recordDigest(payload)).toEqual(keccak_256(Buffer.concat([prefix, payload])))
      }
    }),
  )
})
