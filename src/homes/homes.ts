/**
 * Homes: the operators that keep an avatar, listed by convention in its own content (docs/protocol.md, "Homes"). They are
 * the avatar's claims: whoever goes there verifies what he gets.
 */
import type { Avatar, JsonObject, StateEntry } from '../record/types.ts'

/** Key in the avatar's own namespace (`nextid`) under which its homes are. */
export const HOMES_KEY = 'org.avatar-kv.homes'

/** Homes that are used; what follows in the list is ignored. */
const MAX_HOMES = 16

/** Characters of one home. */
const MAX_HOME_LENGTH = 256

/** A multiaddr of TCP by an address or a name: `/ip4/192.0.2.7/tcp/4382/p2p/12D3Koo…`. */
const MULTIADDR = /^\/(?:ip4|ip6|dns|dns4|dns6|dnsaddr)\/[A-Za-z0-9.:_-]{1,253}(?:\/[A-Za-z0-9.:_-]{1,128}){0,8}$/

/**
 * The homes that a content of the avatar's own namespace lists, as `normalHome` writes them, in the given order, each once;
 * at most 16. What is no home is passed over.
 */
export function homesOf(content: JsonObject): string[] {
  return homesIn(Object.hasOwn(content, HOMES_KEY) ? content[HOMES_KEY] : undefined)
}

/** The homes in what should be a list of them, whoever made it; as `homesOf`. */
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

/** The homes of an avatar, by all of its namespaces. */
export function homesOfNamespaces(avatar: Avatar, namespaces: readonly StateEntry[]): string[] {
  const own = namespaces.find(({ platform, identity }) => platform === 'nextid' && identity === avatar)
  return own === undefined ? [] : homesOf(own.content)
}

/**
 * One way to write a home: an `http://` or `https://` address of a node without a slash at its end, or a multiaddr.
 *
 * @returns undefined for what is neither, carries a user name, a query or a fragment, or has more than 256 characters
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

/** Whether a home is an address to which HTTP is spoken. */
export function isUrlHome(home: string): boolean {
  return !home.startsWith('/')
}
