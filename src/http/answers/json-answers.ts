/**
 * JSON answers of any size. A small answer is sent in one piece. A larger one is streamed from one snapshot of the store, at
 * the pace of its reader and within the output budget.
 */
import { createHash, type Hash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'

import type { FastifyReply, FastifyRequest } from 'fastify'

import { StoreError } from '../../store/errors.ts'
import type { JsonSnapshot } from '../../store/types.ts'
import { sendChunks, type TransferParts } from './transfers.ts'
import { CORS_HEADERS } from '../lib/cross-origin.ts'
import { HttpError, JSON_TYPE } from '../lib/errors.ts'
import { cacheHeaders, etagOfHash, matchesEtag } from './etag.ts'
import type { HttpLimits } from '../lib/limits.ts'
import type { OutputBudget, Slot } from './output-budget.ts'
import { createSemaphore } from './semaphore.ts'

/** An answer up to this size is sent in one piece and needs no slot in the output budget. */
export const WHOLE_BYTES = 64 * 1024
/** Answers that read ahead at the same time; each takes up to 2 MB of memory for a short time. */
const MAX_BEGINNING = 32
/** Attempts to read an avatar with damaged rows. The store repairs them, so the second attempt usually succeeds. */
const MAX_TRIES = 3

export interface JsonAnswer<T extends JsonSnapshot> {
  /** Default 200. */
  readonly status?: 200 | 201
  /** Length of the body in bytes, if known in advance. */
  readonly length?: number
  /** A slot that was reserved before; `send` releases it. */
  readonly slot?: Slot
  /** Opens the snapshot to send. An error that it throws becomes the answer. */
  readonly open: () => Promise<T>
  /** Entity tag: `text` hashes the body; a function returns a tag without reading it. Default: none. */
  readonly etag?: 'text' | ((readSnapshot: T) => string)
}

export interface JsonAnswers {
  /** Sends the text of a snapshot. @throws HttpError `busy`, `answer_too_large`, and errors of `open` */
  send<T extends JsonSnapshot>(
    request: FastifyRequest,
    reply: FastifyReply,
    answer: JsonAnswer<T>,
  ): Promise<FastifyReply>
  /**
   * Reserves a slot for an answer that must not fail later because the budget is used up.
   *
   * @param bytes upper bound of the answer's size
   * @returns undefined if an answer of that size needs no slot
   * @throws HttpError `busy`
   */
  reserve(request: FastifyRequest, bytes: number): Promise<Slot | undefined>
  /** Resolves once no answer reads the store any more. Call it after all connections are closed. */
  close(): Promise<void>
}

/** The beginning of a snapshot's text. */
interface ReadAhead {
  readonly chunks: Uint8Array[]
  readonly bytes: number
  /** The remaining text; undefined if there is none. */
  readonly rest: AsyncIterator<Uint8Array> | undefined
}

export function createJsonAnswers(
  { budget, environment, metrics, logger }: TransferParts & { readonly budget: OutputBudget },
  limits: HttpLimits,
): JsonAnswers {
  const running = new Set<Promise<unknown>>()
  const withPermit = createSemaphore(MAX_BEGINNING)

  async function send<T extends JsonSnapshot>(
    request: FastifyRequest,
    reply: FastifyReply,
    answer: JsonAnswer<T>,
  ): Promise<FastifyReply> {
    let { slot } = answer
    try {
      for (let tries = 1; ; tries++) {
        const opened = await withPermit(() => begin(answer))
        const { readSnapshot, chunks } = opened
        try {
          const ahead = await opened.ahead
          if (ahead.rest === undefined && ahead.bytes <= WHOLE_BYTES)
            return sendWhole(request, reply, answer, readSnapshot, ahead)
          slot ??= budget.tryTake(request.raw)
          if (slot !== undefined) return await sendLong(request, reply, answer, readSnapshot, ahead, slot)
        } catch (error) {
          if (reply.raw.headersSent) {
            // Break the connection: a regular end would make the client take the answer for complete.
            reply.raw.destroy()
            if (!(error instanceof HttpError))
              logger.warn({ err: error }, 'the node broke off an answer after an error')
            return reply
          }
          if (!isRepaired(error) || tries >= MAX_TRIES) throw error
        } finally {
          await chunks.return?.()
          await readSnapshot.close()
        }
        // The snapshot is closed while the request waits.
        slot ??= await budget.take(request.raw)
      }
    } finally {
      slot?.release()
    }
  }

  function sendWhole<T extends JsonSnapshot>(
    request: FastifyRequest,
    reply: FastifyReply,
    { status = 200, etag }: JsonAnswer<T>,
    readSnapshot: T,
    { chunks, bytes }: ReadAhead,
  ): FastifyReply {
    const body = Buffer.concat(chunks, bytes)
    const tag = etag === 'text' ? etagOfHash(hashOf(chunks)) : etag?.(readSnapshot)
    const head = ['content-length', String(bytes), ...headOf(tag)]
    reply.hijack()
    if (tag !== undefined && matchesEtag(request.headers['if-none-match'], tag)) answerUnchanged(reply.raw, tag)
    else reply.raw.writeHead(status, head).end(body)
    budget.watch(request.raw, reply.raw)
    return reply
  }

  async function sendLong<T extends JsonSnapshot>(
    request: FastifyRequest,
    reply: FastifyReply,
    { status = 200, etag, length }: JsonAnswer<T>,
    readSnapshot: T,
    ahead: ReadAhead,
    slot: Slot,
  ): Promise<FastifyReply> {
    const { raw } = request
    let chunks = fitting(resumed(ahead), slot)
    let tag: string | undefined
    if (etag === 'text') {
      // The tag is sent before the text that it hashes, so the text is read twice, from the same snapshot.
      tag = await hashAll(chunks, raw, slot)
      chunks = fitting(readSnapshot.read(), slot)
    } else {
      tag = etag?.(readSnapshot)
    }
    if (tag !== undefined && matchesEtag(raw.headers['if-none-match'], tag)) {
      reply.hijack()
      answerUnchanged(reply.raw, tag)
      return reply
    }
    const head = [...(length === undefined ? [] : ['content-length', String(length)]), ...headOf(tag)]
    if (raw.method === 'HEAD') {
      reply.hijack()
      reply.raw.writeHead(status, head).end()
    } else {
      const first = chunks[Symbol.asyncIterator]()
      // Read before the head is written: if the first chunk does not fit, the client still gets an error answer.
      const begun = await first.next()
      reply.hijack()
      reply.raw.writeHead(status, head)
      const rest = begun.done === true ? [] : resumed({ chunks: [begun.value], bytes: 0, rest: first })
      await sendChunks(reply.raw, rest, { environment, metrics }, limits, (bytes) => slot.delivered(bytes))
    }
    return reply
  }

  return {
    send(request, reply, answer) {
      const work = send(request, reply, answer).finally(() => running.delete(work))
      running.add(work)
      return work
    },
    async reserve(request, bytes) {
      return bytes <= WHOLE_BYTES ? undefined : await budget.take(request.raw)
    },
    async close() {
      await Promise.allSettled(running)
    },
  }

  /** Yields the chunks; throws at one that the budget has no room for. */
  async function* fitting(chunks: AsyncIterable<Uint8Array>, slot: Slot): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      if (!slot.fits(chunk.length)) {
        metrics.answerCut('too_large')
        throw chunk.length > limits.output.perKey / 2 ? tooLarge(chunk.length) : noRoom()
      }
      yield chunk
    }
  }
}

/** Opens a snapshot and starts reading; if that fails, `ahead` rejects. */
async function begin<T extends JsonSnapshot>({ open }: JsonAnswer<T>) {
  const readSnapshot = await open()
  const chunks = readSnapshot.read()[Symbol.asyncIterator]()
  const ahead = readAhead(chunks)
  // The permit is held until the read ends. The caller awaits `ahead` and handles its error.
  await ahead.catch(() => undefined)
  return { readSnapshot, chunks, ahead }
}

async function readAhead(iterator: AsyncIterator<Uint8Array>): Promise<ReadAhead> {
  const chunks: Uint8Array[] = []
  for (let bytes = 0; ;) {
    const { done, value } = await iterator.next()
    if (done === true) return { chunks, bytes, rest: undefined }
    chunks.push(value)
    bytes += value.length
    if (bytes > WHOLE_BYTES) return { chunks, bytes, rest: iterator }
  }
}

async function* resumed({ chunks, rest }: ReadAhead): AsyncGenerator<Uint8Array> {
  // `shift` frees each chunk as soon as it was sent.
  for (let chunk = chunks.shift(); chunk !== undefined; chunk = chunks.shift()) yield chunk
  if (rest === undefined) return
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value
}

/** Returns the entity tag of a long text without storing the text. */
async function hashAll(chunks: AsyncIterable<Uint8Array>, request: IncomingMessage, slot: Slot): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of chunks) {
    if (request.socket.destroyed)
      throw new HttpError(400, 'bad_request', 'The connection was closed before the answer.')
    hash.update(chunk)
    slot.delivered(chunk.length)
  }
  return etagOfHash(hash)
}

function hashOf(chunks: readonly Uint8Array[]): Hash {
  const hash = createHash('sha256')
  for (const chunk of chunks) hash.update(chunk)
  return hash
}

function headOf(tag: string | undefined): string[] {
  return ['content-type', JSON_TYPE, ...(tag === undefined ? [] : cacheHeaders(tag)), ...CORS_HEADERS]
}

export function answerUnchanged(response: ServerResponse, tag: string): void {
  response.writeHead(304, [...cacheHeaders(tag), ...CORS_HEADERS]).end()
}

/** Whether the store repairs the damage that the error reports, so that a retry can succeed. */
function isRepaired(error: unknown): boolean {
  return error instanceof StoreError && error.code === 'unreadable'
}

const RECORDS_ADVICE =
  'Read the signed records instead, page by page from /v2/avatars/{avatar}/records, or as an archive from ' +
  '/v2/archives?avatar={avatar}.'

function tooLarge(bytes: number): HttpError {
  const message = `One member of this content takes ${bytes} bytes, more than this node sends in one answer. ${RECORDS_ADVICE}`
  return new HttpError(413, 'answer_too_large', message)
}

function noRoom(): HttpError {
  const message =
    'One member of this content is larger than the memory that this node has free for answers now. ' +
    `Finish reading your other answers and try again in 5 s. Alternatively: ${RECORDS_ADVICE}`
  return new HttpError(503, 'busy', message, { retryS: 5 })
}
