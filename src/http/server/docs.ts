import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import { OPERATOR_PREFIX } from '../lib/private-routes.ts'

/** The page of the API description loads files only from this node. */
const PAGE_POLICY = {
  'default-src': ["'self'"],
  'img-src': ["'self'", 'data:'],
  'style-src': ["'self'", "'unsafe-inline'"],
  'object-src': ["'none'"],
  'base-uri': ["'self'"],
  'frame-ancestors': ["'self'"],
}

/** Adds a description of all routes that are added later: `/openapi.json` (OpenAPI 3.1), and `/docs` for people. */
export async function installDocs(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'avatar-kv',
        version,
        description:
          'Signed key-value data of avatars. Version 2 is the native interface; version 1 serves unmodified clients of ' +
          'Next.ID. Errors are JSON: `{"code","message"}`.',
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

/** Addresses at which the plugin would answer with absolute links, and relative ones that replace them. */
const RELATIVE_REDIRECTS: Readonly<Record<string, string>> = { '/docs': 'docs/', '/docs/static/index.html': '../' }

/** Redirects to the same page by a relative address, which also works under a path of a reverse proxy. */
function relativeRedirect(request: FastifyRequest, reply: FastifyReply): FastifyReply | undefined {
  const target = RELATIVE_REDIRECTS[request.url.split('?', 1)[0] ?? '']
  return target === undefined ? undefined : reply.redirect(target)
}

/** Returns a server address relative to the description itself, which also works under a path of a reverse proxy. */
function serversAt(url: string) {
  return [{ url, description: 'The node that serves this description' }]
}

/** Returns for example `getAvatarsByAvatarRecords` for `GET /v2/avatars/:avatar/records`; version 1 keeps its number. */
function operationId(method: string | string[], url: string): string {
  const words = url
    .split('/')
    .filter((word) => word !== '' && word !== 'v2')
    .flatMap((word) => (word.startsWith(':') ? ['by', word.slice(1)] : word.split(/[^a-zA-Z0-9]+/)))
  const verb = [method].flat()[0] ?? 'get'
  return verb.toLowerCase() + words.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join('')
}
