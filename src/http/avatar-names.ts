import { LRUCache } from 'lru-cache'

import { parseAvatar, uncompressedAvatar } from '../record/keys.ts'
import type { Avatar } from '../record/types.ts'

/** Reads and writes the forms of an avatar, remembering some: each costs a square root in a finite field, about 0.2 ms. */
export interface AvatarNames {
  /** The avatar that a text names, in any accepted form. Throws RecordError `invalid_avatar`. */
  parse(text: string): Avatar
  /** `0x04` and the uncompressed key. */
  uncompressed(avatar: Avatar): string
}

/** Each takes some 400 bytes. */
const MAX_REMEMBERED = 20_000

export function createAvatarNames(): AvatarNames {
  const avatars = new LRUCache<string, Avatar>({ max: MAX_REMEMBERED })
  const uncompressed = new LRUCache<Avatar, string>({ max: MAX_REMEMBERED })
  return {
    parse(text) {
      const known = avatars.get(text)
      if (known !== undefined) return known
      const avatar = parseAvatar(text)
      avatars.set(text, avatar)
      return avatar
    },
    uncompressed(avatar) {
      const known = uncompressed.get(avatar)
      if (known !== undefined) return known
      const name = uncompressedAvatar(avatar)
      uncompressed.set(avatar, name)
      return name
    },
  }
}
