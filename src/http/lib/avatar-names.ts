import { LRUCache } from 'lru-cache'

import { parseAvatar, uncompressedAvatar } from '../../record/keys.ts'
import { OWN_PLATFORM } from '../../record/members.ts'
import type { Avatar } from '../../record/types.ts'
import type { NamespaceName } from '../../state/content.ts'

/** Converts between the forms of an avatar and caches results: each costs a square root in a finite field, about 0.2 ms. */
export interface AvatarNames {
  /** Parses an avatar in any accepted form. @throws RecordError `invalid_avatar` */
  parse(text: string): Avatar
  /** Returns `0x04` and the uncompressed key. */
  uncompressed(avatar: Avatar): string
  /**
   * Returns the namespace that a request names, with the avatar in canonical form if the platform is `nextid`.
   *
   * @throws RecordError `invalid_avatar`
   */
  namespace(name: NamespaceName): NamespaceName
}

/** Entries of each cache, about 400 bytes each. */
const MAX_REMEMBERED = 20_000

export function createAvatarNames(): AvatarNames {
  const parse = cached(parseAvatar)
  return {
    parse,
    uncompressed: cached(uncompressedAvatar),
    namespace: ({ platform, identity }) => ({
      platform,
      identity: platform === OWN_PLATFORM ? parse(identity) : identity,
    }),
  }
}

function cached<K extends string, V extends string>(convert: (key: K) => V): (key: K) => V {
  // With `max` in place of a size, the cache would take the memory of all entries at once.
  const cache = new LRUCache<K, V>({ maxSize: MAX_REMEMBERED, sizeCalculation: () => 1, memoMethod: convert })
  return (key) => cache.memo(key)
}
