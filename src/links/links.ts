/** What an owner does with links: see, make and remove them (docs/protocol.md, "Linked keys"). */
import { ClientError } from '../client/errors.ts'
import { avatarOfText } from '../client/signers.ts'
import type { CallOptions, PutResult } from '../client/types.ts'
import { OWN_PLATFORM } from '../record/members.ts'
import type { Avatar, JsonObject, JsonValue } from '../record/types.ts'
import { isLinkableKey, LINKS_KEY, MAX_LINKS } from '../state/links.ts'
import { getMember, isJsonObject, mergePatchTo, setMember } from '../state/merge-patch.ts'
import { storeOf } from './store.ts'
import type {
  KnownLink,
  LinkClient,
  LinkedRead,
  LinkedStore,
  LinkReplica,
  LinkRequest,
  LocalWrite,
  UnlinkRequest,
} from './types.ts'

/** Returns the links of an avatar, in order of their keys, with how each linked avatar was verified. */
export async function links(
  store: LinkClient | LinkReplica,
  owner: string,
  options: CallOptions = {},
): Promise<readonly KnownLink[]> {
  return (await storeOf(store).read(owner, options)).links
}

/**
 * Links a top-level key of the signer's avatar to another avatar: one patch, signed once, which also removes what the owner wrote
 * under the key. Write that value with the key of the app first, as `connect` does, or it no longer shows.
 *
 * @throws ClientError `usage`, `linked` if the key is linked to another avatar, and those of `put`
 */
export function link(client: LinkClient, request: LinkRequest): Promise<PutResult>
export function link(replica: LinkReplica, request: LinkRequest): Promise<LocalWrite>
export async function link(given: LinkClient | LinkReplica, request: LinkRequest): Promise<PutResult | LocalWrite> {
  const store = storeOf(given)
  const { signer, key, signal, replace = false } = request
  const avatar = avatarOfText(request.avatar)
  if (avatar === signer.avatar)
    throw new ClientError('usage', 'An avatar cannot link a key to itself. Make a key for the app.')
  checkKey(key)
  const call = callOf(signal)
  const own = await store.read(signer.avatar, call)
  checkRoom(own, key, avatar, replace)
  return await store.put({ signer, patch: linkPatch(own, request, avatar) }, call)
}

/**
 * Removes a link, for good, with one signature. Nothing that the app signs shows afterwards, even if it signed before.
 *
 * @throws ClientError `not_linked` if the key is not linked; `unreachable` if `keep` is true and the linked avatar cannot be verified; those of
 *   `put`
 */
export function unlink(client: LinkClient, request: UnlinkRequest): Promise<PutResult>
export function unlink(replica: LinkReplica, request: UnlinkRequest): Promise<LocalWrite>
export async function unlink(
  given: LinkClient | LinkReplica,
  { signer, key, keep = false, signal }: UnlinkRequest,
): Promise<PutResult | LocalWrite> {
  const store = storeOf(given)
  const call = callOf(signal)
  const shown = keep ? await readWith(store, signer.avatar, key, signal) : await store.read(signer.avatar, call)
  const found = shown.links.find((each) => each.key === key)
  if (found === undefined) throw notLinked(key, 'Call links() to see the keys that are.')
  if (keep && found.state !== 'verified') {
    throw new ClientError(
      'unreachable',
      `The newest value of ${JSON.stringify(key)} cannot be verified, because nodes do not show all of ${found.avatar}. Try again with more ` +
        'nodes, or remove the link without keeping the value.',
    )
  }
  const patch: JsonObject = {}
  const value = keep ? valueUnder(shown, key) : undefined
  // What the owner wrote under the key before, and what did not show, must neither return nor mix with the value.
  const hidden = valueUnder(await store.read(signer.avatar, { ...call, linked: false }), key)
  if (value !== undefined) setMember(patch, key, mergePatchTo(hidden, value))
  else if (hidden !== undefined) setMember(patch, key, null)
  const removed: JsonObject = {}
  setMember(removed, key, null)
  setMember(patch, LINKS_KEY, removed)
  return await store.put({ signer, patch }, call)
}

/** @throws ClientError `usage` */
export function checkKey(key: string): void {
  if (isLinkableKey(key)) return
  const why = key === '' ? 'is empty' : 'begins with org.avatar-kv., which belongs to the protocol'
  throw new ClientError(
    'usage',
    `The key ${JSON.stringify(key)} cannot be linked: it ${why}. Use a name of your own, such as com.example.app.`,
  )
}

/** @throws ClientError `linked` if the key is linked to another avatar, or if there are as many links as count */
export function checkRoom(own: LinkedRead, key: string, avatar: Avatar, replace: boolean): void {
  const found = own.links.find((each) => each.key === key)
  if (found === undefined && own.links.length >= MAX_LINKS) {
    throw new ClientError(
      'linked',
      `${own.avatar} has ${MAX_LINKS} links already, and no more count. Remove one first.`,
    )
  }
  if (found === undefined || found.avatar === avatar || replace) return
  const name = found.label === null ? found.avatar : JSON.stringify(found.label)
  throw new ClientError(
    'linked',
    `The key ${JSON.stringify(key)} is linked to ${name} already. Use another key, or pass replace: true to take its place; what ` +
      'it wrote is moved.',
  )
}

/** The patch that makes a link, and removes what the owner wrote under the key. */
export function linkPatch(
  own: LinkedRead,
  { key, label, now = Date.now }: Pick<LinkRequest, 'key' | 'label' | 'now'>,
  avatar: Avatar,
): JsonObject {
  const patch: JsonObject = {}
  const entry: JsonObject = {}
  setMember(entry, key, { avatar, label, since: Math.floor(now() / 1000) })
  const isOwn = own.links.every((each) => each.key !== key) && valueUnder(own, key) !== undefined
  if (isOwn) setMember(patch, key, null)
  setMember(patch, LINKS_KEY, entry)
  return patch
}

/** The value under a top-level key of the own namespace. */
export function valueUnder(
  { avatar, namespaces }: Pick<LinkedRead, 'avatar' | 'namespaces'>,
  key: string,
): JsonValue | undefined {
  const own = namespaces.find(({ platform, identity }) => platform === OWN_PLATFORM && identity === avatar)
  return own === undefined || !isJsonObject(own.content) ? undefined : getMember(own.content, key)
}

/** Reads an avatar, and the one that a key of it is linked to. */
export async function readWith<Written>(
  store: LinkedStore<Written>,
  avatar: Avatar,
  key: string,
  signal: AbortSignal | undefined,
): Promise<LinkedRead> {
  const first = await store.read(avatar, callOf(signal))
  const link = first.links.find((each) => each.key === key)
  if (link === undefined || store.known === undefined) return first
  try {
    await store.known(link.avatar, signal)
  } catch (error) {
    // A link to a text that is no key: nothing can be known of it.
    if (!(error instanceof ClientError) || error.code !== 'usage') throw error
  }
  return await store.read(avatar, callOf(signal))
}

export function notLinked(key: string, advice: string): ClientError {
  return new ClientError('not_linked', `The key ${JSON.stringify(key)} is not linked. ${advice}`)
}

export function callOf(signal: AbortSignal | undefined): CallOptions {
  return signal === undefined ? {} : { signal }
}
