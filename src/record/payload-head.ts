import type { Avatar } from './types.ts'

/** A character a byte; those of a head are ASCII. */
const decoder = new TextDecoder('latin1')

export interface PayloadHead {
  readonly avatar: Avatar
  readonly counter: number
  readonly createdAt: number
}

/** `{"avatar":"0x` + 66 digits + `","counter":` + 16 digits + `,"created_at":` + 16 digits + `,` */
const MAX_HEAD_BYTES = 160
const HEAD = /^\{"avatar":"(0x0[23][0-9a-f]{64})","counter":(\d{1,16}),"created_at":(\d{1,16}),/

/**
 * What every payload begins with, whatever its type, since it is canonical. Nothing else of it is looked at, so that
 * this costs about a microsecond.
 *
 * @returns undefined for what is no payload
 */
export function payloadHead(payload: Uint8Array): PayloadHead | undefined {
  const found = HEAD.exec(decoder.decode(payload.subarray(0, MAX_HEAD_BYTES)))
  if (found === null) return undefined
  return { avatar: found[1] as Avatar, counter: Number(found[2]), createdAt: Number(found[3]) }
}
