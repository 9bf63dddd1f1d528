import { CORS_HEADERS } from '../lib/cross-origin.ts'
import { HttpError, invalidCursor, refusedShare } from '../lib/errors.ts'
import type { HttpApp, RouteParts } from '../lib/parts.ts'
import { responses, textOf } from '../lib/schemas.ts'
import { parseCursor } from './cursor.ts'
import { EventFilter } from './event-filter.ts'
import type { StreamStart } from './event-stream-api.ts'
import { EventsQuery } from './schemas.ts'

/** How long a reader waits before it reconnects after a lost connection. */
const RECONNECT_MS = 2000
const REFUSED = {
  code: 'too_many_subscribers',
  doing: 'has as many event streams',
  advice: 'Close one of them.',
  retryS: 30,
} as const

const HEAD = [
  ['content-type', 'text/event-stream; charset=utf-8'],
  ['cache-control', 'no-store'],
  // Tells nginx not to buffer events.
  ['x-accel-buffering', 'no'],
  CORS_HEADERS,
].flat()

/** `GET /v2/events` (docs/protocol.md, "HTTP"). */
export function addEventRoute(app: HttpApp, { store, streams, names, clients }: RouteParts): void {
  function startOf(after: string | undefined, lastEventId: string | undefined): StreamStart {
    // A reader that reconnects repeats its first URL; its `Last-Event-ID` is newer than `after`.
    const text = lastEventId ?? after
    if (text === undefined) return 'now'
    const cursor = parseCursor(text)
    if (cursor === undefined && lastEventId === undefined) throw invalidCursor()
    return cursor?.epoch === store.epoch ? cursor.sequence : 'reset'
  }

  app.get(
    '/v2/events',
    {
      exposeHeadRoute: false,
      schema: {
        tags: ['Reading'],
        operationId: 'streamEvents',
        summary: 'Changes as they happen, as server-sent events',
        description:
          'With `avatar` those of one avatar; with `linked=true` also those of the avatars that it links to. Events `record` and `superseded` with `{avatar,id,counter,head,digest}`. The id of an event is a cursor, to resume ' +
          'with `after` or `Last-Event-ID`. An event `reset` means that the node no longer has the events in between: ' +
          'read the state again, and go on.',
        querystring: EventsQuery,
        response: responses(
          { 200: textOf(['text/event-stream'], 'Events, until the reader closes the connection.') },
          [400],
        ),
      },
    },
    (request, reply) => {
      const { avatar, after, linked } = request.query
      if (linked === 'true' && avatar === undefined) throw withoutAvatar()
      const lastEventId = request.headers['last-event-id']
      const start = startOf(after, typeof lastEventId === 'string' && lastEventId !== '' ? lastEventId : undefined)
      const filter = avatar === undefined ? undefined : new EventFilter(names.parse(avatar), linked === 'true')
      const slot = streams.admit(clients.ofRequest(request.raw), reply.raw)
      if (typeof slot === 'string') throw refusedShare(slot, REFUSED)
      reply.hijack()
      reply.raw.writeHead(200, HEAD)
      reply.raw.write(`retry: ${RECONNECT_MS}\n`)
      streams.open(reply.raw, { slot, filter, start })
    },
  )
}

function withoutAvatar(): HttpError {
  return new HttpError(400, 'invalid_request', 'linked=true needs an avatar: the one whose links to follow. Add it.')
}
