/**
 * Answers of any size. What fits into one piece is sent as such; what is larger is streamed from one moment of the store,
 * as fast as its reader takes it and within the output budget.
 */
import { createHash, type Hash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'

import type { FastifyReply, FastifyRequest } from 'fastify'

import type { Environment } from '../../platform/environment.ts'
import type { Logger, Metrics } from '../../observe/types.ts'
import { StoreError } from '../../store/errors.ts'
import type { JsonMoment } from '../../store/types.ts'
import { sendChunks } from './archive-streams.ts'
import { CORS_HEADERS } from '../lib/cross-origin.ts'
import { HttpError, JSON_TYPE } from '../lib/errors.ts'
import { cacheHeaders, etagOfHash, matchesEtag } from './etag.ts'
import type { HttpLimits } from '../lib/limits.ts'
import type { OutputBudget, Place } from './output-budget.ts'
import { createTurns } from './turns.ts'

/** An answer up to this size is sent in one piece, and needs no place in the output budget. */
export const WHOLE_BYTES = 64 * 1024
/** Answers that are read ahead at once, whatever their readers do: each takes up to 2 MB for a moment. */
const MAX_BEGINNING = 32
/** Tries for a moment whose read finds damage: the store repairs the avatar, so the second read usually succeeds. */
const MAX_TRIES = 3

export interface JsonAnswer<T extends JsonMoment> {
  /** Default 200. */
  readonly status?: 200 | 201
  /** Bytes of what is sent, where that is known before. */
  readonly length?: number
  /** A place that was taken before; `send` gives it back. */
  readonly place?: Place
  /** Opens what is sent. An error that it throws is the answer. */
  readonly open: () => Promise<T>
  /** Entity tag: of the text that is sent, or one that is known before it. Default: none. */
  readonly etag?: 'text' | ((moment: T) => string)
}

export interface JsonAnswers {
  /** Sends what a moment reads as. @throws HttpError `busy`, `answer_too_large`, and what `open` throws */
  send<T extends JsonMoment>(request: FastifyRequest, reply: FastifyReply, answer: JsonAnswer<T>): Promise<FastifyReply>
  /**
   * A place for an answer that must not fail later for want of one.
   *
   * @param bytes most that the answer can have
   * @returns undefined where an answer of that size needs none
   * @throws HttpError `busy`
   */
  reserve(request: FastifyRequest, bytes: number): Promise<Place | undefined>
  /** Resolves once no answer reads the store any more. To be called when all connections are closed. */
  close(): Promise<void>
}

/** What is read ahead of a moment. */
interface Ahead {
  readonly chunks: Uint8Array[]
  readonly bytes: number
  /** The rest; undefined where that is all. */
  readonly rest: AsyncIterator<Uint8Array> | undefined
}

export function createJsonAnswers(
  components: {
    readonly budget: OutputBudget
    readonly environment: Pick<Environment, 'clock' | 'timers'>
    readonly metrics: Pick<Metrics, 'answerCut'>
    readonly logger: Logger
  },
  limits: HttpLimits,
): JsonAnswers {
  const { budget, environment, metrics, logger } = components
  const running = new Set<Promise<unknown>>()
  const inTurn = createTurns(MAX_BEGINNING)

  async function run<T>(work: Promise<T>): Promise<T> {
    running.add(work)
    try {
      return await work
    } finally {
      running.delete(work)
    }
  }

  async function stream(
    { raw: response }: FastifyReply,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    place: Place,
  ): Promise<void> {
    await sendChunks(response, chunks, { ...environment, metrics }, limits, (bytes) => place.took(bytes))
  }

  async function send<T extends JsonMoment>(
    request: FastifyRequest,
    reply: FastifyReply,
    answer: JsonAnswer<T>,
  ): Promise<FastifyReply> {
    let { place } = answer
    try {
      for (let tries = 1; ; tries++) {
        const opened = await inTurn(() => begin(answer))
        const { moment, chunks } = opened
        try {
          const ahead = await opened.ahead
          if (ahead.rest === undefined && ahead.bytes <= WHOLE_BYTES)
            return sendWhole(request, reply, answer, moment, ahead)
          place ??= budget.tryTake(request.raw)
          if (place !== undefined) return await sendLong(request, reply, answer, moment, ahead, place)
        } catch (error) {
          if (reply.raw.headersSent) {
            // Without its end, so that no client takes it for whole.
            reply.raw.destroy()
            if (!(error instanceof HttpError)) logger.warn({ err: error }, 'an answer was broken off')
            return reply
          }
          if (!isRepaired(error) || tries >= MAX_TRIES) throw error
        } finally {
          await chunks.return?.()
          await moment.close()
        }
        // Nothing is held open while the request waits.
        place ??= await budget.take(request.raw)
      }
    } finally {
      place?.leave()
    }
  }

  function sendWhole<T extends JsonMoment>(
    request: FastifyRequest,
    reply: FastifyReply,
    { status = 200, etag }: JsonAnswer<T>,
    moment: T,
    { chunks, bytes }: Ahead,
  ): FastifyReply {
    const body = Buffer.concat(chunks, bytes)
    const tag = etag === 'text' ? etagOfHash(hashOf(chunks)) : etag?.(moment)
    const head = ['content-length', String(bytes), ...headOf(tag)]
    reply.hijack()
    if (tag !== undefined && matchesEtag(request.headers['if-none-match'], tag)) answerUnchanged(reply.raw, tag)
    else reply.raw.writeHead(status, head).end(body)
    budget.watch(request.raw, reply.raw)
    return reply
  }

  async function sendLong<T extends JsonMoment>(
    request: FastifyRequest,
    reply: FastifyReply,
    { status = 200, etag, length }: JsonAnswer<T>,
    moment: T,
    ahead: Ahead,
    place: Place,
  ): Promise<FastifyReply> {
    const { raw } = request
    let chunks = fitting(resumed(ahead), place)
    let tag: string | undefined
    if (etag === 'text') {
      // The tag stands before the text that it is made of: the text is read twice, from the same moment.
      tag = await hashAll(chunks, raw, place)
      chunks = fitting(moment.read(), place)
    } else {
      tag = etag?.(moment)
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
      // Before the head, so that what cannot be sent gets an answer that says so.
      const begun = await first.next()
      reply.hijack()
      reply.raw.writeHead(status, head)
      await stream(reply, begun.done === true ? [] : resumed({ chunks: [begun.value], bytes: 0, rest: first }), place)
    }
    return reply
  }

  return {
    send: (request, reply, answer) => run(send(request, reply, answer)),
    async reserve(request, bytes) {
      return bytes <= WHOLE_BYTES ? undefined : await budget.take(request.raw)
    },
    async close() {
      await Promise.allSettled(running)
    },
  }

  /** Chunks, as long as there is room for them. */
  async function* fitting(chunks: AsyncIterable<Uint8Array>, place: Place): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      if (!place.fits(chunk.length)) {
        metrics.answerCut('too_large')
        throw chunk.length > limits.output.perKey / 2 ? tooLarge(chunk.length) : noRoom()
      }
      yield chunk
    }
  }
}

/** Opens a moment and reads ahead; where the reading fails, `ahead` does. */
async function begin<T extends JsonMoment>({
  open,
}: JsonAnswer<T>): Promise<{
  readonly moment: T
  readonly chunks: AsyncIterator<Uint8Array>
  readonly ahead: Promise<Ahead>
}> {
  const moment = await open()
  const chunks = moment.read()[Symbol.asyncIterator]()
  const ahead = readAhead(chunks)
  // The turn lasts until it is read; its error is for the caller, who awaits it.
  await ahead.catch(() => undefined)
  return { moment, chunks, ahead }
}

async function readAhead(iterator: AsyncIterator<Uint8Array>): Promise<Ahead> {
  const chunks: Uint8Array[] = []
  for (let bytes = 0; ;) {
    const { done, value } = await iterator.next()
    if (done === true) return { chunks, bytes, rest: undefined }
    chunks.push(value)
    bytes += value.length
    if (bytes > WHOLE_BYTES) return { chunks, bytes, rest: iterator }
  }
}

async function* resumed({ chunks, rest }: Ahead): AsyncGenerator<Uint8Array> {
  // Each is let go as soon as it was handed over.
  for (let chunk = chunks.shift(); chunk !== undefined; chunk = chunks.shift()) yield chunk
  if (rest === undefined) return
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value
}

/** The entity tag of a long text, which is not kept. */
async function hashAll(chunks: AsyncIterable<Uint8Array>, request: IncomingMessage, place: Place): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of chunks) {
    if (request.socket.destroyed)
      throw new HttpError(400, 'bad_request', 'The connection was closed before the answer.')
    hash.update(chunk)
    place.took(chunk.length)
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

function answerUnchanged(response: ServerResponse, tag: string): void {
  response.writeHead(304, [...cacheHeaders(tag), ...CORS_HEADERS]).end()
}

function isRepaired(error: unknown): boolean {
  return error instanceof StoreError && error.code === 'unreadable'
}

const ELSEWHERE =
  'Read the signed records instead, page by page from /v2/avatars/{avatar}/records, or as an archive from ' +
  '/v2/archives?avatar={avatar}.'

function tooLarge(bytes: number): HttpError {
  const message = `One member of this content takes ${bytes} bytes, more than this node sends in one answer. ${ELSEWHERE}`
  return new HttpError(413, 'answer_too_large', message)
}

function noRoom(): HttpError {
  const message =
    'One member of this content is larger than the room that is free for answers now. ' +
    `Try again in 5 s when you have read your other answers. Or do this: ${ELSEWHERE}`
  return new HttpError(503, 'busy', message, { 'retry-after': '5' })
}
