import type { IncomingMessage, ServerResponse } from 'node:http'

import type { Metrics } from '../../observe/types.ts'
import { matchesEtag } from './etag.ts'
import { answerUnchanged, WHOLE_BYTES } from './json-answers.ts'
import type { OutputBudget } from './output-budget.ts'
import type { CachedView, ViewCache } from './view-cache.ts'

/** The patterns of the routes; metrics use them as labels. */
export const AVATAR_ROUTE = '/v2/avatars/:avatar'
export const NAMESPACE_ROUTE = '/v2/avatars/:avatar/:platform/:identity'

const AVATARS_PATH = '/v2/avatars/'

/**
 * Answers with a view, or with 304 if the client has it. `HEAD` gets only the head.
 *
 * @returns false, with nothing sent, if the view is too large for one piece
 */
export function answerView(
  request: IncomingMessage,
  response: ServerResponse,
  { body, etag, head }: CachedView,
  budget: Pick<OutputBudget, 'watch'>,
): boolean {
  if (matchesEtag(request.headers['if-none-match'], etag)) {
    answerUnchanged(response, etag)
    return true
  }
  if (body.length > WHOLE_BYTES && request.method !== 'HEAD') return false
  response.writeHead(200, head).end(body)
  budget.watch(request, response)
  return true
}

/**
 * Answers the most frequent calls, `GET` of a cached avatar or namespace by its canonical path, without the framework, whose
 * routing and hooks would take as long as the work of node:http. All other calls and all errors are left to the framework.
 *
 * @returns a function that returns whether it has answered
 */
export function createViewShortcut(
  views: Pick<ViewCache, 'peek'>,
  budget: Pick<OutputBudget, 'watch'>,
  metrics: Pick<Metrics, 'http'>,
) {
  return (request: IncomingMessage, response: ServerResponse): boolean => {
    const { method, url = '' } = request
    if (method !== 'GET' || !url.startsWith(AVATARS_PATH)) return false
    const startedMs = performance.now()
    const path = url.slice(AVATARS_PATH.length)
    const view = views.peek(path)
    if (view === undefined || !answerView(request, response, view, budget)) return false
    const route = path.includes('/') ? NAMESPACE_ROUTE : AVATAR_ROUTE
    metrics.http(route, method, response.statusCode, (performance.now() - startedMs) / 1000)
    return true
  }
}
