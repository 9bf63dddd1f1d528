import type { FastifyInstance } from 'fastify'

import { sendError } from '../lib/errors.ts'

/**
 * Answers what no route takes: 405 with `Allow` where the address exists for other methods (RFC 9110, 15.5.6), else 404.
 * To be called before any route is added.
 */
export function installNotFound(app: FastifyInstance): void {
  const methodsOf = new Map<string, Set<string>>()
  const patterns: { matches: RegExp; methods: Set<string> }[] = []

  app.addHook('onRoute', ({ url, method }) => {
    // The preflight route of @fastify/cors matches every address and says nothing about what exists.
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
      return sendError(reply, 404, 'not_found', 'There is nothing at this address; /docs lists what there is.')
    }
    const allow = [...found.methods].toSorted().join(', ')
    return sendError(reply.header('allow', allow), 405, 'method_not_allowed', `This address takes ${allow}.`)
  })
}

/** `/v2/avatars/:avatar` as a regular expression; fastify's own matcher cannot be asked which methods an address has. */
function patternOf(url: string): RegExp {
  const source = url
    .split('/')
    .map((segment) =>
      segment === '*' ? '.*' : segment.startsWith(':') ? '[^/]+' : segment.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'),
    )
    .join('/')
  return new RegExp(`^${source}$`)
}
