import type { FastifyInstance } from 'fastify'

import type { HostingRules } from '../../hosting/types.ts'
import type { Avatar } from '../../record/types.ts'
import type { AvatarNames } from '../lib/avatar-names.ts'
import { HttpError } from '../lib/errors.ts'
import { AVATAR_ROUTE } from '../answers/view-answer.ts'

/** Routes with avatars in their query. */
const QUERIED: ReadonlySet<string> = new Set(['/v2/archives', '/v2/events'])

/**
 * Answers reads of avatars that are not hosted with 404 `not_hosted` or `blocked` and their known homes. Call it before any
 * route is added.
 */
export function installHostingGate(
  app: FastifyInstance,
  { hosting, names }: { readonly hosting: Pick<HostingRules, 'admit'>; readonly names: Pick<AvatarNames, 'parse'> },
): void {
  app.addHook('preHandler', (request, _reply, done) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') return done()
    try {
      for (const text of namedAvatars(request.routeOptions.url ?? '', request)) checkHosted(hosting, names.parse(text))
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
  const named = route.startsWith(AVATAR_ROUTE) ? params : QUERIED.has(route) ? query : undefined
  const { avatar } = (named ?? {}) as { avatar?: unknown }
  return [avatar].flat().filter((each) => typeof each === 'string')
}

/** @throws HttpError `not_hosted`, `blocked` */
function checkHosted(hosting: Pick<HostingRules, 'admit'>, avatar: Avatar): void {
  const refusal = hosting.admit(avatar)
  if (refusal === undefined) return
  const { code, message, homes } = refusal
  throw new HttpError(404, code, message, {}, homes.length === 0 ? {} : { homes })
}
