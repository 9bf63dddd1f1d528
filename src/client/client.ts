import type { Client, ClientOptions } from './api.ts'
import { nobleEngine } from '../record/engine.ts'
import { askHosts } from '../receipt/hosts.ts'
import { OWN_PLATFORM } from '../record/members.ts'
import type { Avatar, JsonObject } from '../record/types.ts'
import { linksOf } from '../state/links.ts'
import { ClientError } from './errors.ts'
import { findHosts, isPublicName, urlsOf } from './find-hosts.ts'
import { hostsIn } from './hosts.ts'
import { readLinked } from './linked-reader.ts'
import { TIMEOUT_MS } from './limits.ts'
import { readNodeInfo } from './node-about.ts'
import { createNodePool } from './node-pool.ts'
import { fetchFor } from './platform.ts'
import { profileOf } from './profile.ts'
import { pathOf, provenanceIn } from './provenance.ts'
import { readHistory } from './read-history.ts'
import { avatarOfText } from './signers.ts'
import { readDocument } from './read-document.ts'
import type { AvatarDocument, CallOptions, LinkedAvatar, LinkedOption, VerifiedAvatar, VerifyOptions } from './types.ts'
import { createVerifiedReader } from './verified-reader.ts'
import { watchAvatar } from './watch.ts'
import { createWriter, namespaceOf } from './writer.ts'

const NETWORK = /^[a-z0-9-]{1,32}$/

/**
 * A client over one or several nodes. It opens nothing and asks nobody before it is used, and needs no closing.
 *
 * @throws ClientError `usage` where an address or the network's name cannot be used, `unsupported` where the platform lacks
 * something, such as `fetch`
 */
export function createClient(clientOptions: ClientOptions): Client {
  const { network = 'main', signal: own, engine = nobleEngine, now = Date.now, timeoutMs = TIMEOUT_MS } = clientOptions
  if (!NETWORK.test(network)) throw new ClientError('usage', 'network is 1 to 32 of the characters a-z, 0-9 and -.')
  if (!(timeoutMs > 0)) throw new ClientError('usage', 'timeoutMs is a number of milliseconds above 0.')
  if (clientOptions.nodes.length === 0)
    throw new ClientError('usage', 'Name at least one node, such as https://node.example.')
  const pool = createNodePool(clientOptions.nodes, { ...fetchFor(clientOptions.fetch), timeoutMs, signal: own })
  const reader = createVerifiedReader({ pool, engine, cache: clientOptions.cache, network, signal: own })
  const parts = { pool, reader, engine, now, signal: own }

  function get(avatar: string, options?: CallOptions & LinkedOption): Promise<AvatarDocument | undefined>
  function get(
    avatar: string,
    platform: string,
    identity?: string,
    options?: CallOptions & LinkedOption,
  ): Promise<JsonObject | undefined>
  async function get(
    text: string,
    second?: (CallOptions & LinkedOption) | string,
    identity?: string,
    third?: CallOptions & LinkedOption,
  ): Promise<AvatarDocument | JsonObject | undefined> {
    const avatar = avatarOfText(text)
    if (typeof second !== 'string') {
      return await pool.first((api) => readDocument(api, avatar, second?.linked ?? true, second?.signal))
    }
    const name = namespaceOf(avatar, { platform: second, ...(identity === undefined ? {} : { identity }) })
    // Other namespaces have no links.
    const linked = name.platform === OWN_PLATFORM && (third?.linked ?? true)
    return await pool.first((api) => api.content(avatar, name.platform, name.identity, third?.signal, linked))
  }

  /** From the client's nodes; where they have nothing of the avatar, from hosts that they name. */
  async function readVerified(avatar: Avatar, options: VerifyOptions = {}): Promise<VerifiedAvatar> {
    const { local, verified } = await reader.read(avatar, options)
    if (local.size > 0 || (options.find ?? clientOptions.find) === false) return verified
    const found = await findHosts(pool, avatar, [own, options.signal])
    const urls = urlsOf(found, (url) => isPublicName(url) && !pool.all.some((api) => api.url === url))
    if (urls.length === 0) return verified
    // A redirect could lead anywhere.
    const given = fetchFor(clientOptions.fetch)
    const guarded: typeof fetch = (input, init) => given.fetch(input, { ...init, redirect: 'error' })
    const elsewhere = createNodePool(urls, { ...given, fetch: guarded, timeoutMs, signal: own })
    try {
      const there = createVerifiedReader({ pool: elsewhere, engine, cache: clientOptions.cache, network, signal: own })
      const read = await there.read(avatar, options)
      return read.local.size === 0 ? verified : { ...read.verified, nodes: [...verified.nodes, ...read.verified.nodes] }
    } catch (error) {
      if (error instanceof ClientError && error.code !== 'aborted') return verified
      throw error
    }
  }

  function getVerified(text: string, options: VerifyOptions & { readonly linked: false }): Promise<VerifiedAvatar>
  function getVerified(text: string, options?: VerifyOptions): Promise<LinkedAvatar>
  async function getVerified(text: string, options: VerifyOptions = {}): Promise<VerifiedAvatar | LinkedAvatar> {
    const avatar = avatarOfText(text)
    if (options.linked === false) return await readVerified(avatar, options)
    const known = await reader.known(avatar, options)
    return await readLinked((each) => readVerified(each, options), avatar, known?.snapshot())
  }

  return {
    nodes: pool.all.map(({ url }) => url),
    network,
    get,
    getVerified,
    async profile(text, options) {
      const { namespaces } = await readVerified(avatarOfText(text), options)
      return profileOf(namespaces.find(({ platform }) => platform === 'nextid')?.content)
    },
    find: async (text, options = {}) => await findHosts(pool, avatarOfText(text), [own, options.signal]),
    ...createWriter(parts, network),
    history: async (text, options = {}) => await readHistory(parts, avatarOfText(text), options),
    watch: (text, options = {}) => watchAvatar(parts, avatarOfText(text), options),
    async hosts(text, options = {}) {
      const avatar = avatarOfText(text)
      const hosts = hostsIn(parts, avatar, options)
      return await askHosts(avatar, hosts, { network, now: () => Math.floor(now() / 1000) })
    },
    nodeInfo: async (options) => await pool.first((api) => readNodeInfo(api.transport, options?.signal)),
    async provenance(text, platform, identity, path, options = {}) {
      const avatar = avatarOfText(text)
      const name = namespaceOf(avatar, { platform, identity })
      const tokens = pathOf(path)
      const { local } = await reader.read(avatar, options)
      const [key] = tokens
      const links =
        name.platform === OWN_PLATFORM && options.linked !== false ? linksOf(avatar, local.snapshot().namespaces) : []
      const link = links.find((each) => each.key === key)
      if (link === undefined) return { ...provenanceIn(local, name, tokens), avatar }
      const linked = await reader.read(link.avatar, options)
      return { ...provenanceIn(linked.local, namespaceOf(link.avatar, {}), tokens), avatar: link.avatar }
    },
  }
}
