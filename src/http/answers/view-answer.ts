import type { IncomingMessage, ServerResponse } from 'node:http'

import type { Metrics } from '../../observe/types.ts'
import { CORS_HEADERS } from '../lib/cross-origin.ts'
import { cacheHeaders, matchesEtag } from './etag.ts'
import { WHOLE_BYTES } from './json-answers.ts'
import type { OutputBudget } from './output-budget.ts'
import type { CachedView, ViewCache } from './view-cache.ts'

/** The route's pattern, by which its answers are counted. */
export const AVATAR_ROUTE = '/v2/avatars/:avatar'

const AVATAR_PATH = '/v2/avatars/'
const CANONICAL_AVATAR_LENGTH = 68

/**
 * Answers with an avatar's document, or with 304 where the client has it. `HEAD` gets the head alone.
 *
 * @returns false, and nothing is sent, where the document is too large to be sent in one piece
 */
export function answerView(
  request: IncomingMessage,
  response: ServerResponse,
  { body, etag, head }: CachedView,
  budget: Pick<OutputBudget, 'watch'>,
): boolean {
  if (matchesEtag(request.headers['if-none-match'], etag)) {
    response.writeHead(304, [...cacheHeaders(etag), ...CORS_HEADERS]).end()
    return true
  }
  if (body.length > WHOLE_BYTES && request.method !== 'HEAD') return false
  response.writeHead(200, head).end(body)
  budget.watch(request, response)
  return true
}

/**
 * The call that everyone makes, `GET /v2/avatars/{avatar}` with a canonical avatar that is in the cache, answered at
 * once: routing, hooks and the rest of the framework would take as long as all that node:http does. Everything else,
 * including every error, is left to the framework.
 *
 * @returns whether it has answered
 */
export function createViewShortcut(
  views: Pick<ViewCache, 'peek'>,
  budget: Pick<OutputBudget, 'watch'>,
  metrics: Pick<Metrics, 'http'>,
) {
  return (request: IncomingMessage, response: ServerResponse): boolean => {
    const { method, url = '' } = request
    if (method !== 'GET' || url.length !== AVATAR_PATH.length + CANONICAL_AVATAR_LENGTH) return false
    if (!url.startsWith(AVATAR_PATH)) return false
    const startedMs = performance.now()
    const view = views.peek(url.slice(AVATAR_PATH.length))
    if (view === undefined || !answerView(request, response, view, budget)) return false
    metrics.http(AVATAR_ROUTE, method, response.statusCode, (performance.now() - startedMs) / 1000)
    return true
  }
}
