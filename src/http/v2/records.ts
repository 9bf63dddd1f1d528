import type { IngestResult } from '../../ingest/types.ts'
import { RecordError } from '../../record/errors.ts'
import { parseSignature } from '../../record/signature.ts'
import type { Avatar, SignedRecord } from '../../record/types.ts'
import type { StoredRecord } from '../../store/types.ts'
import { written } from '../answers/json-snapshots.ts'
import { HttpError, invalidCursor, unknownAvatar } from '../lib/errors.ts'
import { PAGE_BYTES, PAGE_DEFAULT, RECORDS_BODY_BYTES } from '../lib/limits.ts'
import type { HttpApp, RouteParts } from '../lib/parts.ts'
import { responses } from '../lib/schemas.ts'
import { formatCursor, parseCursor } from './cursor.ts'
import { AvatarParams, PageQuery, RecordsAnswer, RecordsRequest, RecordsResults } from './schemas.ts'

/** Bytes of payloads read from the store at a time; the last record may exceed it. */
const STEP_BYTES = 256 * 1024
const LONE_SURROGATE = /\p{Surrogate}/u

/** Calls that read and write signed records (docs/protocol.md, "HTTP"). */
export function addRecordRoutes(app: HttpApp, { store, ingest, answers, names, clients }: RouteParts): void {
  /** Returns the sequence after which a page begins. */
  async function startOf(cursor: string | undefined): Promise<number> {
    if (cursor === undefined) return 0
    const parsed = parseCursor(cursor)
    if (parsed === undefined) throw invalidCursor()
    if (parsed.epoch === store.epoch && (await store.hasReached(parsed.sequence))) return parsed.sequence
    const message = 'The cursor belongs to an earlier store of this node. Start again without a cursor.'
    throw new HttpError(410, 'cursor_expired', message)
  }

  /** Yields a page as JSON text, with the digest of the state from which its last records were read. */
  async function* pageOf(avatar: Avatar, start: number, limit: number): AsyncGenerator<Uint8Array> {
    let count = 0
    let bytes = 0
    let after = start
    for (;;) {
      const read = await store.records(avatar, { after, limit: limit - count, stepBytes: STEP_BYTES })
      if (read === undefined) throw unknownAvatar()
      const texts = read.records.map((record) => JSON.stringify(shown(record)))
      yield Buffer.from(`${count === 0 ? '{"records":[' : texts.length > 0 ? ',' : ''}${texts.join(',')}`)
      count += texts.length
      after = read.records.at(-1)?.sequence ?? after
      for (const { payload } of read.records) bytes += payload.length
      if (texts.length > 0 && count < limit && bytes < PAGE_BYTES) continue
      yield Buffer.from(`],"digest":"${read.digest}","cursor":${JSON.stringify(formatCursor(store.epoch, after))}}`)
      return
    }
  }

  app.get(
    '/v2/avatars/:avatar/records',
    {
      schema: {
        tags: ['Reading'],
        operationId: 'listRecords',
        summary: 'The signed records of an avatar',
        params: AvatarParams,
        querystring: PageQuery,
        response: responses({ 200: RecordsAnswer }, [400, 404, 410]),
      },
    },
    async (request, reply) => {
      const { params, query } = request
      const start = await startOf(query.cursor)
      const avatar = names.parse(params.avatar)
      const page = written(() => pageOf(avatar, start, query.limit ?? PAGE_DEFAULT))
      return await answers.send(request, reply, { open: () => Promise.resolve(page) })
    },
  )

  app.post(
    '/v2/records',
    {
      bodyLimit: RECORDS_BODY_BYTES,
      schema: {
        tags: ['Writing'],
        operationId: 'writeRecords',
        summary: 'Write signed records',
        description:
          'Each record gets its own result; one bad record does not stop the others. A record that is `stored`, `pending` or a ' +
          '`duplicate` is on disk.',
        body: RecordsRequest,
        response: responses({ 200: RecordsResults }, [400, 413]),
      },
    },
    async ({ body, raw }) => {
      const results: IngestResult[] = []
      const records: SignedRecord[] = []
      const positions: number[] = []
      for (const [position, { payload, signature }] of body.records.entries()) {
        const record = readRecord(payload, signature)
        if (record instanceof RecordError) {
          results[position] = { id: null, status: 'invalid', code: record.code, message: record.message }
        } else {
          records.push(record)
          positions.push(position)
        }
      }
      if (records.length > 0) {
        const verdicts = await ingest.submit(records, { origin: 'http', source: clients.ofRequest(raw) })
        for (const [at, verdict] of verdicts.entries()) results[positions[at] as number] = verdict
      }
      return { results }
    },
  )
}

function shown({ payload, signature, id, status }: StoredRecord) {
  return {
    payload: Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf8'),
    signature: `0x${Buffer.from(signature).toString('hex')}`,
    id,
    status,
  }
}

/** Decodes a record; returns an error for one that cannot be decoded. */
function readRecord(payload: string, signature: string): SignedRecord | RecordError {
  // Encoding a lone surrogate as UTF-8 would replace it by U+FFFD, which the client did not sign.
  if (LONE_SURROGATE.test(payload)) {
    return new RecordError(
      'lone_surrogate',
      'The payload has a lone surrogate, which UTF-8 cannot represent. Remove it and sign again.',
    )
  }
  try {
    return { payload: Buffer.from(payload, 'utf8'), signature: parseSignature(signature) }
  } catch (error) {
    if (error instanceof RecordError) return error
    throw error
  }
}
