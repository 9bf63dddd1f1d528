/** Stands for `node:buffer` in a browser. */
import { Bytes } from './bytes.ts'

export function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return true
  } catch {
    return false
  }
}

Object.assign(globalThis, { Buffer: Bytes })
