/** The few calls of Node's Buffer that checking an archive makes, over plain bytes, for browsers. */
import { bytesToHex, concatBytes, hexToBytes } from '@noble/hashes/utils.js'

type Encoding = 'utf8' | 'latin1' | 'hex'

export class Bytes extends Uint8Array {
  static override from(source: unknown, second?: unknown, length?: number): Bytes {
    if (typeof source === 'string') {
      return wrap(second === 'hex' ? hexToBytes(source) : new TextEncoder().encode(source))
    }
    if (source instanceof ArrayBuffer) return new Bytes(source, second === undefined ? 0 : Number(second), length)
    return wrap(Uint8Array.from(source as Iterable<number>))
  }

  static concat(list: readonly Uint8Array[]): Bytes {
    return wrap(concatBytes(...list))
  }

  override toString(encoding: Encoding = 'utf8', start = 0, end = this.length): string {
    const bytes = new Uint8Array(this.buffer, this.byteOffset + start, end - start)
    if (encoding === 'hex') return bytesToHex(bytes)
    // Browsers take "latin1" for windows-1252, so it is done by hand.
    if (encoding === 'latin1') {
      let text = ''
      for (const each of bytes) text += String.fromCharCode(each)
      return text
    }
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
  }
}

/** The same memory, seen as `Bytes`. */
function wrap(bytes: Uint8Array): Bytes {
  return new Bytes(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength)
}
