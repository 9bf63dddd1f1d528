import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox'

import type { StoreReader } from '../store/types.ts'
import type { AvatarNames } from './avatar-names.ts'
import { HttpError, JSON_TYPE } from './errors.ts'
import { etagOfText, matchesEtag } from './etag.ts'
import { PAGE_DEFAULT } from './limits.ts'
import { AnyJsonObject, responses } from './schemas.ts'
import { AvatarAnswer, AvatarParams, AvatarsAnswer, AvatarsQuery, NamespaceParams } from './v2-schemas.ts'
import { answerView, AVATAR_ROUTE } from './view-answer.ts'
import type { ViewCache } from './view-cache.ts'

const TAGS = ['Reading']

/** Reading avatars: the whole document, one namespace, and who is hosted (docs/protocol.md, "HTTP"). */
export function v2AvatarRoutes({
  store,
  views,
  names,
}: {
  readonly store: Pick<StoreReader, 'content' | 'avatars'>
  readonly views: ViewCache
  readonly names: AvatarNames
}): FastifyPluginCallbackTypebox {
  return (app, _options, done) => {
    app.get(
      AVATAR_ROUTE,
      {
        schema: {
          tags: TAGS,
          summary: 'Everything that an avatar has written, and where it stands',
          params: AvatarParams,
          response: responses({ 200: AvatarAnswer }, [400, 404]),
        },
      },
      async (request, reply) => {
        const view = await views.load(names.parse(request.params.avatar))
        if (view === undefined) throw new HttpError(404, 'unknown_avatar', 'This node has no records of this avatar.')
        reply.hijack()
        answerView(request.raw, reply.raw, view)
        return reply
      },
    )

    app.get(
      '/v2/avatars/:avatar/:platform/:identity',
      {
        schema: {
          tags: TAGS,
          summary: 'The content of one namespace',
          params: NamespaceParams,
          response: responses({ 200: AnyJsonObject }, [400, 404]),
        },
      },
      async (request, reply) => {
        const { platform, identity } = request.params
        const avatar = names.parse(request.params.avatar)
        const json = await store.content(avatar, platform, platform === 'nextid' ? names.parse(identity) : identity)
        if (json === undefined) {
          throw new HttpError(404, 'unknown_namespace', 'The avatar has written nothing here that this node knows of.')
        }
        const etag = etagOfText(json)
        reply.header('etag', etag).header('cache-control', 'no-cache')
        if (matchesEtag(request.headers['if-none-match'], etag)) return reply.code(304).send()
        return reply.header('content-type', JSON_TYPE).send(json)
      },
    )

    app.get(
      '/v2/avatars',
      {
        schema: {
          tags: TAGS,
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

    done()
  }
}
