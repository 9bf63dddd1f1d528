import type { Avatar, JsonObject } from '../../src/record/types.ts'
import { foldRecords } from '../../src/state/fold.ts'
import { linkedView } from '../../src/state/links.ts'
import { canonicalText } from './canonical-text.ts'
import type { NaiveLinkedView } from './naive-links.ts'
import type { TestRecord } from './signing.ts'

interface LinkedLike {
  readonly digest: string
  readonly linkedDigest: string
  readonly links: readonly { key: string; avatar: string; label: string | null; digest: string | null }[]
  readonly namespaces: readonly { platform: string; identity: string; content: JsonObject }[]
}

/** A linked view with its contents as text, so that comparing it does not trip over keys like `__proto__`. */
export function comparableLinked({ digest, linkedDigest, links, namespaces }: LinkedLike) {
  return {
    digest,
    linkedDigest,
    links: links.map(({ key, avatar, label, digest: linked }) => ({ key, avatar, label, digest: linked })),
    namespaces: namespaces.map(({ platform, identity, content }) => ({
      platform,
      identity,
      content: canonicalText(content),
    })),
  } satisfies { [Member in keyof NaiveLinkedView]: unknown }
}

/** The linked view of an avatar by the state core, from records of any avatars. */
export function foldLinked(avatar: Avatar, records: readonly TestRecord[]): LinkedLike {
  const stateOf = (of: Avatar) => {
    const own = records.filter(({ body }) => body.avatar === of)
    return own.length === 0 ? undefined : foldRecords(of, own)
  }
  const own = stateOf(avatar) ?? foldRecords(avatar, [])
  return { digest: own.digest, ...linkedView(avatar, own, stateOf) }
}
