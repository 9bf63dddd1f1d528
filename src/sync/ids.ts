import { ID_BYTES } from '../negentropy/wire.ts'

/** The map key of an id: two bytes in each character, half as long as hex. */
export function idKey(id: Uint8Array): string {
  return String.fromCharCode(...new Uint16Array(Uint8Array.from(id).buffer, 0, ID_BYTES / 2))
}

/** Splits concatenated ids of 32 bytes. Returns views. */
export function splitIds(bytes: Uint8Array): Uint8Array[] {
  const ids: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += ID_BYTES) ids.push(bytes.subarray(at, at + ID_BYTES))
  return ids
}
