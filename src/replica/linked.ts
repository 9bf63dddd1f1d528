/** The linked view of a followed avatar (docs/protocol.md, "Linked keys"), as far as the linked avatars are followed here. */
import { OWN_PLATFORM } from '../record/members.ts'
import type { Avatar, JsonObject, StateEntry } from '../record/types.ts'
import { linkedView, LINKS_KEY } from '../state/links.ts'
import { getMember } from '../state/merge-patch.ts'
import type { AvatarReplica } from './avatar-replica.ts'
import type { LocalLink } from './types.ts'

type Find = (avatar: Avatar) => AvatarReplica | undefined

interface Known {
  readonly linkedDigest: string
  readonly links: readonly LocalLink[]
  readonly namespaces: readonly StateEntry[]
}

/** Views by the content of the own namespace, which is another object after each change, with the digests that they were made of. */
const VIEWS = new WeakMap<JsonObject, { readonly made: string; readonly view: Known }>()

/** The content of an avatar's own namespace, with what linked apps wrote. Costs one look-up where there are no links. Frozen. */
export function linkedContent(replica: AvatarReplica, find: Find): JsonObject | undefined {
  const content = ownOf(replica)
  if (content === undefined || getMember(content, LINKS_KEY) === undefined) return content
  return viewOf(replica, content, find).namespaces.find(isOwn(replica.avatar))?.content
}

/** The linked view, and the links that it is made of. */
export function linkedState(replica: AvatarReplica, find: Find): Known {
  return viewOf(replica, ownOf(replica), find)
}

function viewOf(replica: AvatarReplica, content: JsonObject | undefined, find: Find): Known {
  const held = (avatar: Avatar) => {
    const shown = find(avatar)?.shown
    return shown === undefined || shown.size === 0 ? undefined : shown
  }
  const known = content && VIEWS.get(content)
  const madeOf = (links: readonly LocalLink[]): string =>
    [replica.shown.digest, ...links.map(({ avatar }) => held(avatar)?.digest ?? '')].join()
  if (known !== undefined && known.made === madeOf(known.view.links)) return known.view
  const own = { digest: replica.shown.digest, namespaces: replica.shown.snapshot().namespaces }
  const made = linkedView(replica.avatar, own, (avatar) => held(avatar)?.snapshot())
  const view: Known = {
    linkedDigest: made.linkedDigest,
    links: made.links.map((link) => ({ ...link, followed: find(link.avatar) !== undefined })),
    namespaces: Object.freeze(
      made.namespaces.map((each) => Object.freeze({ ...each, content: Object.freeze(each.content) })),
    ),
  }
  if (content !== undefined) VIEWS.set(content, { made: madeOf(view.links), view })
  return view
}

function ownOf({ shown, avatar }: AvatarReplica): JsonObject | undefined {
  return shown.content({ platform: OWN_PLATFORM, identity: avatar })
}

function isOwn(avatar: Avatar) {
  return ({ platform, identity }: StateEntry): boolean => platform === OWN_PLATFORM && identity === avatar
}
