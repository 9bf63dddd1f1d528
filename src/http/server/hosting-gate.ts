import { AVATAR_ROUTE } from '../answers/view-answer.ts'
import { HttpError } from '../lib/errors.ts'
import type { HttpApp, RouteParts } from '../lib/parts.ts'

/** Also for avatars that are not hosted here: it tells where they are. */
export const HOSTS_ROUTE = `${AVATAR_ROUTE}/hosts` as const

/** Routes with avatars in their query. */
const QUERIED: ReadonlySet<string> = new Set(['/v2/archives', '/v2/events'])

/**
 * Answers reads of avatars that are not hosted with 404 `not_hosted` or `blocked` and their known homes, except the one that asks
 * where they live. Call it before any
 * route is added.
 */
export function installHostingGate(app: HttpApp, { hosting, names }: RouteParts): void {
  app.addHook('preHandler', (request, _reply, done) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') return done()
    try {
      for (const text of namedAvatars(request.routeOptions.url ?? '', request)) {
        const refusal = hosting.admit(names.parse(text))
        if (refusal === undefined) continue
        const { code, message, homes } = refusal
        return done(new HttpError(404, code, message, homes.length === 0 ? {} : { members: { homes } }))
      }
      return done()
    } catch (error) {
      return done(error as Error)
    }
  })
}

function namedAvatars(
  route: string,
  { params, query }: { readonly params: unknown; readonly query: unknown },
): string[] {
  const named =
    route.startsWith(AVATAR_ROUTE) && route !== HOSTS_ROUTE ? params : QUERIED.has(route) ? query : undefined
  const { avatar } = (named ?? {}) as { avatar?: unknown }
  return [avatar].flat().filter((each) => typeof each === 'string')
}
