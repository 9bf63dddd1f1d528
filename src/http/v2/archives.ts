import type { IncomingMessage } from 'node:http'

import { ARCHIVE_TYPE, archiveName } from '../../archive/format.ts'
import { gzip, nodePlatform } from '../../archive/node.ts'
import { headerOf, writeArchive } from '../../archive/writer.ts'
import { importArchive } from '../../ingest/import-archive.ts'
import { importDoor } from '../../ingest/retry.ts'
import { Shares } from '../../shares/shares.ts'
import type { Hold, Source } from '../../shares/types.ts'
import { receiveChunks } from '../answers/transfers.ts'
import { CORS_HEADERS } from '../lib/cross-origin.ts'
import { HttpError, refusedShare, ResultError } from '../lib/errors.ts'
import type { HttpApp, RouteParts } from '../lib/parts.ts'
import { responses, textOf } from '../lib/schemas.ts'
import { ARCHIVE_TYPES, ArchiveQuery, ImportAnswer } from './archive-schemas.ts'

/** Bytes without a record that the node reads from a sender. */
const NOISE_BYTES = 8 * 1024 * 1024
/** How long the rest of a body is discarded after the answer; then the connection is closed. */
const LINGER_MS = 5_000
const REFUSED = {
  code: 'too_many_archives',
  doing: 'transfers as many archives',
  advice: 'Wait until one of them ends.',
  retryS: 30,
} as const

/** `GET` and `POST /v2/archives` (docs/protocol.md, "Archive"). */
export function addArchiveRoutes(
  app: HttpApp,
  { store, ingest, names, environment, metrics, transfers, longRequests, clients, facts, limits }: RouteParts,
): void {
  const { network } = facts
  const exports = new Shares(limits.exports)
  const imports = new Shares(limits.imports)
  const help = 'Archives that are being sent or received by HTTP.'
  metrics.gauge('archive_streams', help, () => exports.count + imports.count)

  app.get(
    '/v2/archives',
    {
      exposeHeadRoute: false,
      schema: {
        tags: ['Reading'],
        operationId: 'exportArchive',
        summary: 'An archive of some avatars, or of all',
        description:
          'Newline-delimited JSON: a header, signed records, a trailer with a digest; all from one moment of the store.',
        querystring: ArchiveQuery,
        response: responses({ 200: textOf(ARCHIVE_TYPES, 'The lines of the archive, or their gzip.') }, [400, 404]),
      },
    },
    async ({ query: { avatar, history, gzip: compressed }, raw }, reply) => {
      const named = avatar === undefined ? {} : { avatars: [avatar].flat().map((each) => names.parse(each)) }
      const slot = slotIn(exports, clients.ofRequest(raw), () => reply.raw.destroy())
      try {
        const open = () => store.exportSnapshot()
        return await transfers.send(reply, open, async (readSnapshot) => {
          for (const each of named.avatars ?? []) {
            if ((await readSnapshot.summary(each)) !== undefined) continue
            throw new HttpError(404, 'unknown_avatar', `This node has no records of ${each}.`)
          }
          const createdAt = Math.floor(environment.clock.now() / 1000)
          const settings = { network, createdAt, ...named, history: history === 'true' }
          const lines = writeArchive(nodePlatform, readSnapshot, settings)
          const isGzip = compressed === 'true'
          return {
            head: [
              ...['content-type', isGzip ? 'application/gzip' : ARCHIVE_TYPE],
              ...['content-disposition', `attachment; filename="${archiveName(headerOf(settings), isGzip)}"`],
              ...['cache-control', 'no-store'],
              ...CORS_HEADERS,
            ],
            chunks: whileAsked(isGzip ? gzip(lines) : lines, slot),
          }
        })
      } finally {
        slot.release()
      }
    },
  )

  app.post(
    '/v2/archives',
    {
      config: { streamsBody: true },
      schema: {
        tags: ['Writing'],
        operationId: 'importArchive',
        summary: 'Import an archive',
        description:
          'The bytes of an archive, compressed or not. Each record is checked as in `POST /v2/records`; ' +
          'faults of the archive are reported, and valid records are imported all the same. You may repeat the call.',
        response: responses({ 200: ImportAnswer }, [400]),
      },
    },
    async ({ body: received, socket, raw }) => {
      const body = received as IncomingMessage | undefined
      if (body === undefined) {
        throw new HttpError(400, 'bad_request', 'The request has no body. Send the bytes of an archive.')
      }
      const client = clients.ofRequest(raw)
      const cut = () => void socket.destroy()
      const slot = slotIn(imports, client, cut)
      longRequests.add(socket)
      try {
        const report = await transfers.run(cut, () =>
          importArchive({
            chunks: whileSent(receiveChunks(body, environment, limits), slot),
            submit: importDoor(ingest, environment.timers, client),
            network,
            maxNoiseBytes: NOISE_BYTES,
          }),
        )
        const worst = report.faults.stopped ?? report.faults.first[0]
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
}

/** Takes a slot for a transfer. @param cut ends the transfer, because a host without a slot needs this one */
function slotIn(shares: Shares, source: Source, cut: () => void): Hold {
  const slot = shares.take(source, 1, cut)
  if (typeof slot === 'string') throw refusedShare(slot, REFUSED)
  return slot
}

/** Yields chunks for a reader; while the reader does not ask for the next one, its slot counts as idle. */
async function* whileAsked(chunks: AsyncIterable<Uint8Array>, slot: Hold): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    slot.mark('idle')
    yield chunk
    slot.mark('busy')
  }
}

/** Yields chunks of a sender; while the next one does not arrive, its slot counts as idle. */
async function* whileSent(chunks: AsyncIterable<Uint8Array>, slot: Hold): AsyncGenerator<Uint8Array> {
  slot.mark('idle')
  for await (const chunk of chunks) {
    slot.mark('busy')
    yield chunk
    slot.mark('idle')
  }
}
