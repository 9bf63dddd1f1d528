import { OWN_PLATFORM } from '../record/members.ts'
import type { Avatar, JsonObject } from '../record/types.ts'
import { LINKS_KEY, linksIn } from '../state/links.ts'
import { applyMergePatch, getMember } from '../state/merge-patch.ts'
import { ClientError } from './errors.ts'
import type { Piece } from './sign-patch.ts'

/**
 * Refuses a write of an owner that would not show: a value under a key that an app writes, once the whole write counts.
 *
 * @param own the content of the avatar's own namespace
 * @throws ClientError `linked`
 */
export function refuseHidden(
  avatar: Avatar,
  own: JsonObject,
  requests: readonly { readonly pieces: readonly Piece[] }[],
): void {
  const patches = requests
    .flatMap(({ pieces }) => pieces)
    .filter(({ platform }) => platform === OWN_PLATFORM)
    .map(({ patch }) => patch)
  let links = getMember(own, LINKS_KEY)
  for (const patch of patches) {
    const change = getMember(patch, LINKS_KEY)
    if (change !== undefined) links = applyMergePatch(links, change)
  }
  const linked = linksIn(avatar, links)
  if (linked.length === 0) return
  for (const patch of patches) {
    const hidden = linked.find(({ key }) => (getMember(patch, key) ?? null) !== null)
    if (hidden === undefined) continue
    const { key, label } = hidden
    throw new ClientError(
      'linked',
      `The key ${JSON.stringify(key)} is linked to ${label === null ? hidden.avatar : JSON.stringify(label)}, which alone writes it, so the ` +
        'change would not show. Write with the key of the app, or remove the link first.',
      { path: `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}` },
    )
  }
}
