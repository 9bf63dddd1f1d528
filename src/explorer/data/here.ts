/** Addresses of hosts. A proxy may serve a host below a path: `https://example.org/kv/`. */

/** Letters that a path of a host may have: none that could end a directive of the page's policy. */
const PATH = /^[A-Za-z0-9._~%/-]*$/

/** The address of the host that serves this page, without a slash at its end. */
export function here(): string {
  return new URL('.', location.href).href.replace(/\/+$/, '')
}

/** The path below which this host is served: `/`, or `/kv/`. */
export function pathHere(): string {
  return new URL('.', location.href).pathname
}

/**
 * The address of a host, from what a person typed: `https://…`, a bare name, or a link to a page of its explorer.
 *
 * @returns the address without a slash at its end; undefined if the text is no such address
 */
export function hostOf(text: string): string | undefined {
  const trimmed = text.trim()
  const address = /^[a-z]+:\/\//i.test(trimmed) ? trimmed : `https://${trimmed}`
  if (trimmed === '' || !URL.canParse(address)) return undefined
  const { protocol, username, origin, pathname } = new URL(address)
  if ((protocol !== 'http:' && protocol !== 'https:') || username !== '' || !PATH.test(pathname)) return undefined
  return origin + pathname.replace(/\/+$/, '')
}
