import type { Avatar } from '../record/types.ts'
import { linkedView, linksOf } from '../state/links.ts'
import { readEachLinked } from './linked-reader.ts'
import type { NodeApi } from './node-api.ts'
import type { AvatarDocument } from './types.ts'

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
  const found = new Map<Avatar, AvatarDocument>()
  await readEachLinked(links, async (each) => {
    const read = await api.document(each, signal)
    if (read !== undefined) found.set(each, read)
  })
  const view = linkedView(avatar, document, (each) => found.get(each))
  return {
    ...document,
    namespaces: view.namespaces,
    linked_digest: view.linkedDigest,
    links: view.links.map(({ key, avatar: each, label, digest }) => ({ key, avatar: each, label, digest })),
  }
}
