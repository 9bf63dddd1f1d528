import type { Avatar } from '../record/types.ts'
import { linkedView, linksOf } from '../state/links.ts'
import type { NodeApi } from './node-api.ts'
import type { AvatarDocument } from './types.ts'

/** Documents of linked avatars that are asked for at the same time. */
const AT_A_TIME = 4

/**
 * The document of an avatar, with what linked apps wrote. A node of an older version tells the avatar's own words: then the
 * documents of the linked avatars are read from it too.
 *
 * @returns undefined if the node does not have the avatar
 */
export async function readDocument(
  api: Pick<NodeApi, 'document'>,
  avatar: Avatar,
  linked: boolean,
  signal: AbortSignal | undefined,
): Promise<AvatarDocument | undefined> {
  const document = await api.document(avatar, signal, linked)
  if (!linked || document === undefined || document.linked_digest !== undefined) return document
  const links = linksOf(avatar, document.namespaces)
  const todo = [...new Set(links.map((link) => link.avatar))]
  const found = new Map<Avatar, AvatarDocument>()
  const next = async (): Promise<void> => {
    for (let each = todo.pop(); each !== undefined; each = todo.pop()) {
      const read = await api.document(each, signal)
      if (read !== undefined) found.set(each, read)
    }
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, next))
  const view = linkedView(avatar, document, (each) => found.get(each))
  return {
    ...document,
    namespaces: view.namespaces,
    linked_digest: view.linkedDigest,
    links: view.links.map(({ key, avatar: each, label, digest }) => ({ key, avatar: each, label, digest })),
  }
}
