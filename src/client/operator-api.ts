/** A running node as its operator uses it, with the token of its data directory (docs/protocol.md, "Operator"). */
import { homesIn } from '../homes/homes.ts'
import type { Avatar, JsonValue } from '../record/types.ts'
import { ClientError } from './errors.ts'
import { count, hex, list, object, optional, text } from './shapes.ts'
import { createTransport, type Transport, type TransportOptions } from './transport.ts'

const MODES = ['all', 'listed'] as const
const POLICIES = ['open', 'invite', 'closed'] as const

/** Avatars on one of the node's lists. */
export interface HostingListAnswer {
  readonly entries: readonly { readonly avatar: Avatar; readonly at: number; readonly homes?: readonly string[] }[]
  readonly counts: {
    readonly hosted: number
    readonly blocked: number
    readonly gone: number
    readonly invites: number
  }
  readonly mode: (typeof MODES)[number]
  readonly policy: (typeof POLICIES)[number]
  /** Where to go on; null at the end. */
  readonly cursor: Avatar | null
}

export interface OperatorApi {
  readonly transport: Transport
  list(name: string, after: Avatar | null, limit: number): Promise<HostingListAnswer>
  /** @param action `add`, `remove`, `block` or `unblock` */
  change(action: string, avatars: readonly Avatar[], forget: boolean): Promise<void>
  /** Resolves with how many avatars were dropped. */
  tidy(): Promise<number>
  /** Resolves with new invite codes. */
  invite(count: number): Promise<readonly string[]>
  /** Resolves with how many unused codes there were. */
  revokeInvites(): Promise<number>
}

const MAX_ANSWER_BYTES = 4 * 1024 * 1024
/** Avatars of one request to change them. */
const AVATARS_PER_REQUEST = 250
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/

/**
 * @param url without a slash at its end
 * @throws ClientError `usage` where the token would cross a network in the clear
 */
export function createOperatorApi(url: string, token: string, options: TransportOptions): OperatorApi {
  const { protocol, hostname } = new URL(url)
  if (protocol === 'http:' && !LOOPBACK.test(hostname)) {
    throw new ClientError(
      'usage',
      `The operator's token is not sent in the clear to ${hostname}. Use https, or a tunnel.`,
    )
  }
  const transport = createTransport(url, { ...options, authorization: `Bearer ${token}` })

  async function ask<T>(path: string, parse: (value: JsonValue) => T, body?: object): Promise<T> {
    const sent = body === undefined ? {} : { body: JSON.stringify(body) }
    const request = { path: `/v2/operator/${path}`, maxBytes: MAX_ANSWER_BYTES, ...sent }
    const { value } = await transport.ask(request, parse)
    if (value === undefined) throw transport.badAnswer('it is not an answer to an operator')
    return value
  }

  return {
    transport,
    list(name, after, limit) {
      const from = after === null ? {} : { cursor: after }
      return ask(`hosting?${new URLSearchParams({ list: name, limit: String(limit), ...from })}`, parseList)
    },
    async change(action, avatars, forget) {
      for (let at = 0; at < avatars.length; at += AVATARS_PER_REQUEST) {
        const some = avatars.slice(at, at + AVATARS_PER_REQUEST)
        await ask('hosting', () => null, { action, forget, avatars: some })
      }
    },
    tidy: () => ask('hosting/tidy', (answer) => count(object(answer, 'the answer')['dropped'], 'dropped'), {}),
    invite: (many) =>
      ask('invites', (answer) => list(object(answer, 'the answer')['codes'], 'codes', (code) => text(code, 'codes')), {
        count: many,
      }),
    revokeInvites: () =>
      ask('invites/revoke', (answer) => count(object(answer, 'the answer')['revoked'], 'revoked'), {}),
  }
}

function parseList(value: JsonValue): HostingListAnswer {
  const answer = object(value, 'the answer')
  const counts = object(answer['counts'], 'counts')
  return {
    entries: list(answer['entries'], 'entries', (item) => {
      const { avatar, at, homes } = object(item, 'entries')
      return {
        avatar: hex(avatar, 'avatar', 66),
        at: count(at, 'at'),
        ...(homes === undefined ? {} : { homes: homesIn(homes) }),
      }
    }),
    counts: {
      hosted: count(counts['hosted'], 'counts.hosted'),
      blocked: count(counts['blocked'], 'counts.blocked'),
      gone: count(counts['gone'], 'counts.gone'),
      invites: count(counts['invites'], 'counts.invites'),
    },
    mode: oneOf(answer['mode'], 'mode', MODES),
    policy: oneOf(answer['policy'], 'policy', POLICIES),
    cursor: optional(answer['cursor'], (cursor) => hex(cursor, 'cursor', 66)),
  }
}

function oneOf<T extends string>(value: JsonValue | undefined, name: string, all: readonly T[]): T {
  const found = all.find((each) => each === value)
  if (found === undefined) throw new TypeError(`${name} is none of ${all.join(', ')}`)
  return found
}
