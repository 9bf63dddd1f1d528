/** What `link` and `unlink` sign, and what `links` lists: from records that were verified on this machine. */
import { createClient, ClientError, privateKeySigner, type Client, type VerifiedAvatar } from '../../client/index.ts'
import type { NodeApi } from '../../client/node-api.ts'
import { readStatus } from '../../client/node-info.ts'
import type { Clock } from '../../platform/environment.ts'
import { avatarOf } from '../../record/keys.ts'
import { OWN_PLATFORM } from '../../record/members.ts'
import type { Avatar, JsonObject, JsonValue } from '../../record/types.ts'
import { linkedView, LINKS_KEY, linksOf, MAX_LINKS, ownContent, type Link } from '../../state/links.ts'
import { getMember, mergePatchTo } from '../../state/merge-patch.ts'
import { toCliError } from './client-error.ts'
import { CliError } from './errors.ts'
import { loadEngine } from './lazy-parts.ts'
import { printable } from './text.ts'

/** Where to read and write, and the current time. */
interface Place {
  readonly api: NodeApi
  readonly clock: Clock
}

interface Linking {
  readonly client: Client
  readonly owner: VerifiedAvatar
  readonly links: readonly Link[]
  /** What the owner says under a key. */
  own(key: string): JsonValue | undefined
}

/** Reads the records of an avatar from a node and verifies them. @throws CliError */
export async function readLinks({ api, clock }: Place, avatar: Avatar): Promise<Linking> {
  const { network } = await readStatus(api.transport)
  const client = createClient({ nodes: [api.url], network, engine: await loadEngine(), now: () => clock.now() })
  const owner = await verified(client, api, avatar)
  return {
    client,
    owner,
    links: linksOf(avatar, owner.namespaces),
    own: (key) => getMember(ownContent(avatar, owner.namespaces) ?? {}, key),
  }
}

async function verified(client: Client, { url }: NodeApi, avatar: Avatar): Promise<VerifiedAvatar> {
  const known = await client.getVerified(avatar, { linked: false }).catch((error: unknown) => {
    throw error instanceof ClientError ? toCliError(error, 'Nothing was signed. ') : error
  })
  const problem = known.problems.find(({ node }) => node === url) ?? known.problems[0]
  if (problem === undefined) return known
  throw new CliError(
    'unverified',
    `Nothing was signed. ${printable(problem.message)} Ask another node with --node URL.`,
  )
}

/** What became of `link` and `unlink`. */
export interface LinkResult {
  readonly status: string
  readonly owner: Avatar
  readonly key: string
  readonly avatar: Avatar
}

/**
 * Links a key of the owner to an avatar. With the secret key of that avatar, the value that the owner's view has under the key moves
 * to it first.
 *
 * @throws CliError
 */
export async function link(
  place: Place,
  request: {
    readonly secretKey: Uint8Array
    readonly key: string
    readonly avatar: Avatar
    readonly label: string | undefined
    readonly appKey: Uint8Array | undefined
  },
): Promise<LinkResult & { readonly moved: boolean; readonly hides: boolean }> {
  const { key, avatar, label, appKey } = request
  const ownerAvatar = avatarOf(request.secretKey)
  if (avatar === ownerAvatar) {
    throw new CliError(
      'usage',
      'An avatar cannot be linked to itself. Make a key for the app: avatar-kv key create --app KEY',
    )
  }
  const read = await readLinks(place, ownerAvatar)
  const others = read.links.filter((each) => each.key !== key)
  if (others.length >= MAX_LINKS) {
    throw new CliError(
      'refused',
      `${MAX_LINKS} keys are linked already, and no more count. Unlink one first; nothing was signed.`,
    )
  }
  const shown = appKey === undefined ? undefined : await shownValue(place, read, key)
  if (appKey !== undefined && shown !== undefined) {
    const before = getMember(await contentOf(place, read.client, avatar), key)
    await put(read.client, appKey, { [key]: mergePatchTo(before, shown) })
  }
  const since = Math.floor(place.clock.now() / 1000)
  const entry: JsonObject = { avatar, label: label ?? null, since }
  const hidden = read.own(key)
  const isMoved = appKey !== undefined && shown !== undefined
  const status = await put(read.client, request.secretKey, {
    [LINKS_KEY]: { [key]: entry },
    ...(isMoved && hidden !== undefined ? { [key]: null } : {}),
  })
  return { status, owner: ownerAvatar, key, avatar, moved: isMoved, hides: hidden !== undefined && !isMoved }
}

/**
 * Removes the link of a key. With `keep`, the owner's own data gets the value that was shown, in the same patch.
 *
 * @throws CliError
 */
export async function unlink(
  place: Place,
  { secretKey, key, keep }: { readonly secretKey: Uint8Array; readonly key: string; readonly keep: boolean },
): Promise<LinkResult & { readonly kept: boolean }> {
  const owner = avatarOf(secretKey)
  const read = await readLinks(place, owner)
  const found = read.links.find((each) => each.key === key)
  if (found === undefined) {
    throw new CliError(
      'refused',
      `${JSON.stringify(printable(key))} is not linked. "avatar-kv links ${owner}" lists what is.`,
    )
  }
  const patch: JsonObject = { [LINKS_KEY]: { [key]: null } }
  if (keep) {
    const shown = await shownValue(place, read, key)
    patch[key] = shown === undefined ? null : mergePatchTo(read.own(key), shown)
  }
  return { status: await put(read.client, secretKey, patch), owner, key, avatar: found.avatar, kept: keep }
}

/** The verified value of a key in the linked view. @throws CliError if the linked avatar cannot be read */
async function shownValue(
  place: Place,
  { client, owner, links }: Linking,
  key: string,
): Promise<JsonValue | undefined> {
  const avatar = links.find((each) => each.key === key)?.avatar
  const linked = avatar === undefined ? undefined : await verified(client, place.api, avatar)
  if (linked !== undefined && linked.records === 0) {
    throw new CliError(
      'refused',
      `The node at ${place.api.url} has nothing of ${linked.avatar}, which writes this key, so its value cannot be kept. ` +
        'Nothing was signed. Ask another node with --node URL, or leave out --keep.',
    )
  }
  const view = linkedView(owner.avatar, owner, (each) => (each === avatar ? linked : undefined))
  return getMember(ownContent(owner.avatar, view.namespaces) ?? {}, key)
}

async function contentOf(place: Place, client: Client, avatar: Avatar): Promise<JsonObject> {
  return ownContent(avatar, (await verified(client, place.api, avatar)).namespaces) ?? {}
}

async function put(client: Client, secretKey: Uint8Array, patch: JsonObject): Promise<string> {
  const signer = privateKeySigner(secretKey, { engine: await loadEngine() })
  const { status } = await client.put({ signer, platform: OWN_PLATFORM, identity: signer.avatar, patch })
  return status
}
