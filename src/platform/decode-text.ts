const UTF8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Decodes UTF-8 text of files and request bodies. Drops a byte order mark at the start, which some editors write (RFC 8259,
 * section 8.1, allows that).
 *
 * @throws TypeError if the bytes are not UTF-8. Its message completes "Cannot read FILE: " and lacks a full stop, as that of
 *   `fileProblem`
 */
export function decodeText(bytes: Uint8Array): string {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) throw new TypeError('it is compressed with gzip. Decompress it first')
  const isUtf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)
  if (isUtf16) throw new TypeError('it is UTF-16 text. Save it as UTF-8')
  try {
    return UTF8.decode(bytes)
  } catch {
    throw new TypeError('it is not UTF-8 text. Save it as UTF-8')
  }
}
