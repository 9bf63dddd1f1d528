/**
 * Fetches from an address that a stranger has named, without becoming his hand in the operator's network (SSRF).
 *
 * Guaranteed: a connection is made only to an address that was looked at just before, and by exactly that address; every
 * address of a name is looked at, whatever the resolver says later; each redirect is treated as a new address; nothing of
 * the operator's is sent along.
 * Not guaranteed: that a public address does not belong to the operator.
 */
import { lookup as systemLookup } from 'node:dns'
import type { LookupAddress } from 'node:dns'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage, RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP } from 'node:net'
import type { LookupFunction } from 'node:net'

import { isPublicAddress } from './address-rules.ts'
import { HostingError } from './errors.ts'

/** All addresses of a name. */
export type Resolve = (host: string) => Promise<readonly LookupAddress[]>

export interface PullGuardOptions {
  /** Whether loopback, private and all other special addresses are fine, and every port. */
  readonly allowPrivate: boolean
  /** Default: the system's resolver. */
  readonly resolve?: Resolve
  /** Which addresses are public. Default: `isPublicAddress`. */
  readonly isPublic?: (address: string) => boolean
}

export interface PullGuard {
  /**
   * Looks at an address without going there: for an early answer.
   *
   * @throws HostingError `pull_address_refused`
   */
  check(url: string): void
  /**
   * GET, following redirects.
   *
   * @returns the answer with status 200, its body not read yet
   * @throws PullError
   */
  get(url: string, signal: AbortSignal): Promise<IncomingMessage>
}

/**
 * `address_refused`: an address that must not be asked. `unreachable`: no answer, or none to its end. `bad_answer`: another answer
 * than what was asked for. `incomplete`: records came, but not all of them, or not all were taken.
 */
export type PullErrorCode = 'address_refused' | 'unreachable' | 'bad_answer' | 'incomplete'

/** Why a fetch gave nothing. The message tells who asked for it no more of the network than the code does. */
export class PullError extends Error {
  override readonly name = 'PullError'
  readonly code: PullErrorCode

  constructor(code: PullErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

const MAX_REDIRECTS = 3
const MAX_HEADER_BYTES = 16_384
/** What a name resolves to beyond this is no honest answer. */
const MAX_ADDRESSES = 32
/** Ports below are those of other protocols, some of which could be talked to by way of HTTP. */
const FIRST_FREE_PORT = 1_024
const WEB_PORTS: ReadonlySet<string> = new Set(['', '80', '443'])
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

export function createPullGuard(options: PullGuardOptions): PullGuard {
  const { allowPrivate, resolve = resolveBySystem, isPublic = isPublicAddress } = options

  function parse(text: string, base?: URL): URL {
    const url = URL.canParse(text, base?.href) ? new URL(text, base?.href) : undefined
    if (url === undefined || !/^https?:$/.test(url.protocol)) throw refused('it is no http:// or https:// address')
    if (url.username !== '' || url.password !== '') throw refused('it has a user name or password in it')
    if (allowPrivate) return url
    if (!WEB_PORTS.has(url.port) && Number(url.port) < FIRST_FREE_PORT) {
      throw refused(`its port is neither 80, 443, nor one from ${FIRST_FREE_PORT} on`)
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
      throw new PullError('unreachable', 'The name of the address cannot be resolved.', { cause: error })
    }
    const isOdd = addresses.length === 0 || addresses.length > MAX_ADDRESSES
    if (isOdd || addresses.some(({ address }) => isIP(address) === 0)) {
      throw new PullError('unreachable', 'The name of the address cannot be resolved.')
    }
    // One that must not be asked spoils all: which one is taken is not for the name's owner to play with.
    if (!allowPrivate && !addresses.every(({ address }) => isPublic(address))) {
      throw new PullError('address_refused', 'The name resolves to an address that is not public.')
    }
    return addresses
  }

  /** For `net.connect`: hands over the addresses that were looked at, and no others. */
  function lookupOf(): LookupFunction {
    return (host, options, callback) => {
      addressesOf(host).then(
        (addresses) => {
          const [first] = addresses
          if (options.all === true) callback(null, [...addresses])
          else callback(null, first?.address ?? '', first?.family)
        },
        (error: unknown) => callback(error as NodeJS.ErrnoException, ''),
      )
    }
  }

  async function ask(url: URL, signal: AbortSignal): Promise<IncomingMessage> {
    const options: RequestOptions = {
      method: 'GET',
      // No pool: a connection that was opened for another name is never taken.
      agent: false,
      signal,
      lookup: lookupOf(),
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
      // It may break before there is an answer to read from.
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
    async get(text, signal) {
      let url = parse(text)
      for (let redirects = 0; ; redirects += 1) {
        const answer = await ask(url, signal)
        const { statusCode = 0, headers } = answer
        if (statusCode === 200) return answer
        answer.destroy()
        if (!REDIRECTS.has(statusCode) || headers.location === undefined) {
          throw new PullError('bad_answer', `The address answered with the status ${statusCode}.`)
        }
        if (redirects >= MAX_REDIRECTS)
          throw new PullError('bad_answer', `It redirects more than ${MAX_REDIRECTS} times.`)
        const next = parse(headers.location, url)
        if (url.protocol === 'https:' && next.protocol !== 'https:') {
          throw new PullError('bad_answer', 'It redirects from https to http.')
        }
        url = next
      }
    },
  }
}

/** Without the brackets of an IPv6 address. */
function hostOf({ hostname }: URL): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
}

function resolveBySystem(host: string): Promise<readonly LookupAddress[]> {
  return new Promise((resolve, reject) => {
    systemLookup(host, { all: true }, (error, addresses) => (error === null ? resolve(addresses) : reject(error)))
  })
}

function refused(why: string): PullError {
  return new PullError('address_refused', `This node does not fetch from that address: ${why}.`)
}

function asPullError(error: Error): PullError {
  if (error instanceof PullError) return error
  return new PullError('unreachable', 'The address does not answer.', { cause: error })
}
