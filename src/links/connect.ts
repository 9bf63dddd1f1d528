import { bytesToHex } from '@noble/hashes/utils.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { ClientError } from '../client/errors.ts'
import { avatarOfText, privateKeySigner, type Signer } from '../client/signers.ts'
import type { PutResult, WriteOptions } from '../client/types.ts'
import type { Avatar, JsonObject, JsonValue } from '../record/types.ts'
import { linksOf } from '../state/links.ts'
import { getMember, setMember } from '../state/merge-patch.ts'
import { callOf, checkKey, checkRoom, linkPatch, notLinked, readWith, valueUnder } from './links.ts'
import { storeOf } from './store.ts'
import type { AppWriter, ConnectOptions, LinkClient, LinkedStore, LinkReplica, LocalWrite } from './types.ts'

/** How long a link that was seen counts as there, while the app writes. */
const LINK_SEEN_MS = 2_000

/**
 * Connects an app to an owner's data, over a client, or over a replica, where the app then writes offline too. The app gets a key of its own; the owner's signer is asked once, to link one top-level key to
 * it, and not at all if the link is there already. Then the app writes under that key, and nowhere else, without asking anyone.
 *
 * What is under the key already becomes the app's: it is written with the app's key before the owner is asked.
 *
 * @throws ClientError `usage` if the key cannot be linked; `not_linked` if `owner` is an avatar and the link is not there; `linked` if the key
 *   is linked to another avatar; `rejected` if the owner says no; those of `getVerified` and `put`
 */
export function connect(client: LinkClient, options: ConnectOptions): Promise<AppWriter>
export function connect(replica: LinkReplica, options: ConnectOptions): Promise<AppWriter<LocalWrite>>
export async function connect(
  given: LinkClient | LinkReplica,
  options: ConnectOptions,
): Promise<AppWriter<PutResult | LocalWrite>> {
  const store = storeOf(given)
  const { owner, key, keyStore, signal, replace = false, now = Date.now } = options
  checkKey(key)
  const avatar = typeof owner === 'string' ? avatarOfText(owner) : owner.avatar
  const secret = await keyStore.getOrCreate(keyName(store.network, avatar, key), newSecretKey)
  const app = privateKeySigner(secret)
  const call = callOf(signal)
  await store.known?.(avatar, signal)
  const own = await readWith(store, avatar, key, signal)
  const isLinked = own.links.some((each) => each.key === key && each.avatar === app.avatar)
  if (!isLinked) {
    if (typeof owner === 'string') {
      throw notLinked(key, `To link it, call connect with a signer of ${avatar} as owner: it is asked once.`)
    }
    checkRoom(own, key, app.avatar, replace)
    const value = valueUnder(own, key)
    // What the app wrote before under the key, if it was linked once, is replaced.
    await store.known?.(app.avatar, signal)
    await store.change({ signer: app, change: (before) => withValue(before, key, value) }, call)
    await store.put({ signer: owner, patch: linkPatch(own, options, app.avatar) }, call)
  }
  return createAppWriter(store, { owner: avatar, app, key, asked: !isLinked, now })
}

interface Connection {
  readonly owner: Avatar
  readonly app: Signer
  readonly key: string
  readonly asked: boolean
  readonly now: () => number
}

function createAppWriter<Written>(
  store: LinkedStore<Written>,
  { owner, app, key, asked, now }: Connection,
): AppWriter<Written> {
  let seenAt = now()
  let removed: ClientError | undefined

  function checkNamespaces(namespaces: Parameters<typeof linksOf>[1]): void {
    if (linksOf(owner, namespaces).some((each) => each.key === key && each.avatar === app.avatar)) {
      seenAt = now()
      return
    }
    removed = new ClientError(
      'not_linked',
      `The owner ${owner} has removed the link of ${JSON.stringify(key)}, so what this app writes no longer shows. Stop writing, and call connect ` +
        'again if the owner wants that.',
    )
    throw removed
  }

  /** Writes, and looks at the same time whether the link is still there. */
  async function whileLinked<T>(write: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    if (removed !== undefined) throw removed
    if (now() - seenAt < LINK_SEEN_MS) return await write()
    const check = async (): Promise<void> => {
      const own = await store.read(owner, { ...callOf(signal), linked: false }).catch((error: unknown) => {
        // Then the write says what is wrong, or did without that node.
        if (error instanceof ClientError) return undefined
        throw error
      })
      if (own !== undefined) checkNamespaces(own.namespaces)
    }
    const [checked, written] = await Promise.allSettled([check(), write()])
    if (checked.status === 'rejected') throw checked.reason
    if (written.status === 'rejected') throw written.reason
    return written.value
  }

  const under = (value: JsonValue): JsonObject => {
    const patch: JsonObject = {}
    setMember(patch, key, value)
    return patch
  }

  async function batch(patches: readonly JsonValue[], options: WriteOptions = {}) {
    const requests = patches.map((patch) => ({ signer: app, patch: under(patch) }))
    return await whileLinked(() => store.batch(requests, options), options.signal)
  }

  return {
    owner,
    avatar: app.avatar,
    key,
    asked,
    async get(options = {}) {
      const shown = await store.read(owner, options)
      checkNamespaces(shown.namespaces)
      return valueUnder(shown, key)
    },
    async put(patch, options = {}) {
      return await whileLinked(() => store.put({ signer: app, patch: under(patch) }, options), options.signal)
    },
    async change(change, options = {}) {
      const request = {
        signer: app,
        change: async (before: JsonObject) => withValue(before, key, await change(getMember(before, key))),
      }
      return await whileLinked(() => store.change(request, options), options.signal)
    },
    batch,
  }
}

/** A random number is in the curve's range but for one in 2^127. */
function newSecretKey(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(32))
}

/** Changes a content, which is a copy. */
function withValue(content: JsonObject, key: string, value: JsonValue | undefined): JsonObject {
  if (value === undefined) Reflect.deleteProperty(content, key)
  else setMember(content, key, value)
  return content
}

/** A name that every store can use, also as the name of a file, for any key. */
function keyName(network: string, owner: Avatar, key: string): string {
  return `${network}-${owner.slice(2)}-${bytesToHex(sha256(new TextEncoder().encode(key))).slice(0, 32)}`
}
