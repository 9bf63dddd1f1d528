/** Addresses within the page, behind `#`, so that none of them is an address of the node too. */
import { attempt } from './data/attempt.ts'

export const AVATAR_TABS = ['data', 'history', 'edit', 'move'] as const
export type AvatarTab = (typeof AVATAR_TABS)[number]

export type Route =
  | {
      readonly page: 'search'
      readonly query: string
    }
  | {
      readonly page: 'avatar'
      readonly avatar: string
      readonly tab: AvatarTab
      /** A record of the history, or a namespace to edit. */
      readonly focus: URLSearchParams
    }
  | { readonly page: 'write' }
  | { readonly page: 'archives' }
  | { readonly page: 'network' }
  | { readonly page: 'unknown' }

export function parseRoute(hash: string): Route {
  const text = hash.replace(/^#\/?/, '')
  const [path = '', query = ''] = text.split(/\?(.*)/s)
  const [first = '', second = '', third = ''] = path.split('/')
  const focus = new URLSearchParams(query)
  if (first === '') return { page: 'search', query: focus.get('q') ?? '' }
  if (first === 'avatar' && second !== '') {
    const tab = third === '' ? 'data' : AVATAR_TABS.find((each) => each === third)
    return tab === undefined ? { page: 'unknown' } : { page: 'avatar', avatar: decoded(second), tab, focus }
  }
  if (first === 'write') return { page: 'write' }
  if (first === 'archives') return { page: 'archives' }
  if (first === 'network') return { page: 'network' }
  return { page: 'unknown' }
}

export function avatarHref(
  avatar: string,
  tab: AvatarTab = 'data',
  focus: Readonly<Record<string, string>> = {},
): string {
  const query = new URLSearchParams(focus).toString()
  return `#/avatar/${encodeURIComponent(avatar)}${tab === 'data' ? '' : `/${tab}`}${query === '' ? '' : `?${query}`}`
}

export function searchHref(query: string): string {
  return `#/?${new URLSearchParams({ q: query }).toString()}`
}

/** The text itself if it is not percent-encoded UTF-8. */
export const decoded = (text: string): string => attempt(() => decodeURIComponent(text)) ?? text
