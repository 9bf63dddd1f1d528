import type { FastifyInstance } from 'fastify'

import { HttpError, sendError } from '../lib/errors.ts'

/**
 * Answers requests without a route: 405 with `Allow` if the address exists for other methods (RFC 9110, 15.5.6), else 404.
 * Call it before any route is added.
 */
export function installNotFound(app: FastifyInstance): void {
  const methodsOf = new Map<string, Set<string>>()
  const patterns: { matches: RegExp; methods: Set<string> }[] = []

  app.addHook('onRoute', ({ url, method }) => {
    // The preflight route of @fastify/cors matches every address, existing or not.
    if (url === '*' || url === '/*') return
    let methods = methodsOf.get(url)
    if (methods === undefined) {
      methods = new Set(['OPTIONS'])
      methodsOf.set(url, methods)
      patterns.push({ matches: patternOf(url), methods })
    }
    for (const each of [method].flat()) methods.add(each)
  })

  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] ?? ''
    const found = patterns.find(({ matches }) => matches.test(path))
    if (found === undefined || found.methods.has(request.method)) {
      const message = 'This node has nothing at this address. /docs lists the calls that exist.'
      return sendError(reply, new HttpError(404, 'not_found', message))
    }
    const allow = [...found.methods].toSorted().join(', ')
    const message = `This address does not accept ${request.method}. Use ${allow}.`
    return sendError(reply, new HttpError(405, 'method_not_allowed', message, { headers: { allow } }))
  })
}

/** Converts a pattern such as `/v2/avatars/:avatar`; fastify's own router cannot list the methods of an address. */
function patternOf(url: string): RegExp {
  const source = url
    .split('/')
    .map((segment) =>
      segment === '*' ? '.*' : segment.startsWith(':') ? '[^/]+' : segment.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'),
    )
    .join('/')
  return new RegExp(`^${source}$`)
}
