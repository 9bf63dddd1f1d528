/** A running node as its operator uses it, with the token of its data directory (docs/protocol.md, "Operator"). */
import { homesIn } from '../homes/homes.ts'
import type { Avatar } from '../record/types.ts'
import { ClientError } from './errors.ts'
import { avatarHex, count, fields, list, object, oneOf, optional, text, type Shape } from './shapes.ts'
import { createTransport, type TransportOptions } from './transport.ts'

/** Avatars on one of the node's lists. */
export type HostingListAnswer = ReturnType<typeof parseList>
const parseList = fields({
  entries: list((value, name) => {
    const { homes } = object(value, name)
    return { ...parseEntry(value, name), ...(homes === undefined ? {} : { homes: homesIn(homes) }) }
  }),
  counts: fields({ hosted: count, blocked: count, gone: count, invites: count }),
  mode: oneOf('all', 'listed'),
  policy: oneOf('open', 'invite', 'closed'),
  /** Where to go on; null at the end. */
  cursor: optional(avatarHex),
})
const parseEntry = fields({ avatar: avatarHex, at: count })

const MAX_ANSWER_BYTES = 4 * 1024 * 1024
/** Avatars of one request to change them. */
const AVATARS_PER_REQUEST = 250
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/

/**
 * @param url without a slash at its end
 * @throws ClientError `usage` where the token would cross a network in the clear
 */
export function createOperatorApi(url: string, token: string, options: TransportOptions) {
  const { protocol, hostname } = new URL(url)
  if (protocol === 'http:' && !LOOPBACK.test(hostname)) {
    throw new ClientError(
      'usage',
      `The operator's token is not sent in the clear to ${hostname}. Use https, or a tunnel.`,
    )
  }
  const transport = createTransport(url, { ...options, authorization: `Bearer ${token}` })

  async function ask<T>(path: string, parse: Shape<T>, body?: object): Promise<T> {
    const sent = body === undefined ? {} : { body: JSON.stringify(body) }
    const request = { path: `/v2/operator/${path}`, maxBytes: MAX_ANSWER_BYTES, ...sent }
    const { value } = await transport.ask(request, parse)
    if (value === undefined) throw transport.badAnswer('it is not an answer to an operator')
    return value
  }

  return {
    transport,
    list(name: string, after: Avatar | null, limit: number): Promise<HostingListAnswer> {
      const from = after === null ? {} : { cursor: after }
      return ask(`hosting?${new URLSearchParams({ list: name, limit: String(limit), ...from })}`, parseList)
    },
    /** @param action `add`, `remove`, `block` or `unblock` */
    async change(action: string, avatars: readonly Avatar[], forget: boolean): Promise<void> {
      for (let at = 0; at < avatars.length; at += AVATARS_PER_REQUEST) {
        const some = avatars.slice(at, at + AVATARS_PER_REQUEST)
        await ask('hosting', () => null, { action, forget, avatars: some })
      }
    },
    /** Resolves with how many avatars were dropped. */
    tidy: async () => (await ask('hosting/tidy', fields({ dropped: count }), {})).dropped,
    /** Resolves with new invite codes. */
    invite: async (many: number) => (await ask('invites', fields({ codes: list(text) }), { count: many })).codes,
    /** Resolves with how many unused codes there were. */
    revokeInvites: async () => (await ask('invites/revoke', fields({ revoked: count }), {})).revoked,
  }
}
