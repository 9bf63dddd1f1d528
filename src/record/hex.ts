/**
 * Hex digits and bytes, for what each record needs several times: three times as fast as `@noble/hashes`, which also gives texts
 * that the engine has to put together when they become keys of a map.
 */
const NO_DIGIT = 0xff
const DIGITS = '0123456789abcdef'

/** The value of each hex digit, in both cases, by its character code. */
const VALUES = new Uint8Array(128).fill(NO_DIGIT)
for (const [value, digit] of [...DIGITS].entries()) {
  VALUES[digit.charCodeAt(0)] = value
  VALUES[digit.toUpperCase().charCodeAt(0)] = value
}

/** The character codes of the two digits of each byte. */
const CODES = new Uint8Array(512)
for (let byte = 0; byte < 256; byte++) {
  CODES[2 * byte] = DIGITS.charCodeAt(byte >> 4)
  CODES[2 * byte + 1] = DIGITS.charCodeAt(byte & 15)
}

const ASCII = new TextDecoder()

/**
 * The bytes of hex digits in any case.
 *
 * @param start where the digits begin: 2 after `0x`
 * @throws RangeError if there is an odd number of them, or another character among them
 */
export function hexBytes(text: string, start: number): Uint8Array {
  const bytes = new Uint8Array(Math.max(0, text.length - start) >>> 1)
  writeHexBytes(bytes, 0, text, start)
  return bytes
}

/** Writes the bytes of hex digits into `target` at `offset`, which must have room. @throws RangeError as `hexBytes` */
export function writeHexBytes(target: Uint8Array, offset: number, text: string, start: number): void {
  let at = offset
  for (let i = start; i < text.length; i += 2) {
    const high = VALUES[text.charCodeAt(i)] ?? NO_DIGIT
    const low = VALUES[text.charCodeAt(i + 1)] ?? NO_DIGIT
    if (high === NO_DIGIT || low === NO_DIGIT) throw new RangeError('The text is not pairs of hex digits.')
    target[at++] = (high << 4) | low
  }
}

/** Returns a function that gives `prefix` and the lower-case digits of `length` bytes. It throws a RangeError for more or fewer. */
export function hexWriter(prefix: string, length: number): (bytes: Uint8Array) => string {
  const codes = new TextEncoder().encode(prefix + '00'.repeat(length))
  const start = prefix.length
  return (bytes) => {
    if (bytes.length !== length) throw new RangeError(`There are ${bytes.length} bytes; there must be ${length}.`)
    for (let i = 0; i < length; i++) {
      const byte = bytes[i] ?? 0
      codes[start + 2 * i] = CODES[2 * byte] ?? 0
      codes[start + 2 * i + 1] = CODES[2 * byte + 1] ?? 0
    }
    return ASCII.decode(codes)
  }
}
