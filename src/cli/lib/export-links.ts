import type { NodeApi } from '../../client/node-api.ts'
import type { Avatar } from '../../record/types.ts'
import { linksOf } from '../../state/links.ts'

/** Avatars to export, with those to which they link. */
export interface WithLinked {
  /** Ascending, none twice. */
  readonly avatars: readonly Avatar[]
  /** Those that came along, ascending. */
  readonly linked: readonly Avatar[]
  /** Linked avatars of which nothing is held, ascending. */
  readonly absent: readonly Avatar[]
}

/**
 * Adds the avatars to which some avatars link; links are not followed further.
 *
 * @param links the avatars to which an avatar links
 * @param isHeld whether there is anything of an avatar
 */
export async function withLinked(
  named: readonly Avatar[],
  links: (avatar: Avatar) => Promise<readonly Avatar[]>,
  isHeld: (avatar: Avatar) => Promise<boolean>,
): Promise<WithLinked> {
  const found = new Set<Avatar>()
  for (const avatar of named) for (const each of await links(avatar)) if (!named.includes(each)) found.add(each)
  const linked: Avatar[] = []
  const absent: Avatar[] = []
  for (const each of [...found].sort()) {
    if (await isHeld(each)) linked.push(each)
    else absent.push(each)
  }
  return { avatars: [...named, ...linked].sort(), linked, absent }
}

/** As `withLinked`, of what a node shows. */
export async function withLinkedOfNode(api: NodeApi, named: readonly Avatar[]): Promise<WithLinked> {
  return await withLinked(
    named,
    async (avatar) => linksOf(avatar, (await api.document(avatar))?.namespaces ?? []).map((link) => link.avatar),
    // A node that does not host the avatar refuses to show it.
    async (avatar) => (await api.claim(avatar).catch(() => undefined)) !== undefined,
  )
}
