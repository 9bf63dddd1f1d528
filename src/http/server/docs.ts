import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import { OPERATOR_PREFIX } from '../lib/private-routes.ts'

/** Everything that the page of the API description loads is served by this node. */
const PAGE_POLICY = {
  'default-src': ["'self'"],
  'img-src': ["'self'", 'data:'],
  'style-src': ["'self'", "'unsafe-inline'"],
  'object-src': ["'none'"],
  'base-uri': ["'self'"],
  'frame-ancestors': ["'self'"],
}

/** Describes all routes added after it: `/openapi.json` (OpenAPI 3.1), and `/docs` for people. */
export async function installDocs(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'avatar-kv',
        version,
        description:
          'Signed key-value data of avatars. Version 2 is the native interface; version 1 is that of Next.ID, for its ' +
          'clients as they are. Errors are JSON: `{"code","message"}`.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      tags: [
        { name: 'Reading', description: 'Open to everyone.' },
        { name: 'Writing', description: 'Needs no account: every record is signed.' },
        { name: 'Node' },
        { name: 'Version 1 (Next.ID)' },
      ],
      components: {
        securitySchemes: {
          operator: {
            type: 'http',
            scheme: 'bearer',
            description: 'The content of the file `operator-token` in the data directory of the node.',
          },
        },
      },
    },
    transform({ schema, url, route }) {
      const security = url.startsWith(OPERATOR_PREFIX) ? { security: [{ operator: [] }] } : {}
      return { schema: { ...schema, operationId: operationId(route.method, url), ...security }, url }
    },
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: PAGE_POLICY,
    uiConfig: { docExpansion: 'list' },
    uiHooks: { onRequest: (request, reply, done) => relativeRedirect(request, reply) ?? done() },
    transformSpecification: (description) => ({ ...description, servers: serversAt('..') }),
  })
  app.get('/openapi.json', { schema: { hide: true } }, () =>
    Promise.resolve({ ...app.swagger(), servers: serversAt('.') }),
  )
}

/** Where the page of the API description is addressed without its folder, the plugin would answer with absolute links. */
const RELATIVE_REDIRECTS: Readonly<Record<string, string>> = { '/docs': 'docs/', '/docs/static/index.html': '../' }

/** Sends the reader to the same page by a relative address, which holds under a path of a reverse proxy. */
function relativeRedirect(request: FastifyRequest, reply: FastifyReply): FastifyReply | undefined {
  const target = RELATIVE_REDIRECTS[request.url.split('?', 1)[0] ?? '']
  return target === undefined ? undefined : reply.redirect(target)
}

/** Relative to where the description was loaded from, so that it holds under a path of a reverse proxy. */
function serversAt(url: string) {
  return [{ url, description: 'The node that serves this description' }]
}

/** `GET /v2/avatars/:avatar/records` is `getAvatarsByAvatarRecords`; version 1 has its number in the name. */
function operationId(method: string | string[], url: string): string {
  const words = url
    .split('/')
    .filter((word) => word !== '' && word !== 'v2')
    .flatMap((word) => (word.startsWith(':') ? ['by', word.slice(1)] : word.split(/[^a-zA-Z0-9]+/)))
  const verb = [method].flat()[0] ?? 'get'
  return verb.toLowerCase() + words.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join('')
}
