/**
 * Homes: the nodes that host an avatar, listed by convention in its own content (docs/protocol.md, "Homes"). They are claims of
 * the avatar: a client must verify every record from there.
 */
import type { Avatar, JsonObject, StateEntry } from '../record/types.ts'

/** Key of the list of homes in the avatar's own namespace (`nextid`). */
export const HOMES_KEY = 'org.avatar-kv.homes'

/** Most homes of an avatar. Further entries of the list are ignored. */
const MAX_HOMES = 16

/** Most characters of one home. */
const MAX_HOME_LENGTH = 256

/** A TCP multiaddr with an IP address or a DNS name: `/ip4/192.0.2.7/tcp/4382/p2p/12D3Koo…`. */
const MULTIADDR = /^\/(?:ip4|ip6|dns|dns4|dns6|dnsaddr)\/[A-Za-z0-9.:_-]{1,253}(?:\/[A-Za-z0-9.:_-]{1,128}){0,8}$/

/**
 * The homes listed in a content of the avatar's own namespace, normalised by `normalHome`: in the given order, without
 * duplicates, at most 16. Invalid entries are skipped.
 */
export function homesOf(content: JsonObject): string[] {
  return homesIn(Object.hasOwn(content, HOMES_KEY) ? content[HOMES_KEY] : undefined)
}

/** The homes in an untrusted value that should be a list of homes; as `homesOf`. */
export function homesIn(listed: unknown): string[] {
  if (!Array.isArray(listed)) return []
  const homes = new Set<string>()
  for (const each of listed as unknown[]) {
    if (homes.size >= MAX_HOMES) break
    const home = typeof each === 'string' ? normalHome(each) : undefined
    if (home !== undefined) homes.add(home)
  }
  return [...homes]
}

/** The homes of an avatar, given all of its namespaces. */
export function homesOfNamespaces(avatar: Avatar, namespaces: readonly StateEntry[]): string[] {
  const own = namespaces.find(({ platform, identity }) => platform === 'nextid' && identity === avatar)
  return own === undefined ? [] : homesOf(own.content)
}

/**
 * Normalises a home: an `http://` or `https://` URL of a node without a trailing slash, or a multiaddr.
 *
 * @returns undefined if the text is neither, has a user name, a query or a fragment, or has more than 256 characters
 */
export function normalHome(text: string): string | undefined {
  if (text.length > MAX_HOME_LENGTH) return undefined
  if (text.startsWith('/')) return MULTIADDR.test(text) ? text : undefined
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return undefined
  const url = new URL(text)
  const hasMore = url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== ''
  if (hasMore || !/^https?:$/.test(url.protocol)) return undefined
  const home = url.href.replace(/\/+$/, '')
  return home.length > MAX_HOME_LENGTH ? undefined : home
}

/** Whether a home is an HTTP URL, not a multiaddr. */
export function isUrlHome(home: string): boolean {
  return !home.startsWith('/')
}

/** The host of a home, an IP address (without brackets) or a name, in lower case. The home must be normalised. */
export function hostOfHome(home: string): string {
  const host = isUrlHome(home) ? new URL(home).hostname : (home.split('/')[2] ?? '')
  return host.replace(/^\[|\]$/g, '').toLowerCase()
}

/** Names that never belong to the public internet: RFC 6761, 6762, 8375, and those that home routers and companies use. */
const LOCAL_SUFFIX = /(?:^|\.)(?:localhost|local|localdomain|internal|intranet|private|corp|home|lan|home\.arpa)\.?$/

/** Whether a host name is only for a local network: it has no dot, or a suffix that is reserved for such names. */
export function isLocalName(host: string): boolean {
  return !host.replace(/\.$/, '').includes('.') || LOCAL_SUFFIX.test(host)
}
