import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'

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
        { name: 'Writing', description: 'Every record carries its own proof: a signature.' },
        { name: 'Node' },
        { name: 'Version 1 (Next.ID)' },
      ],
    },
  })
  await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: PAGE_POLICY, uiConfig: { docExpansion: 'list' } })
  app.get('/openapi.json', { schema: { hide: true } }, () => Promise.resolve(app.swagger()))
}
