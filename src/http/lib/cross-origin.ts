import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'

/** Headers that a page of another origin may read. */
const EXPOSED = ['ETag', 'Retry-After']

/** How long a browser may remember that it may send what it sends, in seconds; Chromium keeps it 2 h at most. */
const PREFLIGHT_S = 86_400

/** Keeps browsers from running JSON or an archive as a script or a page. */
const NO_SNIFFING = ['x-content-type-options', 'nosniff'] as const

/** What every answer carries, as `ServerResponse.writeHead` takes it, for those that are written without the framework. */
export const CORS_HEADERS = [
  ...['access-control-allow-origin', '*', 'access-control-expose-headers', EXPOSED.join(', ')],
  ...NO_SNIFFING,
]

/** Has every answer say that its type is not to be guessed. Call it before other hooks are added: those may refuse. */
export function installNoSniffing(app: FastifyInstance): void {
  app.addHook('onRequest', (_request, reply, done) => {
    reply.header(...NO_SNIFFING)
    done()
  })
}

/**
 * Lets pages of any origin read, and write what is signed. There are no cookies or other credentials here that a foreign
 * page could borrow.
 */
export async function installCrossOrigin(app: FastifyInstance): Promise<void> {
  await app.register(cors, {
    origin: '*',
    methods: ['GET', 'HEAD', 'POST'],
    allowedHeaders: ['Content-Type', 'If-None-Match', 'Last-Event-ID', 'Authorization'],
    exposedHeaders: EXPOSED,
    maxAge: PREFLIGHT_S,
    strictPreflight: false,
  })
}
