/** The text in the search: an avatar in any form, an account, or the address of a page about either. */
import { parseAvatar } from '../../client/index.ts'
import { parseRoute } from '../routes.ts'
import { attempt } from './attempt.ts'
import { cut } from './format.ts'
import { visible } from './format-visible.ts'
import { accountOf, isKnownSite, type Account } from './profile-url.ts'

export type Query =
  | { readonly kind: 'none' }
  | { readonly kind: 'avatar'; readonly avatar: string }
  | ({ readonly kind: 'identity' } & Account)
  /** Words: part of a profile's name. `guesses`: accounts that may be meant. */
  | { readonly kind: 'name'; readonly name: string; readonly guesses: readonly Account[] }
  | { readonly kind: 'wrong'; readonly message: string; readonly guesses: readonly Account[] }

/** A platform and an account, with one sign between them. Words with a space between them are never an account. */
const ACCOUNT = /^([a-z0-9._-]{1,64})(?:\s*\/\s*|:\s*)(\S.*)$/i
/** A name on a server of the Fediverse: `@alice@example.social`. */
const HANDLE = /^(?:acct:)?@?([\w.-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+)$/i
/** Letters or digits of any script, and nothing that belongs to an address. */
const NAME = /^(?!0x)[^/:]*[\p{L}\p{N}][^/:]*$/u
const ETHEREUM_ADDRESS = /^0x[0-9a-f]{40}$/i
const HELP =
  'Type a name, an avatar (a public key: 66 hex digits that begin with 02 or 03, or 130 that begin with 04, with or without 0x), or an account as platform/name, such as twitter/alice.'

export function parseQuery(text: string): Query {
  const query = text.trim()
  if (query === '') return { kind: 'none' }
  const avatar = avatarOf(query)
  if (avatar !== undefined) return avatar
  if (ETHEREUM_ADDRESS.test(query)) {
    return wrong(
      'That is an Ethereum address. An avatar is the public key behind it, and the address does not tell that key. The owner of the key finds the avatar with “Connect”.',
      [{ platform: 'ethereum', identity: query }],
    )
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(query) || isKnownSite(query)) return fromAddress(query)
  const handle = HANDLE.exec(query)?.[1]
  if (handle !== undefined) return { kind: 'identity', platform: 'activitypub', identity: handle }
  const [, platform = '', identity = ''] = ACCOUNT.exec(query) ?? []
  if (platform !== '' && !/^(0x)?[0-9a-f]{40,}$/i.test(query)) {
    if (platform.toLowerCase() === 'nextid')
      return avatarOf(identity.trim()) ?? wrong(`${quoted(identity)} is no avatar. ${HELP}`)
    return { kind: 'identity', platform: platform.toLowerCase(), identity: identity.trim() }
  }
  if (/^(0x)?[0-9a-f]{20,}$/i.test(query) || !NAME.test(query))
    return wrong(`${quoted(query)} is no avatar, account or name. ${HELP}`)
  const account = /^@?[\w.-]{1,64}$/.test(query) ? query.replace(/^@/, '') : ''
  const guesses = account === '' ? [] : ['twitter', 'github'].map((each) => ({ platform: each, identity: account }))
  return { kind: 'name', name: query.replace(/^@/, ''), guesses }
}

/** The address of an explorer's page, or of a profile. */
function fromAddress(text: string): Query {
  const address = text.includes('://') ? text : `https://${text}`
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url?.protocol === 'http:' || url?.protocol === 'https:') {
    const route = parseRoute(url.hash)
    const avatar = route.page === 'avatar' ? avatarOf(route.avatar) : undefined
    if (avatar !== undefined) return avatar
    const account = accountOf(url)
    if (account !== undefined) return { kind: 'identity', ...account }
  }
  return wrong(`${quoted(text)} is a web address, and not that of a profile which this page knows. ${HELP}`)
}

function avatarOf(text: string): Query | undefined {
  return attempt(() => ({ kind: 'avatar', avatar: parseAvatar(text) }))
}

function wrong(message: string, guesses: readonly Account[] = []): Query {
  return { kind: 'wrong', message, guesses }
}

function quoted(text: string): string {
  return `“${visible(cut(text, 60))}”`
}
