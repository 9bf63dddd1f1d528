/** The frames of a follow stream (docs/protocol.md, "Following"). Every error is a FollowError `bad_message`. */
import { bytesToHex, concatBytes, hexToBytes } from '@noble/hashes/utils.js'

import { messageOf } from '../platform/errors.ts'
import { decodeBatch, encodeBatch } from '../record/codec.ts'
import { bytesField, messageField, readFields } from '../record/protobuf.ts'
import type { Avatar, SignedRecord } from '../record/types.ts'
import { FollowError } from './errors.ts'
import { MAX_FOLLOWED_AVATARS } from './limits.ts'

const AVATAR_BYTES = 33
const NETWORK = /^[a-z0-9-]{1,32}$/

export type FollowFrame =
  /** The avatars that the follower wants from now on, in ascending order. */
  | { readonly kind: 'follow'; readonly network: string; readonly avatars: readonly Avatar[] }
  /** A bit for each of them: whether the peer keeps it. */
  | { readonly kind: 'following'; readonly common: Uint8Array }
  | { readonly kind: 'records'; readonly records: readonly SignedRecord[] }
  /** The peer dropped records, because the follower was too slow. */
  | { readonly kind: 'missed' }

const KINDS = ['follow', 'following', 'records', 'missed'] as const

export function encodeFollowFrame(frame: FollowFrame): Uint8Array {
  return messageField(KINDS.indexOf(frame.kind) + 1, bodyOf(frame))
}

function bodyOf(frame: FollowFrame): Uint8Array {
  switch (frame.kind) {
    case 'follow': {
      const keys = concatBytes(...frame.avatars.map((avatar) => hexToBytes(avatar.slice(2))))
      return concatBytes(bytesField(1, new TextEncoder().encode(frame.network)), bytesField(2, keys))
    }
    case 'following':
      return bytesField(1, frame.common)
    case 'records':
      return encodeBatch(frame.records)
    case 'missed':
      return new Uint8Array(0)
  }
}

/** @throws FollowError `bad_message` */
export function decodeFollowFrame(bytes: Uint8Array): FollowFrame {
  let found: FollowFrame | undefined
  readFields(
    bytes,
    (field, value) => {
      const kind = KINDS[field - 1]
      if (kind !== undefined && typeof value !== 'number') found = decodeBody(kind, value)
    },
    bad,
  )
  if (found === undefined) throw bad('the frame has no known kind')
  return found
}

function decodeBody(kind: (typeof KINDS)[number], body: Uint8Array): FollowFrame {
  if (kind === 'missed') return { kind }
  if (kind === 'records') {
    try {
      return { kind, records: decodeBatch(body) }
    } catch (error) {
      throw bad(messageOf(error))
    }
  }
  const fields: Uint8Array[] = []
  readFields(
    body,
    (field, value) => {
      if (typeof value !== 'number' && field <= 2) fields[field] = value
    },
    bad,
  )
  const [, first = new Uint8Array(0), second = new Uint8Array(0)] = fields
  if (kind === 'following') return { kind, common: first }
  const network = new TextDecoder().decode(first)
  if (!NETWORK.test(network)) throw bad('the frame names no network')
  return { kind, network, avatars: avatarsIn(second) }
}

function avatarsIn(keys: Uint8Array): Avatar[] {
  const count = keys.length / AVATAR_BYTES
  if (!Number.isInteger(count) || count > MAX_FOLLOWED_AVATARS) throw bad('the list of avatars has a wrong length')
  const avatars = Array.from({ length: count }, (_, at): Avatar => {
    const key = keys.subarray(at * AVATAR_BYTES, (at + 1) * AVATAR_BYTES)
    if (key[0] !== 2 && key[0] !== 3) throw bad('the list holds what is no avatar')
    return `0x${bytesToHex(key)}` as Avatar
  })
  if (avatars.some((avatar, at) => at > 0 && avatar <= (avatars[at - 1] ?? ''))) throw bad('the list is not ascending')
  return avatars
}

/** A bit for each avatar, the first avatar's the lowest bit of the first byte. */
export function bitsOf(avatars: readonly Avatar[], test: (avatar: Avatar) => boolean): Uint8Array {
  const bits = new Uint8Array(Math.ceil(avatars.length / 8))
  for (const [at, avatar] of avatars.entries()) if (test(avatar)) bits[at >> 3] = (bits[at >> 3] ?? 0) | (1 << (at & 7))
  return bits
}

export function hasBit(bits: Uint8Array, at: number): boolean {
  return ((bits[at >> 3] ?? 0) & (1 << (at & 7))) !== 0
}

function bad(why: string): FollowError {
  return new FollowError('bad_message', `A peer broke the rules of the follow protocol: ${why}.`)
}
