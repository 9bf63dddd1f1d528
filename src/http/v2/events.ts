import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox'

import type { StoreReader } from '../../store/types.ts'
import type { Refusal } from '../../shares/types.ts'
import type { AvatarNames } from '../lib/avatar-names.ts'
import type { ClientAddresses } from '../lib/client-address.ts'
import { CORS_HEADERS } from '../lib/cross-origin.ts'
import { parseCursor } from './cursor.ts'
import { HttpError } from '../lib/errors.ts'
import type { EventStreams, StreamStart } from './event-streams.ts'
import { responses } from '../lib/schemas.ts'
import { EventsQuery } from './schemas.ts'

/** How long a reader waits before it reconnects after a lost connection. */
const RECONNECT_MS = 2000
/** Seconds after which a refused reader may retry. */
const FULL_RETRY_S = '30'

const HEAD = [
  ['content-type', 'text/event-stream; charset=utf-8'],
  ['cache-control', 'no-store'],
  // Tells nginx not to buffer events.
  ['x-accel-buffering', 'no'],
  CORS_HEADERS,
].flat()

/** `GET /v2/events` (docs/protocol.md, "HTTP"). */
export function v2EventRoutes({
  store,
  streams,
  names,
  clients,
}: {
  readonly store: Pick<StoreReader, 'epoch'>
  readonly streams: EventStreams
  readonly names: AvatarNames
  readonly clients: ClientAddresses
}): FastifyPluginCallbackTypebox {
  function startOf(after: string | undefined, lastEventId: string | undefined): StreamStart {
    // A reader that reconnects repeats its first URL; its `Last-Event-ID` is newer than `after`.
    const text = lastEventId ?? after
    if (text === undefined) return 'now'
    const cursor = parseCursor(text)
    if (cursor === undefined && lastEventId === undefined) {
      throw new HttpError(
        400,
        'invalid_cursor',
        'The cursor is not valid. Use the cursor of an earlier answer unchanged, or none.',
      )
    }
    return cursor?.epoch === store.epoch ? cursor.sequence : 'reset'
  }

  return (app, _options, done) => {
    app.get(
      '/v2/events',
      {
        exposeHeadRoute: false,
        schema: {
          tags: ['Reading'],
          summary: 'Changes as they happen, as server-sent events',
          description:
            'Events `record` and `superseded` with `{avatar,id,counter,head,digest}`. The id of an event is a cursor, to resume ' +
            'with `after` or `Last-Event-ID`. An event `reset` means that the node no longer has the events in between: ' +
            'read the state again, and go on.',
          produces: ['text/event-stream'],
          querystring: EventsQuery,
          response: responses({}, [400, 429]),
        },
      },
      (request, reply) => {
        const { avatar, after } = request.query
        const lastEventId = request.headers['last-event-id']
        const start = startOf(after, typeof lastEventId === 'string' && lastEventId !== '' ? lastEventId : undefined)
        const of = avatar === undefined ? undefined : names.parse(avatar)
        const slot = streams.admit(clients.ofRequest(request.raw), reply.raw)
        if (typeof slot === 'string') throw refused(slot)
        reply.hijack()
        reply.raw.writeHead(200, HEAD)
        reply.raw.write(`retry: ${RECONNECT_MS}\n`)
        streams.open(reply.raw, { slot, avatar: of, start })
      },
    )

    done()
  }
}

function refused(why: Refusal): HttpError {
  const [status, message] =
    why === 'full'
      ? [
          503,
          `The node already has as many event streams as it can. Try again in ${FULL_RETRY_S} s, or use another node.`,
        ]
      : [429, 'Your address already has as many event streams as one address may have. Close one of them.']
  return new HttpError(status, 'too_many_subscribers', message, { 'retry-after': FULL_RETRY_S })
}
