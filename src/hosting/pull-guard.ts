import { CodedError } from '../platform/errors.ts'

/**
 * Fetches from a URL that a stranger supplied, protected against server-side request forgery (SSRF).
 *
 * Guaranteed: every address of a host name is checked just before the connection, and the connection goes to a checked
 * address, even if the resolver later returns another; each redirect is checked like a new URL; requests carry no credentials.
 * Not guaranteed: that a public address is not one of the operator's machines.
 */
import type { LookupAddress } from 'node:dns'
import { lookup as systemLookup } from 'node:dns/promises'
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'

import { isPublicAddress } from '../shares/public-address.ts'
import { HostingError } from './errors.ts'

/** Returns all addresses of a host name. */
export type Resolve = (host: string) => Promise<readonly LookupAddress[]>

export interface PullGuardOptions {
  /** Whether to allow loopback, private and all other special addresses, and every port. */
  readonly allowPrivate: boolean
  /** Default: the system's resolver. */
  readonly resolve?: Resolve
  /** Tells public addresses from others. Default: `isPublicAddress`. */
  readonly isPublic?: (address: string) => boolean
}

export interface PullGuard {
  /** Checks a URL without connecting to it, to reject a bad one early. @throws HostingError `pull_address_refused` */
  check(url: string): void
  /**
   * GET, following redirects.
   *
   * @returns the response, with status 200 and an unread body
   * @throws PullError
   */
  get(url: string, signal: AbortSignal): Promise<IncomingMessage>
  /** The same, but returns a response of any status other than a redirect. @throws PullError */
  answer(url: string, signal: AbortSignal): Promise<IncomingMessage>
}

/**
 * `address_refused`: the guard does not allow the address. `unreachable`: no answer, or not a whole one in time.
 * `bad_answer`: the answer is not an archive, or too long. `incomplete`: some records are missing or were not accepted.
 */
export type PullErrorCode = 'address_refused' | 'unreachable' | 'bad_answer' | 'incomplete'

/** Why a fetch failed. The stranger reads the message, so it tells no more about the operator's network than the code. */
export class PullError extends CodedError<PullErrorCode> {
  override readonly name = 'PullError'
}

const UNRESOLVED = 'This node cannot resolve the host name in the URL. Check its spelling.'
const MAX_REDIRECTS = 3
const MAX_HEADER_BYTES = 16_384
/** A host name with more addresses is rejected. */
const MAX_ADDRESSES = 32
/** Lower ports belong to other protocols, and an HTTP request can act as a command in some of them. */
const FIRST_FREE_PORT = 1_024
const WEB_PORTS: ReadonlySet<string> = new Set(['', '80', '443'])
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

export function createPullGuard(options: PullGuardOptions): PullGuard {
  const { allowPrivate, resolve = (host) => systemLookup(host, { all: true }), isPublic = isPublicAddress } = options

  function parse(text: string, base?: URL): URL {
    const url = URL.canParse(text, base?.href) ? new URL(text, base?.href) : undefined
    if (url === undefined || !/^https?:$/.test(url.protocol)) throw refused('it is not an http:// or https:// URL')
    if (url.username !== '' || url.password !== '') throw refused('it contains a user name or password')
    if (allowPrivate) return url
    if (!WEB_PORTS.has(url.port) && Number(url.port) < FIRST_FREE_PORT) {
      throw refused(`its port must be 80, 443, or at least ${FIRST_FREE_PORT}`)
    }
    const host = hostOf(url)
    if (isIP(host) !== 0 && !isPublic(host)) throw refused('it is not a public address')
    return url
  }

  async function addressesOf(host: string): Promise<readonly LookupAddress[]> {
    let addresses: readonly LookupAddress[]
    try {
      addresses = await resolve(host)
    } catch (error) {
      throw new PullError('unreachable', UNRESOLVED, { cause: error })
    }
    const isOdd = addresses.length === 0 || addresses.length > MAX_ADDRESSES
    if (isOdd || addresses.some(({ address }) => isIP(address) === 0)) {
      throw new PullError('unreachable', UNRESOLVED)
    }
    // One forbidden address rejects the name: the owner of the name must not be able to influence which one is used.
    if (!allowPrivate && !addresses.every(({ address }) => isPublic(address))) {
      throw new PullError(
        'address_refused',
        'The host name in the URL resolves to an address that is not public. Use a public host name.',
      )
    }
    return addresses
  }

  /** A resolver for `net.connect` that returns only checked addresses. */
  const lookup: LookupFunction = (host, options, callback) => {
    addressesOf(host).then(
      (addresses) => {
        const [first] = addresses
        if (options.all === true) callback(null, [...addresses])
        else callback(null, first?.address ?? '', first?.family)
      },
      (error: unknown) => callback(error as NodeJS.ErrnoException, ''),
    )
  }

  async function ask(url: URL, signal: AbortSignal): Promise<IncomingMessage> {
    const options: RequestOptions = {
      method: 'GET',
      // No pool: a connection that was opened for another host name must not be reused.
      agent: false,
      signal,
      lookup,
      maxHeaderSize: MAX_HEADER_BYTES,
      headers: {
        accept: 'application/x-ndjson, application/json',
        'accept-encoding': 'identity',
        'user-agent': 'avatar-kv',
      },
    }
    return await new Promise((resolve, reject) => {
      const request = url.protocol === 'https:' ? httpsRequest(url, options) : httpRequest(url, options)
      request.once('response', resolve)
      request.once('error', (error) => reject(asPullError(error)))
      // The connection may also fail after the first error; an unhandled `error` event would end the process.
      request.on('error', () => undefined)
      request.end()
    })
  }

  return {
    check(url) {
      try {
        parse(url)
      } catch (error) {
        if (error instanceof PullError) throw new HostingError('pull_address_refused', error.message)
        throw error
      }
    },
    answer,
    async get(url, signal) {
      const response = await answer(url, signal)
      const { statusCode = 0 } = response
      if (statusCode === 200) return response
      response.destroy()
      throw new PullError(
        'bad_answer',
        `The server answered with the status ${statusCode} instead of an archive. Check the URL.`,
      )
    },
  }

  async function answer(text: string, signal: AbortSignal): Promise<IncomingMessage> {
    let url = parse(text)
    for (let redirects = 0; ; redirects += 1) {
      const response = await ask(url, signal)
      const { statusCode = 0, headers } = response
      if (!REDIRECTS.has(statusCode) || headers.location === undefined) return response
      response.destroy()
      if (redirects >= MAX_REDIRECTS)
        throw new PullError('bad_answer', `The server redirects more than ${MAX_REDIRECTS} times.`)
      const next = parse(headers.location, url)
      if (url.protocol === 'https:' && next.protocol !== 'https:') {
        throw new PullError('bad_answer', 'The server redirects from https to http.')
      }
      url = next
    }
  }
}

/** Without the brackets of an IPv6 address. */
function hostOf({ hostname }: URL): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
}

function refused(why: string): PullError {
  return new PullError('address_refused', `This node does not fetch from that URL: ${why}.`)
}

function asPullError(error: Error): PullError {
  if (error instanceof PullError) return error
  return new PullError('unreachable', 'The server does not answer.', { cause: error })
}
