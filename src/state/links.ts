/**
 * Linked keys (docs/protocol.md, "Linked keys"): an avatar links top-level keys of its own namespace to other avatars, and its
 * linked view has their values there. A pure function of verified states.
 *
 * Guarantee: an avatar that is linked under a key writes to that key of the view and to nothing else. Links of linked avatars
 * are not followed, so links in circles end.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { hexWriter, writeHexBytes } from '../record/hex.ts'
import { isAvatarText, OWN_PLATFORM } from '../record/members.ts'
import { compareUtf8 } from '../record/order.ts'
import type { Avatar, JsonObject, JsonValue, StateEntry } from '../record/types.ts'
import { getMember, isJsonObject, setMember } from './merge-patch.ts'

/** Key of the links in an avatar's own namespace (`nextid`). */
export const LINKS_KEY = 'org.avatar-kv.links'
/** Keys that begin with this belong to the protocol and cannot be linked. */
const RESERVED_PREFIX = 'org.avatar-kv.'
/** Links of an avatar that count. */
export const MAX_LINKS = 64

const AVATAR_BYTES = 33
const DIGEST_BYTES = 32
const DIGEST_TEXT = hexWriter('', DIGEST_BYTES)

/** A link that counts. */
export interface Link {
  /** The top-level key that the avatar writes. */
  readonly key: string
  readonly avatar: Avatar
  /** What the owner was told about the app; null if the link does not say it. */
  readonly label: string | null
  /** When the link was made, in Unix seconds as the owner claims it; null if the link does not say it. */
  readonly since: number | null
}

/** A link, and the state of its avatar. */
export interface LinkState extends Link {
  /** Digest of the linked avatar; null where nothing is held of it. */
  readonly digest: string | null
}

/** The state of an avatar, as far as the linked view depends on it. A `Fold` is one. */
export interface LinkableState {
  readonly digest: string
  /** Sorted as in a snapshot's `state`. */
  readonly namespaces: readonly StateEntry[]
}

/** What `linkedView` returns: the contents that an avatar shows, with the values of the avatars that it links to. */
export interface LinkedView {
  /** The links that count, in order of their keys. */
  readonly links: readonly LinkState[]
  /** 64 hex digits. Equal linked digests, equal linked views. */
  readonly linkedDigest: string
  readonly namespaces: readonly StateEntry[]
}

/** Whether a top-level key can be linked. */
export function isLinkableKey(key: string): boolean {
  return key !== '' && !key.startsWith(RESERVED_PREFIX)
}

/**
 * The links that count in an untrusted value of `LINKS_KEY`: those of the right form, at most 64, in order of the UTF-8 bytes of
 * their keys.
 *
 * @param owner the avatar whose own namespace has the value
 */
export function linksIn(owner: Avatar, value: JsonValue | undefined): Link[] {
  if (!isJsonObject(value)) return []
  const links: Link[] = []
  for (const [key, each] of Object.entries(value)) {
    if (!isLinkableKey(key) || !isJsonObject(each)) continue
    const avatar = getMember(each, 'avatar')
    if (!isAvatarText(avatar) || avatar === owner) continue
    const label = getMember(each, 'label')
    const since = getMember(each, 'since')
    links.push({
      key,
      avatar,
      label: typeof label === 'string' ? label : null,
      since: typeof since === 'number' && Number.isSafeInteger(since) && since >= 0 ? since : null,
    })
  }
  return links.sort((a, b) => compareUtf8(a.key, b.key)).slice(0, MAX_LINKS)
}

/** The content of an avatar's own namespace; undefined if the namespace does not exist. */
export function ownContent(avatar: Avatar, namespaces: readonly StateEntry[]): JsonObject | undefined {
  return namespaces.find(({ platform, identity }) => platform === OWN_PLATFORM && identity === avatar)?.content
}

/** The links that count of an avatar, given its own state. */
export function linksOf(avatar: Avatar, namespaces: readonly StateEntry[]): Link[] {
  return linksIn(avatar, getMember(ownContent(avatar, namespaces) ?? {}, LINKS_KEY))
}

/**
 * SHA-256 over the owner's digest and, for each link in order, the linked avatar's key and digest, 32 zero bytes where nothing
 * is held of it.
 *
 * @param hash SHA-256, where the caller has a faster one
 * @returns 64 hex digits
 */
export function linkedDigestOf(
  digest: string,
  links: readonly Pick<LinkState, 'avatar' | 'digest'>[],
  hash: (bytes: Uint8Array) => Uint8Array = sha256,
): string {
  const bytes = new Uint8Array(DIGEST_BYTES + links.length * (AVATAR_BYTES + DIGEST_BYTES))
  writeHexBytes(bytes, 0, digest, 0)
  for (const [at, link] of links.entries()) {
    const offset = DIGEST_BYTES + at * (AVATAR_BYTES + DIGEST_BYTES)
    writeHexBytes(bytes, offset, link.avatar, 2)
    if (link.digest !== null) writeHexBytes(bytes, offset + AVATAR_BYTES, link.digest, 0)
  }
  return DIGEST_TEXT(hash(bytes))
}

/**
 * The linked view of an avatar. Its contents share parts with the given states, which are not changed.
 *
 * @param stateOf the state of a linked avatar; undefined where nothing is held of it. It is asked once for each link that counts
 */
export function linkedView(
  avatar: Avatar,
  own: LinkableState,
  stateOf: (linked: Avatar) => LinkableState | undefined,
): LinkedView {
  const states = linksOf(avatar, own.namespaces).map((link) => ({ link, state: stateOf(link.avatar) }))
  const links = states.map(({ link, state }): LinkState => ({ ...link, digest: state?.digest ?? null }))
  return {
    links,
    linkedDigest: linkedDigestOf(own.digest, links),
    namespaces: links.length === 0 ? own.namespaces : own.namespaces.map((each) => linked(avatar, each, states)),
  }
}

function linked(
  avatar: Avatar,
  entry: StateEntry,
  states: readonly { readonly link: Link; readonly state: LinkableState | undefined }[],
): StateEntry {
  if (entry.platform !== OWN_PLATFORM || entry.identity !== avatar) return entry
  const taken = new Set(states.map(({ link }) => link.key))
  const content: JsonObject = {}
  for (const key of Object.keys(entry.content)) {
    if (!taken.has(key)) setMember(content, key, entry.content[key] as JsonValue)
  }
  for (const { link, state } of states) {
    const value = state && getMember(ownContent(link.avatar, state.namespaces) ?? {}, link.key)
    if (value !== undefined) setMember(content, link.key, value)
  }
  return { ...entry, content }
}
