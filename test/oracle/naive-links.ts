import { createHash } from 'node:crypto'
import type { Avatar, JsonObject, JsonValue } from '../../src/record/types.ts'
import { naiveFold, type HeldRecord } from './naive-fold.ts'

/*
 * docs/protocol.md, "Linked keys", sentence by sentence and as slow as it may be. It shares nothing with src/state but the types
 * of records.
 */

export interface NaiveLinkedView {
  readonly digest: string
  readonly linkedDigest: string
  readonly links: { key: string; avatar: string; label: string | null; digest: string | null }[]
  readonly namespaces: { platform: string; identity: string; content: JsonObject }[]
}

/**
 * The linked view of an avatar.
 *
 * @param records of any avatars, in any order, each as often as one likes
 */
export function naiveLinkedView(avatar: Avatar, records: readonly HeldRecord[]): NaiveLinkedView {
  const own = naiveFold(avatar, records)
  const isOwn = ({ platform, identity }: { platform: string; identity: string }): boolean =>
    platform === 'nextid' && identity === avatar
  const listed = membersOf(own.namespaces.find(isOwn)?.content).get('org.avatar-kv.links')
  const links = [...membersOf(listed)]
    .filter(([key]) => key !== '' && !key.startsWith('org.avatar-kv.'))
    .map(([key, value]) => ({ key, link: membersOf(value) }))
    .filter(({ link }) => {
      const linked = link.get('avatar')
      return typeof linked === 'string' && /^0x0[23][0-9a-f]{64}$/.test(linked) && linked !== avatar
    })
    .sort((left, right) => Buffer.compare(Buffer.from(left.key), Buffer.from(right.key)))
    .filter((_, index) => index < 64)
    .map(({ key, link }) => {
      const linked = link.get('avatar') as Avatar
      const isHeld = records.some(({ body }) => body.avatar === linked)
      const label = link.get('label')
      return {
        key,
        avatar: linked,
        label: typeof label === 'string' ? label : null,
        state: isHeld ? naiveFold(linked, records) : undefined,
      }
    })

  const hash = createHash('sha256').update(Buffer.from(own.digest, 'hex'))
  for (const link of links) {
    hash.update(Buffer.from(link.avatar.slice(2), 'hex'))
    hash.update(link.state === undefined ? Buffer.alloc(32) : Buffer.from(link.state.digest, 'hex'))
  }

  const namespaces = own.namespaces.map((namespace) => {
    if (!isOwn(namespace)) return namespace
    const content = membersOf(namespace.content)
    for (const { key, avatar: linked, state } of links) {
      content.delete(key)
      const theirs = state?.namespaces.find(({ platform, identity }) => platform === 'nextid' && identity === linked)
      const value = membersOf(theirs?.content).get(key)
      if (value !== undefined) content.set(key, value)
    }
    return { ...namespace, content: Object.fromEntries(content) }
  })
  return {
    digest: own.digest,
    linkedDigest: hash.digest('hex'),
    links: links.map(({ state, ...link }) => ({ ...link, digest: state?.digest ?? null })),
    namespaces,
  }
}

function membersOf(value: JsonValue | undefined): Map<string, JsonValue> {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return new Map(isObject ? Object.entries(value) : [])
}
