import type { FastifyReply, FastifyRequest } from 'fastify'

import { OWN_PLATFORM } from '../../record/members.ts'
import type { Avatar } from '../../record/types.ts'
import { etagOfLinked, etagOfSummary } from '../answers/etag.ts'
import type { JsonAnswer } from '../answers/json-answers.ts'
import { documentOf, inMemory, linkedDocumentOf } from '../answers/json-snapshots.ts'
import { answerView, AVATAR_ROUTE, NAMESPACE_ROUTE } from '../answers/view-answer.ts'
import type { Loaded } from '../answers/view-cache.ts'
import type { JsonSnapshot } from '../../store/types.ts'
import { unknownAvatar, unknownNamespace } from '../lib/errors.ts'
import { PAGE_DEFAULT } from '../lib/limits.ts'
import type { HttpApp, RouteParts } from '../lib/parts.ts'
import { AnyJsonObject, responses } from '../lib/schemas.ts'
import {
  AvatarAnswer,
  AvatarParams,
  AvatarsAnswer,
  AvatarsQuery,
  LinkedFromAnswer,
  LinkedNamespaceQuery,
  LinkedQuery,
  NamespaceParams,
} from './schemas.ts'

const TAGS = ['Reading']

/** Calls that read avatars: the whole document, one namespace, and the list of avatars (docs/protocol.md, "HTTP"). */
export function addAvatarRoutes(app: HttpApp, parts: RouteParts): void {
  const { store, views, answers, budget, names, facts, hosting } = parts
  const isShown = (avatar: Avatar): boolean => hosting.hosts(avatar)

  app.get(
    AVATAR_ROUTE,
    {
      schema: {
        tags: TAGS,
        operationId: 'getAvatar',
        summary: 'The state of an avatar: all contents, tips, digest, what is missing',
        params: AvatarParams,
        querystring: LinkedQuery,
        response: responses({ 200: AvatarAnswer }, [400, 404, 413]),
      },
    },
    async (request, reply) => {
      const avatar = names.parse(request.params.avatar)
      if (request.query.linked === 'true') return await sendLinked(request, reply, avatar)
      const view = await views.load(avatar)
      if (view === undefined) throw unknownAvatar()
      return await send(request, reply, view, {
        async open() {
          const readSnapshot = await store.openView(avatar)
          if (readSnapshot === undefined) throw unknownAvatar()
          return documentOf(readSnapshot, facts.network)
        },
        etag: ({ summary }) => etagOfSummary(summary),
      })
    },
  )

  async function sendLinked(request: FastifyRequest, reply: FastifyReply, avatar: Avatar): Promise<FastifyReply> {
    const view = await views.loadLinked(avatar)
    if (view === undefined) throw unknownAvatar()
    return await send(request, reply, view, {
      async open() {
        const readSnapshot = await store.openLinkedView(avatar, isShown)
        if (readSnapshot === undefined) throw unknownAvatar()
        return linkedDocumentOf(readSnapshot, facts.network)
      },
      etag: etagOfLinked,
    })
  }

  const contentSchema = {
    tags: TAGS,
    summary: 'The content of one namespace',
    response: responses({ 200: AnyJsonObject }, [400, 404, 413]),
  }

  app.get(
    NAMESPACE_ROUTE,
    {
      schema: {
        ...contentSchema,
        operationId: 'getNamespace',
        description:
          'A URL path cannot have the segments `.` and `..`: for such names use `/v2/avatars/{avatar}/content`.',
        params: NamespaceParams,
        querystring: LinkedQuery,
      },
    },
    async (request, reply) => await sendContent(request, reply, { ...request.params, ...request.query }),
  )

  app.get(
    '/v2/avatars/:avatar/content',
    {
      schema: {
        ...contentSchema,
        operationId: 'getContent',
        summary: 'The content of one namespace, named in the query',
        description: 'Works for every platform and identity that a record can have.',
        params: AvatarParams,
        querystring: LinkedNamespaceQuery,
      },
    },
    async (request, reply) => await sendContent(request, reply, { ...request.params, ...request.query }),
  )

  async function sendContent(
    request: FastifyRequest,
    reply: FastifyReply,
    named: { readonly avatar: string; readonly platform: string; readonly identity: string; readonly linked?: string },
  ): Promise<FastifyReply> {
    const avatar = names.parse(named.avatar)
    const namespace = names.namespace(named)
    // Only the own namespace differs in the linked view.
    const isLinked = named.linked === 'true' && namespace.platform === OWN_PLATFORM && namespace.identity === avatar
    const view = isLinked ? await views.loadLinkedContent(avatar) : await views.loadContent(avatar, namespace)
    if (view === undefined) throw unknownNamespace()
    return await send(request, reply, view, {
      async open() {
        const readSnapshot = isLinked
          ? await store.openLinkedContent(avatar, isShown)
          : await store.openContent(avatar, namespace.platform, namespace.identity)
        if (readSnapshot === undefined) throw unknownNamespace()
        return readSnapshot
      },
      etag: 'text',
    })
  }

  /** Sends a view from the cache, or `answer` where it is too large for the cache. */
  async function send<T extends JsonSnapshot>(
    request: FastifyRequest,
    reply: FastifyReply,
    view: NonNullable<Loaded>,
    answer: JsonAnswer<T>,
  ): Promise<FastifyReply> {
    if (view === 'large') return await answers.send(request, reply, answer)
    if (answerView(request.raw, reply.raw, view, budget)) return reply.hijack()
    const { body, etag } = view
    const open = () => Promise.resolve(inMemory(body))
    return await answers.send(request, reply, { open, length: body.length, etag: () => etag })
  }

  app.get(
    '/v2/avatars/:avatar/linked-from',
    {
      schema: {
        tags: TAGS,
        operationId: 'listLinkedFrom',
        summary: 'Avatars held here that link to this one',
        params: AvatarParams,
        querystring: AvatarsQuery,
        response: responses({ 200: LinkedFromAnswer }, [400, 404]),
      },
    },
    async ({ params, query: { cursor, limit = PAGE_DEFAULT } }) => {
      const after = cursor === undefined ? {} : { after: names.parse(cursor) }
      const { owners, isLast } = await store.linkedFrom(names.parse(params.avatar), { ...after, limit })
      const links = owners.flatMap(({ avatar, keys }) => keys.map((key) => ({ avatar, key })))
      return { links, cursor: isLast ? null : (owners.at(-1)?.avatar ?? null) }
    },
  )

  app.get(
    '/v2/avatars',
    {
      schema: {
        tags: TAGS,
        operationId: 'listAvatars',
        summary: 'Avatars that this node hosts, in ascending order',
        querystring: AvatarsQuery,
        response: responses({ 200: AvatarsAnswer }, [400]),
      },
    },
    async ({ query: { cursor, limit = PAGE_DEFAULT } }) => {
      const after = cursor === undefined ? {} : { after: names.parse(cursor) }
      const avatars = await store.avatars({ ...after, limit })
      return { avatars, cursor: avatars.length < limit ? null : (avatars.at(-1) ?? null) }
    },
  )
}
