import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'

/** Headers that a page of another origin may read. */
const EXPOSED = ['ETag', 'Retry-After']

/** How long a browser may cache the answer to a preflight request, in seconds; Chromium caches it for at most 2 h. */
const PREFLIGHT_S = 86_400

/** Prevents browsers from running JSON or an archive as a script or a page. */
const NO_SNIFFING = ['x-content-type-options', 'nosniff'] as const

/** Headers of every answer, as `ServerResponse.writeHead` takes them, for answers that bypass the framework. */
export const CORS_HEADERS = [
  ...['access-control-allow-origin', '*', 'access-control-expose-headers', EXPOSED.join(', ')],
  ...NO_SNIFFING,
]

/** Adds `nosniff` to every answer. Call it before other hooks are added, so that their refusals carry it too. */
export function installNoSniffing(app: FastifyInstance): void {
  app.addHook('onRequest', (_request, reply, done) => {
    reply.header(...NO_SNIFFING)
    done()
  })
}

/**
 * Lets pages of any origin read, and write signed records. There are no cookies or other ambient credentials that a page of
 * another origin could use.
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
