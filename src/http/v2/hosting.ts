import Type from 'typebox'

import { parseSignature } from '../../record/signature.ts'
import type { Avatar } from '../../record/types.ts'
import { HttpError } from '../lib/errors.ts'
import { PAGE_DEFAULT } from '../lib/limits.ts'
import type { HttpApp, RouteParts } from '../lib/parts.ts'
import { OPERATOR_PREFIX } from '../lib/private-routes.ts'
import { AvatarText, Count, nullable, object, PageLimit, responses } from '../lib/schemas.ts'
import { AvatarParams } from './schemas.ts'

/** Avatars in one request, 0.2 ms of CPU each. */
const AVATARS_PER_CHANGE = 250
const INVITES_PER_REQUEST = 1_000

const Text = Type.String()
const Homes = Type.Array(Text, { description: 'URLs and multiaddrs.' })
const Mode = Type.Enum(['all', 'listed'])
const Policy = Type.Enum(['open', 'invite', 'closed'])
const ListName = Type.Enum(['hosted', 'blocked', 'gone'])

const HostingRequest = object(
  {
    statement: Type.String({ maxLength: 4096, description: 'The exact text that was signed.' }),
    signature: Type.String({ maxLength: 256, description: '64 or 65 bytes, as `0x` and hexadecimal or in base64.' }),
  },
  'HostingRequest',
)

const GrantedAnswer = object(
  {
    status: Type.Literal('granted'),
    action: Type.Enum(['host', 'leave']),
    avatar: Text,
    already: Type.Boolean({ description: 'With `host`: whether the avatar was already on the list.' }),
    pulling: Type.Boolean({ description: 'Whether the node is fetching the records from the address in `from`.' }),
  },
  'HostingGranted',
)

const PullAnswer = object(
  {
    state: Type.Enum(['waiting', 'pulling', 'done', 'failed']),
    from: Text,
    asked_at: Count,
    finished_at: nullable(Count),
    bytes: Count,
    stored: Count,
    duplicate: Count,
    refused: Count,
    code: nullable(Text),
    message: nullable(Text),
  },
  'Pull',
)

const HostedAnswer = object(
  {
    avatar: Text,
    hosted: Type.Boolean({ description: 'Whether this node stores and shows the avatar.' }),
    listed: Type.Boolean({ description: 'Whether the avatar is on the list.' }),
    mode: Mode,
    policy: Policy,
    homes: Homes,
    pull: nullable(PullAnswer, {
      description: 'The current fetch of records, or the last one that the node remembers.',
    }),
  },
  'Hosted',
)

const ListQuery = object({
  list: Type.Optional(ListName),
  cursor: Type.Optional(AvatarText),
  limit: PageLimit,
})

const ListAnswer = object(
  {
    entries: Type.Array(object({ avatar: Text, at: Count, homes: Type.Optional(Homes) })),
    counts: object({ hosted: Count, blocked: Count, gone: Count, invites: Count }),
    mode: Mode,
    policy: Policy,
    cursor: nullable(Text),
  },
  'HostingList',
)

const ChangeRequest = object(
  {
    action: Type.Enum(['add', 'remove', 'block', 'unblock']),
    avatars: Type.Array(AvatarText, { minItems: 1, maxItems: AVATARS_PER_CHANGE }),
    forget: Type.Optional(Type.Boolean({ description: 'With `block`: also delete the stored records.' })),
  },
  'HostingChange',
)

/** Hosting calls for owners and for the operator (docs/protocol.md, "Asking to be hosted", "The operator"). */
export function addHostingRoutes(app: HttpApp, { hosting, ownerRequests, names, clients }: RouteParts): void {
  const tags = ['Hosting']
  const { mode, policy } = hosting

  app.post(
    '/v2/hosting',
    {
      onRequest(request, _reply, done) {
        const waitS = ownerRequests.admits(clients.ofRequest(request.raw))
        const message = `This node gets too many hosting requests. Try again in ${waitS} s.`
        done(waitS === 0 ? undefined : new HttpError(429, 'too_many_requests', message, { retryS: waitS }))
      },
      schema: {
        tags,
        operationId: 'requestHosting',
        summary: 'Ask the node to host or to release an avatar',
        body: HostingRequest,
        response: responses({ 200: GrantedAnswer }, [400, 403, 404, 409]),
      },
    },
    ({ body }) => ownerRequests.ask(body.statement, parseSignature(body.signature)),
  )

  app.get(
    '/v2/hosting/:avatar',
    {
      schema: {
        tags,
        operationId: 'getHosting',
        summary: 'Whether and how this node hosts an avatar',
        params: AvatarParams,
        response: responses({ 200: HostedAnswer }, [400]),
      },
    },
    ({ params }) => {
      const avatar = names.parse(params.avatar)
      return Promise.resolve({
        avatar,
        hosted: hosting.hosts(avatar),
        listed: hosting.isListed(avatar),
        mode,
        policy,
        homes: [...hosting.formerHomes(avatar)],
        pull: ownerRequests.pullOf(avatar) ?? null,
      })
    },
  )

  app.get(
    `${OPERATOR_PREFIX}hosting`,
    {
      schema: {
        tags,
        operationId: 'operatorListHosting',
        summary: 'The lists of avatars: hosted, blocked, gone',
        querystring: ListQuery,
        response: responses({ 200: ListAnswer }, [400, 401]),
      },
    },
    ({ query: { list = 'hosted', cursor, limit = PAGE_DEFAULT } }) => {
      const after = cursor === undefined ? {} : { after: names.parse(cursor) }
      const found = hosting.list(list, { ...after, limit })
      const entries = found.map(({ homes, ...entry }) =>
        homes === undefined ? entry : { ...entry, homes: [...homes] },
      )
      const next = entries.length < limit ? null : (entries.at(-1)?.avatar ?? null)
      return Promise.resolve({ entries, counts: hosting.counts(), mode, policy, cursor: next })
    },
  )

  app.post(
    `${OPERATOR_PREFIX}hosting`,
    {
      schema: {
        tags,
        operationId: 'operatorChangeHosting',
        summary: 'Change the lists',
        body: ChangeRequest,
        response: responses({ 200: object({ changed: Count }) }, [400, 401]),
      },
    },
    async ({ body: { action, avatars: texts, forget = false } }) => {
      const avatars = [...new Set<Avatar>(texts.map((text) => names.parse(text)))]
      if (action === 'block') await hosting.block(avatars, { forget })
      else await hosting[action](avatars)
      return { changed: avatars.length }
    },
  )

  app.post(
    `${OPERATOR_PREFIX}hosting/tidy`,
    {
      schema: {
        tags,
        operationId: 'operatorTidyHosting',
        summary: 'Delete the records of avatars that are not hosted',
        response: responses({ 200: object({ dropped: Count }) }, [401]),
      },
    },
    async () => ({ dropped: await hosting.tidy() }),
  )

  app.post(
    `${OPERATOR_PREFIX}invites`,
    {
      schema: {
        tags,
        operationId: 'operatorCreateInvites',
        summary: 'Make invitation codes, each for one avatar',
        body: object({ count: Type.Integer({ minimum: 1, maximum: INVITES_PER_REQUEST }) }),
        response: responses({ 200: object({ codes: Type.Array(Text) }) }, [400, 401]),
      },
    },
    async ({ body: { count } }) => ({ codes: await hosting.invite(count) }),
  )

  app.post(
    `${OPERATOR_PREFIX}invites/revoke`,
    {
      schema: {
        tags,
        operationId: 'operatorRevokeInvites',
        summary: 'Revoke all unused invitation codes',
        response: responses({ 200: object({ revoked: Count }) }, [401]),
      },
    },
    async () => ({ revoked: await hosting.revokeInvites() }),
  )
}
