/** The most significant digits that a program needs to write any double (IEEE 754, binary64). */
const DOUBLE_DIGITS = 17
/** The most significant digits that the exact value of a double has: those of the greatest subnormal. */
const MAX_EXACT_DIGITS = 767
/** Texts up to this length without an exponent are exact: 15 significant digits always survive. */
const SHORT_LENGTH = 15

/** A decimal value: 0.DIGITS times 10 to the power `point`. No zero begins or ends the digits; zero has none. */
interface Decimal {
  readonly digits: string
  readonly point: number
}

/**
 * Whether reading a number as a double keeps it (docs/protocol.md, "Exact numbers"): the double has exactly the value of
 * the text, or the text is that double written with at most 17 significant digits.
 *
 * @param text a JSON number
 */
export function isExactNumber(text: string): boolean {
  if (text.length <= SHORT_LENGTH && !/e/i.test(text)) return true
  const double = Math.abs(Number(text))
  if (!Number.isFinite(double)) return false
  const decimal = parseDecimal(text)
  if (decimal.digits === '' || double === 0) return decimal.digits === '' && double === 0
  // `String` gives the shortest text, which is what JavaScript and RFC 8785 write; `toPrecision` gives the others.
  if (isSame(decimal, parseDecimal(String(double)))) return true
  const count = decimal.digits.length
  if (count <= DOUBLE_DIGITS && isSame(decimal, parseDecimal(double.toPrecision(count)))) return true
  return count <= MAX_EXACT_DIGITS && isValueOf(decimal, double)
}

function parseDecimal(text: string): Decimal {
  const [, whole = '', fraction = '', exponent = '0'] = /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? []
  const all = whole + fraction
  const first = all.search(/[1-9]/)
  if (first < 0) return { digits: '', point: 0 }
  let end = all.length
  while (all.charCodeAt(end - 1) === 0x30) end--
  return { digits: all.slice(first, end), point: whole.length - first + Number(exponent) }
}

function isSame(a: Decimal, b: Decimal): boolean {
  return a.digits === b.digits && a.point === b.point
}

/** Compares in whole numbers: both sides times the same powers of 2 and 10. */
function isValueOf({ digits, point }: Decimal, double: number): boolean {
  let whole = double
  let twos = 0
  for (; !Number.isInteger(whole); whole *= 2) twos++
  const tens = point - digits.length
  const left = (BigInt(digits) << BigInt(twos)) * 10n ** BigInt(Math.max(tens, 0))
  return left === BigInt(whole) * 10n ** BigInt(Math.max(-tens, 0))
}
