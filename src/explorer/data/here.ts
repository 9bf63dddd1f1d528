/** Addresses of hosts. A proxy may serve a host below a path: `https://example.org/kv/`. */

/** Letters that a path of a host may have: none that could end a directive of the page's policy. */
const PATH = /^[A-Za-z0-9._~%/-]*$/
/** A name or an IP address. Some browsers take any text for a name, such as one with spaces. */
const HOSTNAME = /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])$/i

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
  const { protocol, username, origin, hostname, pathname } = new URL(address)
  if ((protocol !== 'http:' && protocol !== 'https:') || username !== '') return undefined
  if (!HOSTNAME.test(hostname) || !PATH.test(pathname)) return undefined
  return origin + pathname.replace(/\/+$/, '')
}

/** Why a host cannot be asked from this page, in words; undefined if it can. @param host as `hostOf` gives it */
export function hostFault(host: string | undefined): string | undefined {
  if (host === undefined) return 'That is not the address of a host. Type one such as https://kv.example.org'
  if (host === here()) return 'That is this host. Type the address of another one.'
  if (location.protocol === 'https:' && /^http:\/\/(?!localhost\b|127\.|\[::1\])/.test(host)) {
    return 'This page came by https, so the browser asks no host by plain http. Type an https address.'
  }
  return undefined
}
