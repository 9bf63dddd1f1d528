import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'

import type { JsonObject } from '../../record/types.ts'
import { descriptionOf } from '../docs/description.ts'
import { finishDescription } from '../docs/finish.ts'
import { docsPage } from '../docs/page.ts'
import { ALWAYS_ASK, pageFile, sendPageFile } from './page-file.ts'

/** The page has no script, and loads its styles alone. */
const PAGE_POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')
/** What `config/vite.explorer.config.ts` makes of `styles/docs.css`. */
const STYLES = /^assets\/docs-[\w-]+\.css$/
/** In the commands of the page, if the operator states no URL. */
const DEFAULT_URL = 'http://127.0.0.1:4381'

interface DocsOptions {
  readonly version: string
  /** The names of the files that the node serves beside the page. */
  readonly pageFiles: readonly string[]
  /** The URL of the node, if its operator states it. */
  readonly publicUrl: string | null
}

/**
 * Adds a description of all routes that are added later: `/openapi.json` (OpenAPI 3.1) for programs, and `/docs` for people.
 * Both are made when they are first asked for.
 */
export async function installDocs(app: FastifyInstance, options: DocsOptions): Promise<void> {
  const { version, pageFiles, publicUrl } = options
  await app.register(swagger, descriptionOf(version))

  const described = once(() => finishDescription(JSON.parse(JSON.stringify(app.swagger())) as JsonObject))
  const json = once(() => pageFile(Buffer.from(JSON.stringify(described())), 'application/json', ALWAYS_ASK))
  const page = once(() => {
    const styles = pageFiles.find((name) => STYLES.test(name))
    const html = docsPage(described(), { node: publicUrl ?? DEFAULT_URL, ...(styles === undefined ? {} : { styles }) })
    return pageFile(Buffer.from(html), 'text/html; charset=utf-8', ALWAYS_ASK)
  })

  app.get('/openapi.json', { schema: { hide: true } }, (request, reply) => sendPageFile(request, reply, json()))
  app.get('/docs', { schema: { hide: true } }, (request, reply) =>
    sendPageFile(request, reply.header('content-security-policy', PAGE_POLICY), page()),
  )
  // Relative, so that it also works below a path of a reverse proxy.
  app.get('/docs/', { schema: { hide: true } }, (_request, reply) => reply.redirect('../docs', 301))
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => (made ??= { value: make() }).value
}
