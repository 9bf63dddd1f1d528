import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { isExactNumber } from '../../src/record/exact-number.ts'
import { propertyRuns } from '../support/runs.ts'

/** Any double, by its bits. */
const anyDouble = fc.double({ noNaN: true, noDefaultInfinity: true })
const sign = fc.constantFrom('', '-')

/** The exact value of a double times 10^1100, which is a whole number: another way than that of the source. */
function scaled(double: number): bigint {
  const bits = new DataView(new ArrayBuffer(8))
  bits.setFloat64(0, double)
  const raw = bits.getBigUint64(0)
  const exponent = Number((raw >> 52n) & 0x7ffn)
  const fraction = raw & ((1n << 52n) - 1n)
  const mantissa = exponent === 0 ? fraction : fraction | (1n << 52n)
  const power = Math.max(exponent, 1) - 1075
  const value = power >= 0 ? (mantissa << BigInt(power)) * 10n ** 1100n : (mantissa * 10n ** 1100n) >> BigInt(-power)
  return raw >> 63n === 1n ? -value : value
}

/** The exact decimal text of a double. */
function exactText(double: number): string {
  const value = scaled(Math.abs(double)).toString().padStart(1101, '0')
  const fraction = value.slice(-1100).replace(/0+$/, '')
  return (double < 0 ? '-' : '') + value.slice(0, -1100) + (fraction === '' ? '' : `.${fraction}`)
}

describe('isExactNumber', () => {
  it('takes each integer that a double has exactly, and of the others just those that a double is written as', () => {
    const integer = fc.oneof(
      fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }),
      fc.bigInt({ min: 2n ** 53n - 40n, max: 2n ** 53n + 40n }),
      fc.tuple(fc.bigInt({ min: -9n, max: 9n }), fc.nat(60)).map(([digit, zeros]) => digit * 10n ** BigInt(zeros)),
    )
    fc.assert(
      fc.property(integer, (value) => {
        const text = value.toString()
        const double = Number(text)
        const significant = text.replace(/^-/, '').replace(/0+$/, '').length
        const isWritten =
          significant > 0 && significant <= 17 && BigInt(expand(double.toPrecision(significant))) === value
        expect(isExactNumber(text)).toBe(BigInt(double) === value || isWritten)
      }),
      { numRuns: propertyRuns(5_000) },
    )
  })

  it('takes every double as any number of digits writes it that is enough, in every notation', () => {
    fc.assert(
      fc.property(anyDouble, fc.integer({ min: 0, max: 16 }), (double, digits) => {
        expect(isExactNumber(String(double))).toBe(true)
        expect(isExactNumber(JSON.stringify(double))).toBe(true)
        expect(isExactNumber(double.toExponential(16))).toBe(true)
        const short = double.toExponential(digits)
        if (Number(short) === double) expect(isExactNumber(short)).toBe(true)
      }),
      { numRuns: propertyRuns(5_000) },
    )
  })

  it('takes powers of two, of which the shortest text is not always the nearest', () => {
    for (let power = -1074; power < 1024; power++) expect(isExactNumber(String(2 ** power))).toBe(true)
  })

  it('takes the exact value of every double, and nothing a hair beside it', () => {
    fc.assert(
      fc.property(anyDouble, (double) => {
        const exact = exactText(double)
        expect(isExactNumber(exact)).toBe(true)
        if (exact.replace(/^-|\./g, '').replace(/^0+/, '').length < 17) return
        expect(isExactNumber(`${exact}${exact.includes('.') ? '' : '.'}${'0'.repeat(400)}1`)).toBe(false)
      }),
      { numRuns: propertyRuns(2_000) },
    )
  })

  it('agrees with itself whatever the notation', () => {
    const digits = fc.stringMatching(/^[1-9][0-9]{0,24}$/)
    fc.assert(
      fc.property(sign, digits, fc.integer({ min: -340, max: 300 }), fc.nat(30), (minus, text, exponent, zeros) => {
        const plain = isExactNumber(`${minus}${text}e${exponent}`)
        expect(isExactNumber(`${minus}${text}.0E${exponent}`)).toBe(plain)
        expect(isExactNumber(`${minus}${text}${'0'.repeat(zeros)}e${exponent - zeros}`)).toBe(plain)
        expect(isExactNumber(`${minus}0.${'0'.repeat(zeros)}${text}e${exponent + zeros + text.length}`)).toBe(plain)
      }),
      { numRuns: propertyRuns(5_000) },
    )
  })

  it.each([
    ['9007199254740992', true],
    ['1000000000000000000', true],
    ['18446744073709552000', true],
    ['1e21', true],
    ['0.1', true],
    ['0.10000000000000001', true],
    ['4.9E-324', true],
    ['5e-324', true],
    ['-0', true],
    ['-0.0e5', true],
    ['0e999999999999999999999', true],
    ['9007199254740993', false],
    ['9007199254740993.0', false],
    ['9007199254740993e0', false],
    ['90071992547409930e-1', false],
    ['4611686018427387905', false],
    ['3.14159265358979323846', false],
    ['1e400', false],
    ['-1e400', false],
    ['1e-400', false],
    [`1${'0'.repeat(400)}`, false],
    [`0.${'0'.repeat(400)}1`, false],
    [`0.${'0'.repeat(400)}1e401`, true],
    [`${'9'.repeat(100_000)}e-99990`, false],
  ])('judges %s', (text, exact) => {
    expect(isExactNumber(text)).toBe(exact)
  })
})

/** Digits of a whole number in any notation. */
function expand(text: string): string {
  const [mantissa = '', exponent = '0'] = text.split('e')
  const [whole = '', fraction = ''] = mantissa.split('.')
  const power = Number(exponent)
  return `${whole}${fraction.slice(0, power).padEnd(power, '0')}`
}
