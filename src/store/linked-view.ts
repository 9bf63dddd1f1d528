/**
 * The linked view of an avatar (docs/protocol.md, "Linked keys") as JSON text, read in steps from one moment of the store. A value
 * of a linked avatar is copied from its row as it stands, without being parsed.
 */
import { hash as hashOnce } from 'node:crypto'
import type { Avatar } from '../record/types.ts'
import { linkedDigestOf, type Link, type LinkState } from '../state/links.ts'
import { memberFragment } from './cell-codec.ts'
import { openRow, walk, type ReadSnapshot } from './database.ts'
import type { Step } from './handle.ts'
import * as keys from './keys.ts'
import type { Database } from './level.ts'
import { ownNamespace, readLinksAt } from './link-rows.ts'
import { avatarAt, mustBeUnclaimed, withReadSnapshot } from './reader.ts'
import * as rows from './rows.ts'
import type { LinkedFrom, LinkedSnapshot } from './types.ts'
import { openOwnContent, openView, readNamespace } from './view.ts'
import type { Substitutes } from './view-text.ts'

/**
 * Members read to make sure that a member which a linked avatar does not have was not lost, in all for one view: 16 MiB at the
 * most. Beyond that, what is not there is taken for never written.
 */
const CONFIRMED_MEMBERS = 64

const hash = (bytes: Uint8Array): Uint8Array => hashOnce('sha256', bytes, 'buffer')

/**
 * Opens the linked view of an avatar; undefined for an unknown one.
 *
 * @param options.isShown whether the states of an avatar are shown here; nothing is held of others
 * @param options.only the own namespace alone, as its content; otherwise all namespaces
 * @param step runs each later read of the database
 * @throws CorruptRowError, also during the later reads
 */
export async function openLinkedView(
  db: Database,
  avatar: Avatar,
  { isShown, only }: { readonly isShown: (linked: Avatar) => boolean; readonly only: boolean },
  step: Step,
): Promise<LinkedSnapshot | undefined> {
  const readSnapshot = db.snapshot()
  try {
    const own = await avatarAt(db, readSnapshot, avatar)
    const found = own === undefined ? [] : await readLinksAt(db, avatar, readSnapshot)
    const links = await statesOf(db, readSnapshot, found, isShown)
    const substitutes = substitutesFor({ db, readSnapshot, avatar, links, step })
    const open = only ? openOwnContent : openView
    const view = await open(db, avatar, step, { readSnapshot, substitutes })
    if (own === undefined || view === undefined) {
      await readSnapshot.close()
      return undefined
    }
    return {
      ...view,
      summary: { ...own.summary, avatar },
      links,
      linkedDigest: linkedDigestOf(own.summary.digest, links, hash),
      close: async () => {
        await view.close()
        await readSnapshot.close()
      },
    }
  } catch (error) {
    await readSnapshot.close()
    throw error
  }
}

async function statesOf(
  db: Database,
  readSnapshot: ReadSnapshot,
  links: readonly Link[],
  isShown: (linked: Avatar) => boolean,
): Promise<LinkState[]> {
  const digests = new Map<Avatar, string | null>()
  const states: LinkState[] = []
  for (const link of links) {
    let digest = digests.get(link.avatar)
    if (digest === undefined) {
      const linked = isShown(link.avatar) ? await avatarAt(db, readSnapshot, link.avatar) : undefined
      digest = linked?.summary.digest ?? null
      digests.set(link.avatar, digest)
    }
    states.push({ ...link, digest })
  }
  return states
}

interface Moment {
  readonly db: Database
  readonly readSnapshot: ReadSnapshot
  readonly step: Step
}

/** What stands in the own namespace of an avatar instead of its own members; undefined without links. */
function substitutesFor({
  avatar,
  links,
  ...moment
}: Moment & { readonly avatar: Avatar; readonly links: readonly LinkState[] }): Substitutes | undefined {
  if (links.length === 0) return undefined
  const own = ownNamespace(avatar)
  const textOf = (key: keys.Key): string => Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')
  const hidden = new Set(links.map(({ key }) => textOf(keys.memberKey(avatar, own, key, false))))
  return {
    namespace: own,
    hides: (key) => hidden.has(textOf(key)),
    async *fragments() {
      const budget = { members: CONFIRMED_MEMBERS }
      for (const link of links) {
        const fragment = link.digest === null ? undefined : await readLinked(moment, link, budget)
        if (fragment !== undefined) yield fragment
      }
    },
  }
}

/** Reads the `"key":value` text of a linked member; undefined if the linked avatar does not have it. */
async function readLinked(
  { db, readSnapshot, step }: Moment,
  { key: member, avatar: linked }: Link,
  budget: { members: number },
): Promise<Uint8Array | undefined> {
  const own = ownNamespace(linked)
  const key = keys.memberKey(linked, own, member, false)
  const row = await step(() => db.get(key, { snapshot: readSnapshot }))
  if (row !== undefined) return openRow(linked, 'member', key, row, memberFragment)
  const namespaceKey = keys.namespaceKey(linked, own)
  const namespaceRow = await step(() => db.get(namespaceKey, { snapshot: readSnapshot }))
  if (namespaceRow === undefined) {
    await step(async () => mustBeUnclaimed(db, linked, own))
    return undefined
  }
  const { live } = openRow(linked, 'namespace', namespaceKey, namespaceRow, rows.decodeNamespace)
  if (live > budget.members) return undefined
  budget.members -= live
  // Its end throws if a member is lost.
  for await (const _chunk of readNamespace(db, linked, own, step, readSnapshot));
  return undefined
}

/**
 * The avatars that link to an avatar, in ascending order, `after` exclusive, each with the keys.
 *
 * @param options.isShown owners to leave out
 * @param options.characters the page ends once its keys have this many; it has one owner at least
 * @returns fewer than `limit` entries with `isLast` false if the page ended early
 * @throws CorruptRowError
 */
export async function readLinkedFrom(
  db: Database,
  linked: Avatar,
  {
    after,
    limit,
    characters,
    isShown,
  }: {
    readonly after?: Avatar
    readonly limit: number
    readonly characters: number
    readonly isShown: (owner: Avatar) => boolean
  },
): Promise<{ owners: LinkedFrom[]; isLast: boolean }> {
  const all = keys.tableRange('l', linked)
  const range = after === undefined ? all : { gte: keys.afterOwner(linked, after), lt: all.lt }
  const owners: { avatar: Avatar; keys: string[] }[] = []
  let length = 0
  return await withReadSnapshot(db, async (readSnapshot) => {
    for await (const [key, row] of walk(db, range, { snapshot: readSnapshot })) {
      const avatar = keys.secondAvatarInKey(key)
      if (!isShown(avatar)) continue
      const current = owners.at(-1)
      if (current?.avatar !== avatar && (owners.length >= limit || length >= characters)) {
        return { owners, isLast: false }
      }
      // A row that the owner's links do not name was left by damage.
      if (db.getSync(keys.reverseLinkKey(key), { snapshot: readSnapshot }) === undefined) continue
      const member = openRow(avatar, 'link', key, row, rows.decodeLinkedKey)
      length += member.length
      if (current?.avatar === avatar) current.keys.push(member)
      else owners.push({ avatar, keys: [member] })
    }
    return { owners, isLast: true }
  })
}
