import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox'

import { ARCHIVE_TYPE, archiveName } from '../../archive/format.ts'
import { gzip, nodePlatform } from '../../archive/node.ts'
import { headerOf, writeArchive } from '../../archive/writer.ts'
import { importArchive } from '../../ingest/import-archive.ts'
import { importDoor } from '../../ingest/retry.ts'
import type { Environment } from '../../platform/environment.ts'
import type { Ingest } from '../../ingest/types.ts'
import type { Logger, Metrics } from '../../observe/types.ts'
import type { StoreReader } from '../../store/types.ts'
import { createArchiveSlots, whileAsked, whileSent } from './archive-slots.ts'
import { receiveChunks, sendChunks } from '../answers/archive-streams.ts'
import type { AvatarNames } from '../lib/avatar-names.ts'
import type { ClientAddresses } from '../lib/client-address.ts'
import { CORS_HEADERS } from '../lib/cross-origin.ts'
import { HttpError, isConnectionError, ResultError } from '../lib/errors.ts'
import type { HttpLimits } from '../lib/limits.ts'
import { responses } from '../lib/schemas.ts'
import { ArchiveQuery, ImportAnswer } from './archive-schemas.ts'

export interface ArchiveRoutes {
  readonly routes: FastifyPluginCallbackTypebox
  /** Current transfers, in both directions. */
  count(): number
  /** Ends all transfers; resolves once none of them reads the store any more. */
  close(): Promise<void>
}

/** Bytes without a record that the node reads from a sender. */
const NOISE_BYTES = 8 * 1024 * 1024
/** How long the rest of a body is discarded after the answer; then the connection is closed. */
const LINGER_MS = 5_000

/** `GET` and `POST /v2/archives` (docs/protocol.md, "Archive"). */
export function createArchiveRoutes(
  components: {
    readonly store: Pick<StoreReader, 'exportSnapshot'>
    readonly ingest: Ingest
    readonly names: AvatarNames
    readonly environment: Pick<Environment, 'clock' | 'timers'>
    readonly metrics: Pick<Metrics, 'answerCut'>
    readonly logger: Logger
    /** Connections whose request may exceed `requestTimeoutMs`; this code adds and removes its own. */
    readonly longRequests: WeakSet<Socket>
    readonly clients: ClientAddresses
  },
  options: { readonly network: string; readonly limits: HttpLimits },
): ArchiveRoutes {
  const { store, ingest, names, environment, metrics, logger, longRequests, clients } = components
  const { network, limits } = options
  const exports = createArchiveSlots(limits.exports)
  const imports = createArchiveSlots(limits.imports)
  const running = new Set<{ readonly cut: () => void; readonly done: Promise<unknown> }>()
  let isClosed = false

  /** Runs a transfer, so that `close` can end it and wait for it. */
  async function run<T>(cut: () => void, work: () => Promise<T>): Promise<T> {
    if (isClosed)
      throw new HttpError(503, 'busy', 'The node is stopping. Try again later, or use another node.', {
        'retry-after': '5',
      })
    const done = work()
    const entry = { cut, done }
    running.add(entry)
    try {
      return await done
    } finally {
      running.delete(entry)
    }
  }

  const routes: FastifyPluginCallbackTypebox = (app, _options, done) => {
    // The body of an archive is streamed, not parsed.
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', (_request, payload, parsed) => parsed(null, payload))

    app.get(
      '/v2/archives',
      {
        exposeHeadRoute: false,
        schema: {
          tags: ['Reading'],
          summary: 'An archive of some avatars, or of all',
          description:
            'Newline-delimited JSON: a header, signed records, a trailer with a digest; all from one moment of the store.',
          produces: [ARCHIVE_TYPE, 'application/gzip'],
          querystring: ArchiveQuery,
          response: responses({}, [400, 404, 429]),
        },
      },
      async (request, reply) => {
        const { avatar, history, gzip: compressed } = request.query
        const named = avatar === undefined ? {} : { avatars: [avatar].flat().map((each) => names.parse(each)) }
        const response = reply.raw
        const slot = exports.take(clients.ofRequest(request.raw), () => response.destroy())
        try {
          await run(
            () => response.destroy(),
            async () => {
              const readSnapshot = await store.exportSnapshot()
              try {
                for (const each of named.avatars ?? []) {
                  if ((await readSnapshot.summary(each)) !== undefined) continue
                  throw new HttpError(404, 'unknown_avatar', `This node has no records of ${each}.`)
                }
                const createdAt = Math.floor(environment.clock.now() / 1000)
                const settings = { network, createdAt, ...named, history: history === 'true' }
                const lines = writeArchive(nodePlatform, readSnapshot, settings)
                const isGzip = compressed === 'true'
                const name = archiveName(headerOf(settings), isGzip)
                reply.hijack()
                response.writeHead(200, [
                  ...['content-type', isGzip ? 'application/gzip' : ARCHIVE_TYPE],
                  ...['content-disposition', `attachment; filename="${name}"`],
                  ...['cache-control', 'no-store'],
                  ...CORS_HEADERS,
                ])
                await sendChunks(
                  response,
                  whileAsked(isGzip ? gzip(lines) : lines, slot),
                  { ...environment, metrics },
                  limits,
                )
              } finally {
                await readSnapshot.close()
              }
            },
          )
        } catch (error) {
          if (!reply.sent) throw error
          if (!isConnectionError(error)) logger.error({ err: error }, 'the node broke off an archive after an error')
          // Break the connection: a regular end would make the client take the archive for complete.
          response.destroy()
        } finally {
          slot.release()
        }
        return reply
      },
    )

    app.post(
      '/v2/archives',
      {
        schema: {
          tags: ['Writing'],
          summary: 'Import an archive',
          description:
            'The bytes of an archive, compressed or not. Each record is checked as in `POST /v2/records`; ' +
            'faults of the archive are reported, and valid records are imported all the same. You may repeat the call.',
          consumes: [ARCHIVE_TYPE, 'application/gzip'],
          response: responses({ 200: ImportAnswer }, [400, 429]),
        },
      },
      async ({ body: received, socket, raw }) => {
        const body = received as IncomingMessage | undefined
        if (body === undefined)
          throw new HttpError(400, 'bad_request', 'The request has no body. Send the bytes of an archive.')
        const client = clients.ofRequest(raw)
        const slot = imports.take(client, () => socket.destroy())
        longRequests.add(socket)
        try {
          const report = await run(
            () => socket.destroy(),
            () =>
              importArchive({
                chunks: whileSent(receiveChunks(body, environment, limits), slot),
                submit: importDoor(ingest, environment.timers, client),
                network,
                maxNoiseBytes: NOISE_BYTES,
              }),
          )
          const { stopped, first } = report.faults
          const worst = stopped ?? first[0]
          if (worst !== undefined && report.records === 0) throw new ResultError(400, worst.code, worst.message)
          return report
        } finally {
          slot.release()
          longRequests.delete(socket)
          // Closing a connection with unread bytes resets it, and the client would lose the answer. So discard them first.
          body.resume()
          environment.timers.after(LINGER_MS, () => {
            if (!body.readableEnded) socket.destroy()
          })
        }
      },
    )

    done()
  }

  return {
    routes,
    count: () => exports.count() + imports.count(),
    async close() {
      isClosed = true
      const all = [...running]
      for (const { cut } of all) cut()
      await Promise.allSettled(all.map(({ done }) => done))
    },
  }
}
