import { isUtf8 } from 'node:buffer'
import type { Readable } from 'node:stream'

import type { FastifyInstance, FastifyRequest } from 'fastify'

import { HttpError } from './errors.ts'
import { faultOf } from './json-guard.ts'
import type { JsonShapeLimits } from './json-guard.ts'

/** Enough for 1,000 records, and for patches beyond the record limits, so that the record core can name what is wrong. */
const SHAPE: JsonShapeLimits = { depth: 128, tokens: 40_000 }

/** When a client may try again if too many bodies are in memory, in seconds. */
const BUSY_RETRY_S = 1

/** Bytes that one request holds, given back when its answer is finished or its connection is gone. */
interface Hold {
  bytes: number
  closed: boolean
}

/**
 * Reads every body as JSON, whatever its content type says: Next.ID's clients send JSON as `text/plain;charset=UTF-8`.
 * Bodies are bounded each (by the route's limit) and together. To be called before any route is added.
 *
 * @param maxBytesInFlight bytes of all bodies that are being received or handled
 */
export function installBodyParser(app: FastifyInstance, maxBytesInFlight: number): void {
  const holds = new WeakMap<FastifyRequest, Hold>()
  let inFlight = 0

  app.addHook('onRoute', (route) => {
    if (route.method !== 'POST') return
    route.preParsing = (request, reply, payload, done) => {
      const hold: Hold = { bytes: 0, closed: false }
      holds.set(request, hold)
      reply.raw.once('close', () => {
        inFlight -= hold.bytes
        hold.closed = true
      })
      done(null, payload)
    }
  })

  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', async (request: FastifyRequest, payload: Readable) => {
    const hold = holds.get(request)
    if (hold === undefined) {
      // No route takes a body here: it is discarded, and the answer will say so.
      payload.resume()
      return undefined
    }
    return parseJson(await receive(request, payload, hold))
  })

  function receive(request: FastifyRequest, payload: Readable, hold: Hold): Promise<Buffer> {
    const limit = request.routeOptions.bodyLimit
    const chunks: Buffer[] = []
    let length = 0
    return new Promise((resolve, reject) => {
      const refuse = (error: Error) => {
        payload.off('data', take)
        chunks.length = 0
        payload.resume()
        reject(error)
      }
      const take = (chunk: Buffer) => {
        length += chunk.length
        if (hold.closed) return refuse(new HttpError(400, 'bad_request', 'The connection ended within the body.'))
        if (length > limit) return refuse(tooLarge(limit))
        if (inFlight + chunk.length > maxBytesInFlight) return refuse(tooManyBodies())
        inFlight += chunk.length
        hold.bytes += chunk.length
        chunks.push(chunk)
        return undefined
      }
      if (Number(request.headers['content-length']) > limit) return refuse(tooLarge(limit))
      payload.on('data', take)
      payload.once('end', () => resolve(Buffer.concat(chunks, length)))
      payload.once('error', reject)
      return undefined
    })
  }
}

function tooLarge(limit: number): HttpError {
  return new HttpError(413, 'body_too_large', `The body may take ${limit} bytes here; send less at a time.`)
}

function tooManyBodies(): HttpError {
  const message = `The node holds as many requests as it can; try again in ${BUSY_RETRY_S} s.`
  return new HttpError(503, 'busy', message, { 'retry-after': String(BUSY_RETRY_S) })
}

/** @throws HttpError `invalid_json`, `body_too_complex`, `inexact_number` */
function parseJson(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw new HttpError(400, 'invalid_json', 'The body is not UTF-8.')
  const fault = faultOf(bytes, SHAPE)
  if (fault === 'too_complex') {
    const message = `The body may hold ${SHAPE.tokens} values, nested ${SHAPE.depth} deep; send less at a time.`
    throw new HttpError(400, 'body_too_complex', message)
  }
  if (fault === 'changed_integer') {
    const message = 'The body has an integer beyond 2^53 that a JSON number cannot hold exactly; send it as a string.'
    throw new HttpError(400, 'inexact_number', message)
  }
  try {
    // JSON.parse keeps a key `__proto__` as the ordinary key that it is here.
    return JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    throw new HttpError(400, 'invalid_json', `The body is not JSON: ${error instanceof Error ? error.message : ''}`)
  }
}
