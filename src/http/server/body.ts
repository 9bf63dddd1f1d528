import { isUtf8 } from 'node:buffer'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { gunzip as gunzipWithCallback } from 'node:zlib'

import type { FastifyRequest } from 'fastify'

import { decodeText } from '../../platform/decode-text.ts'
import { messageOf } from '../../platform/errors.ts'
import { JsonTextError } from '../../record/errors.ts'
import { parseExactJson, type JsonLimits } from '../../record/exact-json.ts'
import { Shares } from '../../shares/shares.ts'
import type { Hold, Refusal, Source } from '../../shares/types.ts'
import { HttpError, refusedShare } from '../lib/errors.ts'
import type { HttpApp, RouteParts } from '../lib/parts.ts'

const gunzip = promisify(gunzipWithCallback)

/** Above the limits of 1,000 records, so that a record that exceeds a limit gets the precise error of `record/`. */
const SHAPE: JsonLimits = { depth: 128, tokens: 40_000 }

/** The body of one request. Its share is released when the answer is finished or the connection is closed. */
interface Reading {
  readonly client: Source
  hold: Hold | undefined
  isOver: boolean
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Undefined if the route takes no body. */
    bodyReading: Reading | undefined
  }
  interface FastifyContextConfig {
    /** The route gets its body as a stream. */
    streamsBody?: boolean
  }
}

/**
 * Reads every body as JSON and ignores its content type: Next.ID's clients send JSON as `text/plain;charset=UTF-8`. The route
 * limits each body; `limits.bodyBytes` bounds all bodies that are being received or handled, and an incomplete body can be
 * refused to make room for a host that sends less. Call it before any route is added.
 */
export function installBodyParser(app: HttpApp, { clients, limits }: RouteParts): void {
  const shares = new Shares(limits.bodyBytes)

  app.decorateRequest('bodyReading', undefined)
  app.addHook('onRoute', (route) => {
    if (route.method !== 'POST') return
    route.preParsing = (request, reply, payload, done) => {
      const reading: Reading = { client: clients.ofRequest(request.raw), hold: undefined, isOver: false }
      request.bodyReading = reading
      reply.raw.on('close', () => {
        reading.isOver = true
        reading.hold?.release()
      })
      done(null, payload)
    }
  })

  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (request: FastifyRequest, payload: Readable, done) => {
    if (request.routeOptions.config.streamsBody === true) return done(null, payload)
    const reading = request.bodyReading
    if (reading === undefined) {
      // No route takes a body here. It is discarded; the answer is 404 or 405.
      payload.resume()
      return done(null, undefined)
    }
    receive(request, payload, reading, (error, bytes) => {
      if (bytes === undefined) return done(error)
      if (request.headers['content-encoding'] === undefined) return parseInto(done, bytes)
      void decodeInto(done, request, bytes, reading)
      return undefined
    })
    return undefined
  })

  async function decodeInto(done: Done, request: FastifyRequest, bytes: Buffer, reading: Reading): Promise<void> {
    let plain: Buffer
    try {
      plain = await decoded(request, bytes, reading)
    } catch (error) {
      return done(error as Error)
    }
    return parseInto(done, plain)
  }

  /** Calls `received` once, with the bytes of the body or an error. A callback, since promises cost each request some µs. */
  function receive(request: FastifyRequest, payload: Readable, reading: Reading, received: Received): void {
    const limit = request.routeOptions.bodyLimit
    const chunks: Buffer[] = []
    let length = 0
    let isSettled = false
    const refuse = (error: Error) => {
      if (isSettled) return
      isSettled = true
      payload.off('data', take)
      chunks.length = 0
      payload.resume()
      // Deferred, because an eviction happens inside `grow` of another body.
      queueMicrotask(() => received(error))
    }
    const evict = () => refuse(tooManyBodies('full'))
    const take = (chunk: Buffer) => {
      length += chunk.length
      if (reading.isOver) return refuse(brokenOff())
      if (length > limit) return refuse(tooLarge(limit))
      const refusal = grow(reading, chunk.length, evict)
      if (refusal !== undefined) return refuse(tooManyBodies(refusal))
      chunks.push(chunk)
      return undefined
    }
    if (Number(request.headers['content-length']) > limit) return refuse(tooLarge(limit))
    payload.on('data', take)
    payload.on('end', () => {
      if (isSettled) return
      // The body is complete: ignore later errors.
      isSettled = true
      reading.hold?.mark('pinned')
      const [first] = chunks
      received(null, first !== undefined && chunks.length === 1 ? first : Buffer.concat(chunks, length))
    })
    payload.on('error', () => refuse(brokenOff()))
    return undefined
  }

  /** Decompresses a body. The limits apply to the decompressed bytes too. */
  async function decoded(request: FastifyRequest, bytes: Buffer, reading: Reading): Promise<Buffer> {
    const encoding = request.headers['content-encoding']?.toLowerCase() ?? 'identity'
    if (encoding === 'identity') return bytes
    if (encoding !== 'gzip' && encoding !== 'x-gzip') {
      const message = `The Content-Encoding ${JSON.stringify(encoding.slice(0, 40))} is not supported. Use gzip or none.`
      throw new HttpError(415, 'unsupported_encoding', message)
    }
    const limit = request.routeOptions.bodyLimit
    let whole: Buffer
    try {
      whole = await gunzip(bytes, { maxOutputLength: limit })
    } catch (error) {
      if (error instanceof RangeError) throw tooLarge(limit)
      throw new HttpError(
        400,
        'invalid_json',
        'The body is not complete gzip data, although its Content-Encoding is gzip. Send it again.',
      )
    }
    const refusal = grow(reading, whole.length, () => undefined)
    if (refusal !== undefined) throw tooManyBodies(refusal)
    reading.hold?.mark('pinned')
    return whole
  }

  function grow(reading: Reading, bytes: number, evict: () => void): Refusal | undefined {
    if (reading.hold !== undefined) {
      reading.hold.mark('busy')
      return reading.hold.grow(bytes)
    }
    const taken = shares.take(reading.client, bytes, evict)
    if (typeof taken === 'string') return taken
    reading.hold = taken
    return undefined
  }
}

type Received = (error: Error | null, bytes?: Buffer) => void
type Done = (error: Error | null, body?: unknown) => void

/** Calls `done` with the parsed body or an error. */
function parseInto(done: Done, bytes: Buffer): void {
  let value: unknown
  try {
    value = parseJson(bytes)
  } catch (error) {
    return done(error as Error)
  }
  return done(null, value)
}

/** The client is gone and does not see this error, but it ends the request. */
function brokenOff(): HttpError {
  return new HttpError(400, 'broken_off', 'The connection closed before the body was complete. Send the request again.')
}

function tooLarge(limit: number): HttpError {
  return new HttpError(
    413,
    'body_too_large',
    `The body is too large: the limit of this call is ${limit} bytes. Send less at a time.`,
  )
}

function tooManyBodies(why: Refusal): HttpError {
  const advice = 'Wait for the answers to your other requests.'
  return refusedShare(why, { doing: 'receives as many bytes at once', advice, retryS: 1 })
}

function textOf(bytes: Buffer): string {
  // A fast path for the common case: UTF-8 without a byte order mark.
  if (bytes[0] !== 0xef && isUtf8(bytes)) return bytes.toString('utf8')
  try {
    return decodeText(bytes)
  } catch (error) {
    throw new HttpError(
      400,
      'invalid_json',
      `Cannot read the body: ${messageOf(error)}. Compressed bodies need Content-Encoding: gzip.`,
    )
  }
}

/** @throws HttpError `invalid_json`, `body_too_complex`, `inexact_number`, `duplicate_key` */
function parseJson(bytes: Buffer): unknown {
  try {
    return parseExactJson(textOf(bytes), SHAPE)
  } catch (error) {
    if (!(error instanceof JsonTextError)) throw error
    if (error.code === 'too_complex') throw new HttpError(400, 'body_too_complex', error.message)
    if (error.code === 'invalid_json')
      throw new HttpError(400, 'invalid_json', `The body is not JSON: ${error.message}`)
    throw new HttpError(400, error.code, `${error.message} Nothing was written.`)
  }
}
