/** Finds the account that the address of a profile page names. Platforms have the names of Next.ID's proof service. */
import { decoded } from '../routes.ts'

export interface Account {
  readonly platform: string
  readonly identity: string
}

interface Site {
  readonly platform: string
  readonly hosts: readonly string[]
  /** Finds the identity in the path. */
  readonly path: RegExp
}

/** The first segment of a path, with or without an `@` before it. */
const NAME = /^\/@?([^/@]+)/
const WITH_AT = /^\/@([^/@]+)/
const ADDRESS = /^\/(?:address|account)\/([^/]+)/

const SITES: readonly Site[] = [
  { platform: 'twitter', hosts: ['twitter.com', 'x.com'], path: NAME },
  { platform: 'github', hosts: ['github.com', 'gist.github.com'], path: NAME },
  { platform: 'gitlab', hosts: ['gitlab.com'], path: NAME },
  { platform: 'keybase', hosts: ['keybase.io'], path: NAME },
  { platform: 'minds', hosts: ['minds.com'], path: NAME },
  { platform: 'tiktok', hosts: ['tiktok.com'], path: WITH_AT },
  { platform: 'reddit', hosts: ['reddit.com'], path: /^\/u(?:ser)?\/([^/]+)/ },
  { platform: 'steam', hosts: ['steamcommunity.com'], path: /^\/(?:id|profiles)\/([^/]+)/ },
  { platform: 'telegram', hosts: ['t.me', 'telegram.me'], path: NAME },
  { platform: 'farcaster', hosts: ['farcaster.xyz', 'warpcast.com'], path: NAME },
  { platform: 'lens', hosts: ['hey.xyz'], path: /^\/u\/([^/]+)/ },
  { platform: 'bluesky', hosts: ['bsky.app'], path: /^\/profile\/([^/]+)/ },
  { platform: 'instagram', hosts: ['instagram.com'], path: NAME },
  { platform: 'facebook', hosts: ['facebook.com'], path: NAME },
  { platform: 'linkedin', hosts: ['linkedin.com'], path: /^\/in\/([^/]+)/ },
  { platform: 'youtube', hosts: ['youtube.com'], path: WITH_AT },
  { platform: 'medium', hosts: ['medium.com'], path: WITH_AT },
  { platform: 'twitch', hosts: ['twitch.tv'], path: NAME },
  { platform: 'ethereum', hosts: ['etherscan.io'], path: ADDRESS },
  { platform: 'solana', hosts: ['solscan.io', 'explorer.solana.com'], path: ADDRESS },
]
/** Pages of those sites that are no profile. */
const NO_PROFILE = new Set([
  'about',
  'explore',
  'hashtag',
  'home',
  'i',
  'intent',
  'login',
  'search',
  'settings',
  'share',
])

/** @returns undefined if the address is of no known platform, or names no account there */
export function accountOf(url: URL): Account | undefined {
  const host = url.hostname.replace(/^(?:www|m|mobile|old|new)\./, '')
  const site = SITES.find(({ hosts }) => hosts.includes(host))
  const name = site?.path.exec(url.pathname)?.[1]
  if (site !== undefined) {
    const identity = name === undefined ? '' : decoded(name)
    return identity === '' || NO_PROFILE.has(identity.toLowerCase()) ? undefined : { platform: site.platform, identity }
  }
  // Mastodon, Misskey and Pleroma: an account is named with its server.
  const user = /^\/(?:@|users\/)([\w.-]+)(?:\/|$)/.exec(url.pathname)?.[1]
  return user === undefined ? undefined : { platform: 'activitypub', identity: `${user}@${host}` }
}

/** Whether an address without `https://` is of a known platform, such as `github.com/alice`. */
export function isKnownSite(text: string): boolean {
  const host = /^(?:(?:www|m|mobile)\.)?([a-z0-9.-]+)\//i.exec(text)?.[1]?.toLowerCase()
  return host !== undefined && SITES.some(({ hosts }) => hosts.includes(host))
}
