/** The rows of links: derived from the member `org.avatar-kv.links` of an avatar's own namespace, and written in the same batch. */
import { OWN_PLATFORM } from '../record/members.ts'
import type { Avatar, JsonValue } from '../record/types.ts'
import type { NamespaceName } from '../state/content.ts'
import { LINKS_KEY, linksIn, type Link } from '../state/links.ts'
import { getMember } from '../state/merge-patch.ts'
import { bytesText } from './bytes.ts'
import { memberFragment } from './cell-codec.ts'
import { openRow, walk, type ReadSnapshot } from './database.ts'
import * as keys from './keys.ts'
import { del, put, putSealed, type Database, type Operation, type Operations } from './level.ts'
import * as rows from './rows.ts'

export const ownNamespace = (avatar: Avatar): NamespaceName => ({ platform: OWN_PLATFORM, identity: avatar })

const linksMemberKey = (avatar: Avatar): keys.Key => keys.memberKey(avatar, ownNamespace(avatar), LINKS_KEY, false)

/** Reads the links of an avatar that count, as they are stored now. @throws CorruptRowError */
export function readLinks(db: Database, avatar: Avatar): Link[] {
  return linksInRow(avatar, db.getSync(linksMemberKey(avatar)))
}

/** As `readLinks`, as of a moment. */
export async function readLinksAt(db: Database, avatar: Avatar, readSnapshot: ReadSnapshot): Promise<Link[]> {
  return linksInRow(avatar, await db.get(linksMemberKey(avatar), { snapshot: readSnapshot }))
}

function linksInRow(avatar: Avatar, row: Uint8Array | undefined): Link[] {
  if (row === undefined) return []
  return openRow(avatar, 'member', linksMemberKey(avatar), row, (content) => {
    const member = JSON.parse(`{${bytesText(memberFragment(content))}}`) as Record<string, JsonValue>
    return linksIn(avatar, getMember(member, LINKS_KEY))
  })
}

/** Adds the rows of links that are new, and the deletion of those that no longer count. */
export function pushLinks(
  operations: Operations,
  avatar: Avatar,
  before: readonly Link[],
  after: readonly Link[],
): void {
  const textOf = ({ key, avatar: linked }: Link): string => `${linked}${key}`
  const [had, has] = [new Set(before.map(textOf)), new Set(after.map(textOf))]
  for (const link of before) {
    if (has.has(textOf(link))) continue
    const key = keys.linkKey(avatar, link.avatar, link.key)
    operations.push(del(key), del(keys.reverseLinkKey(key)))
  }
  for (const link of after) {
    if (had.has(textOf(link))) continue
    const key = keys.linkKey(avatar, link.avatar, link.key)
    operations.push(put(key), putSealed(keys.reverseLinkKey(key), rows.encodeLinkedKey(link.key)))
  }
}

/**
 * The rows of links of some avatars, for data that was written without them.
 *
 * @returns the operations, and the last avatar looked at; undefined if there is none after `after`
 */
export async function linksStep(
  db: Database,
  after: Avatar | undefined,
  limit: number,
): Promise<{ operations: Operation[]; last: Avatar | undefined }> {
  const all = keys.tableRange('a')
  const range = after === undefined ? all : { gte: keys.keyAfter(keys.hostedKey(after)), lt: all.lt }
  const avatars: Avatar[] = []
  for await (const [key] of walk(db, range, { limit, values: false })) avatars.push(keys.avatarInKey(key))
  const found = await db.getMany(avatars.map(linksMemberKey))
  const operations: Operation[] = []
  for (const [at, avatar] of avatars.entries()) pushLinks(operations, avatar, [], linksInRow(avatar, found[at]))
  return { operations, last: avatars.at(-1) }
}
