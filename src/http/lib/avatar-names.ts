import { LRUCache } from 'lru-cache'

import { parseAvatar, uncompressedAvatar } from '../../record/keys.ts'
import { OWN_PLATFORM } from '../../record/members.ts'
import type { Avatar } from '../../record/types.ts'
import type { NamespaceName } from '../../state/content.ts'

/** Reads and writes the forms of an avatar, remembering some: each costs a square root in a finite field, about 0.2 ms. */
export interface AvatarNames {
  /** The avatar that a text names, in any accepted form. Throws RecordError `invalid_avatar`. */
  parse(text: string): Avatar
  /** `0x04` and the uncompressed key. */
  uncompressed(avatar: Avatar): string
  /**
   * The namespace that a request names: under `nextid` any form of the avatar stands for its canonical text. Throws
   * RecordError `invalid_avatar`.
   */
  namespace(name: NamespaceName): NamespaceName
}

/** Each takes some 400 bytes. */
const MAX_REMEMBERED = 20_000

export function createAvatarNames(): AvatarNames {
  const avatars = new LRUCache<string, Avatar>({ max: MAX_REMEMBERED })
  const uncompressed = new LRUCache<Avatar, string>({ max: MAX_REMEMBERED })

  function parse(text: string): Avatar {
    const known = avatars.get(text)
    if (known !== undefined) return known
    const avatar = parseAvatar(text)
    avatars.set(text, avatar)
    return avatar
  }

  return {
    parse,
    namespace: ({ platform, identity }) => ({
      platform,
      identity: platform === OWN_PLATFORM ? parse(identity) : identity,
    }),
    uncompressed(avatar) {
      const known = uncompressed.get(avatar)
      if (known !== undefined) return known
      const name = uncompressedAvatar(avatar)
      uncompressed.set(avatar, name)
      return name
    },
  }
}
