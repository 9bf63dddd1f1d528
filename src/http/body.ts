import { isUtf8 } from 'node:buffer'
import type { Readable } from 'node:stream'

import type { FastifyInstance, FastifyRequest } from 'fastify'

import { Shares } from '../shares/shares.ts'
import type { Hold, Refusal, ShareLimits, Source } from '../shares/types.ts'
import type { ClientAddresses } from './client-address.ts'
import { JsonTextError } from '../record/errors.ts'
import { parseExactJson } from '../record/exact-json.ts'
import type { JsonLimits } from '../record/exact-json.ts'
import { HttpError } from './errors.ts'

/** Enough for 1,000 records, and for patches beyond the record limits, so that the record core can name what is wrong. */
const SHAPE: JsonLimits = { depth: 128, tokens: 40_000 }

/** Seconds after which a client may try again if too many bodies are in memory. */
const BUSY_RETRY_S = 1

/** The body of one request on its way. Its bytes are given back when the answer is finished or the connection is gone. */
interface Reading {
  readonly client: Source
  hold: Hold | undefined
  isOver: boolean
}

/**
 * Reads every body as JSON, whatever its content type says: Next.ID's clients send JSON as `text/plain;charset=UTF-8`.
 * Each body is bounded by the limit of its route, and all bodies that are being received or handled by `limits`. Call it
 * before any route is added.
 *
 * @param limits in bytes; a body that is still being received may be refused to make room for a host that sends less
 */
export function installBodyParser(
  app: FastifyInstance,
  { clients, limits }: { readonly clients: ClientAddresses; readonly limits: ShareLimits },
): void {
  const readings = new WeakMap<FastifyRequest, Reading>()
  const shares = new Shares(limits)

  app.addHook('onRoute', (route) => {
    if (route.method !== 'POST') return
    route.preParsing = (request, reply, payload, done) => {
      const reading: Reading = { client: clients.ofRequest(request.raw), hold: undefined, isOver: false }
      readings.set(request, reading)
      reply.raw.once('close', () => {
        reading.isOver = true
        reading.hold?.release()
      })
      done(null, payload)
    }
  })

  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', async (request: FastifyRequest, payload: Readable) => {
    const reading = readings.get(request)
    if (reading === undefined) {
      // No route takes a body here: it is discarded, and the answer will say so.
      payload.resume()
      return undefined
    }
    return parseJson(await receive(request, payload, reading))
  })

  function receive(request: FastifyRequest, payload: Readable, reading: Reading): Promise<Buffer> {
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
      payload.once('end', () => {
        reading.hold?.mark('pinned')
        resolve(Buffer.concat(chunks, length))
      })
      payload.once('error', () => refuse(brokenOff()))
      return undefined
    })
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

/** Nobody reads this answer, but the request ends like any other. */
function brokenOff(): HttpError {
  return new HttpError(400, 'broken_off', 'The connection ended within the body. Send the request again.')
}

function tooLarge(limit: number): HttpError {
  return new HttpError(413, 'body_too_large', `The body may take ${limit} bytes here; send less at a time.`)
}

function tooManyBodies(why: Refusal): HttpError {
  const headers = { 'retry-after': String(BUSY_RETRY_S) }
  if (why === 'full') {
    const message = `The node holds as many request bodies as it can. Try again in ${BUSY_RETRY_S} s.`
    return new HttpError(503, 'busy', message, headers)
  }
  const message = `Your address sends as many bytes at once as one address may. Try again in ${BUSY_RETRY_S} s.`
  return new HttpError(429, 'too_many_requests', message, headers)
}

/** @throws HttpError `invalid_json`, `body_too_complex`, `inexact_number`, `duplicate_key` */
function parseJson(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw new HttpError(400, 'invalid_json', 'The body is not UTF-8.')
  try {
    return parseExactJson(bytes.toString('utf8'), SHAPE)
  } catch (error) {
    if (!(error instanceof JsonTextError)) throw error
    if (error.code === 'too_complex') throw new HttpError(400, 'body_too_complex', error.message)
    if (error.code === 'invalid_json')
      throw new HttpError(400, 'invalid_json', `The body is not JSON: ${error.message}`)
    throw new HttpError(400, error.code, `${error.message} Nothing was written.`)
  }
}
