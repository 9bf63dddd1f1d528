import { createHash, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto'

import { hashes, Point, verify as verifyWithCofactor } from '@noble/ed25519'
import { sha512 } from '@noble/hashes/sha2.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { verifyEd25519 } from '../../src/receipt/ed25519.ts'
import { PROPERTY_TIMEOUT_MS, propertyRuns } from '../support/runs.ts'

hashes.sha512 = sha512

const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n
const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'))
const integer = (from: Uint8Array): bigint => BigInt(`0x${Buffer.from(from).reverse().toString('hex') || '0'}`)
const encoded = (value: bigint): Uint8Array => bytes(value.toString(16).padStart(64, '0')).reverse()
const joined = (...parts: Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(parts))

/** OpenSSL: without the cofactor, and with R compared as bytes. */
function verifyByOpenSsl(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  const x = Buffer.from(publicKey).toString('base64url')
  return verify(null, message, createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }), signature)
}

/** RFC 8032, section 7.1: public key, message, signature. */
const VECTORS: readonly (readonly [name: string, key: string, message: string, signature: string])[] = [
  [
    'TEST 1',
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '',
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  ],
  [
    'TEST 2',
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    '72',
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  ],
  [
    'TEST 3',
    'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    'af82',
    '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  ],
  [
    'TEST SHA(abc)',
    'ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf',
    'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
    'dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704',
  ],
]

/** Points whose order divides 8, in their shortest encodings (0 and 1, of order 4 and 1, and so on). */
const SMALL_ORDER = [
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0000000000000000000000000000000000000000000000000000000000000080',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
]

/** Signs with R and A moved by points of small order, as nobody honest does. */
function signCrooked(message: Uint8Array, moveR: Point, moveA: Point): { signature: Uint8Array; key: Uint8Array } {
  const secret = 0x1234567890abcdefn
  const nonce = 0xfedcba0987654321n
  const key = Point.BASE.multiply(secret).add(moveA).toBytes()
  const r = Point.BASE.multiply(nonce).add(moveR).toBytes()
  const k = integer(createHash('sha512').update(r).update(key).update(message).digest()) % ORDER
  return { signature: joined(r, encoded((nonce + k * secret) % ORDER)), key }
}

describe('Ed25519', () => {
  it.each(VECTORS)('%s of RFC 8032 is good, and with any one bit changed is not', (_, keyHex, messageHex, hex) => {
    const [key, message, signature] = [bytes(keyHex), bytes(messageHex), bytes(hex)]
    expect(verifyEd25519(signature, message, key)).toBe(true)
    for (let bit = 0; bit < signature.length * 8; bit += 37) {
      const other = Uint8Array.from(signature)
      other[bit >> 3]! ^= 1 << (bit & 7)
      expect(verifyEd25519(other, message, key)).toBe(false)
    }
    expect(verifyEd25519(signature, joined(message, Uint8Array.of(0)), key)).toBe(false)
  })

  it('takes s below the order only: s + n × order, which gives the same equation, is refused', () => {
    const [, keyHex, messageHex, hex] = VECTORS[1]!
    const signature = bytes(hex)
    for (let value = integer(signature.subarray(32)) + ORDER; value < 2n ** 256n; value += ORDER) {
      const other = joined(signature.subarray(0, 32), encoded(value))
      expect(verifyEd25519(other, bytes(messageHex), bytes(keyHex))).toBe(false)
    }
    for (const value of [ORDER, 2n ** 256n - 1n]) {
      const other = joined(signature.subarray(0, 32), encoded(value))
      expect(verifyEd25519(other, bytes(messageHex), bytes(keyHex))).toBe(false)
    }
  })

  it.each([0, 31, 63, 65, 128])('takes no signature of %i bytes', (length) => {
    const [, keyHex, messageHex, hex] = VECTORS[0]!
    const other = joined(bytes(hex), new Uint8Array(64)).subarray(0, length)
    expect(verifyEd25519(other, bytes(messageHex), bytes(keyHex))).toBe(false)
  })

  it('has no cofactor: what is good only when multiplied by 8 is refused', () => {
    const message = bytes('6162')
    for (const torsion of SMALL_ORDER.slice(1).map((hex) => Point.fromHex(hex))) {
      const { signature, key } = signCrooked(message, torsion, Point.ZERO)
      expect(verifyWithCofactor(signature, message, key, { zip215: false })).toBe(true)
      expect(verifyByOpenSsl(signature, message, key)).toBe(false)
      expect(verifyEd25519(signature, message, key)).toBe(false)
    }
  })

  it('judges a key with a part of small order as OpenSSL does', () => {
    const verdicts = new Set<boolean>()
    for (const torsion of SMALL_ORDER.slice(1).map((hex) => Point.fromHex(hex))) {
      for (let count = 0; count < 16; count++) {
        const message = Uint8Array.of(count)
        const { signature, key } = signCrooked(message, Point.ZERO, torsion)
        const verdict = verifyEd25519(signature, message, key)
        expect(verdict).toBe(verifyByOpenSsl(signature, message, key))
        verdicts.add(verdict)
      }
    }
    expect(verdicts).toEqual(new Set([true, false]))
  })

  it.each(SMALL_ORDER)('takes no key of small order, %s', (hex) => {
    // [0]B − [k]A is of small order as well: one of these is R for most messages, and would be good.
    const fits = SMALL_ORDER.map(bytes).flatMap((r) => Array.from({ length: 8 }, (_, at) => ({ r, text: [at] })))
    const good = fits.filter(({ r, text }) =>
      verifyByOpenSsl(joined(r, new Uint8Array(32)), Uint8Array.from(text), bytes(hex)),
    )
    expect(good.length).toBeGreaterThan(0)
    for (const { r, text } of fits) {
      expect(verifyEd25519(joined(r, new Uint8Array(32)), Uint8Array.from(text), bytes(hex))).toBe(false)
    }
  })

  it.each([
    ['that is on no curve', '0200000000000000000000000000000000000000000000000000000000000000'],
    ['with y = p + 1', 'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'],
    ['with the sign of x = 0', '0100000000000000000000000000000000000000000000000000000000000080'],
    ['that is short', '01'],
    ['that is missing', ''],
  ])('takes no key %s', (_, hex) => {
    const r = bytes(SMALL_ORDER[0]!)
    expect(verifyEd25519(joined(r, new Uint8Array(32)), bytes('00'), bytes(hex))).toBe(false)
  })

  it(
    'agrees with OpenSSL on signatures that were tampered with, and those that were not',
    () => {
      const { privateKey, publicKey } = generateKeyPairSync('ed25519')
      const key = Uint8Array.from(Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url'))
      fc.assert(
        fc.property(
          fc.uint8Array({ maxLength: 300 }),
          fc.option(fc.record({ part: fc.constantFrom(0, 1, 2), bit: fc.nat() })),
          (message, change) => {
            const parts = [
              Uint8Array.from(sign(null, message, privateKey)),
              Uint8Array.from(message),
              Uint8Array.from(key),
            ]
            const changed = parts[change?.part ?? 0]!
            const bit = (change?.bit ?? 0) % (changed.length * 8 || 1)
            if (change !== null && changed.length > 0) changed[bit >> 3]! ^= 1 << (bit & 7)
            const [signature, text, other] = parts as [Uint8Array, Uint8Array, Uint8Array]
            const verdict = verifyEd25519(signature, text, other)
            expect(verdict).toBe(verifyByOpenSsl(signature, text, other))
            expect(verdict).toBe(change === null || changed.length === 0)
          },
        ),
        { numRuns: propertyRuns(100) },
      )
    },
    PROPERTY_TIMEOUT_MS,
  )
})
