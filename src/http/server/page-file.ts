import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'

import type { FastifyReply, FastifyRequest } from 'fastify'

/** A file of the pages that a node serves, ready to be sent. */
export interface PageFile {
  readonly bytes: Buffer
  readonly gzipped: Buffer
  readonly type: string
  readonly etag: string
  readonly cacheControl: string
}

export const IMMUTABLE = 'public, max-age=31536000, immutable'
export const ALWAYS_ASK = 'no-cache'

export function pageFile(bytes: Buffer, type: string, cacheControl: string): PageFile {
  // Weak, because plain and compressed answers share it.
  const etag = `W/"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`
  return { bytes, gzipped: gzipSync(bytes), type, etag, cacheControl }
}

export function sendPageFile(request: FastifyRequest, reply: FastifyReply, file: PageFile): FastifyReply {
  reply
    .header('content-type', file.type)
    .header('cache-control', file.cacheControl)
    .header('etag', file.etag)
    .header('vary', 'accept-encoding')
    .header('referrer-policy', 'no-referrer')
    .header('cross-origin-opener-policy', 'same-origin')
  if (request.headers['if-none-match']?.split(/,\s*/).includes(file.etag) === true) return reply.code(304).send()
  if (!/\bgzip\b/.test(request.headers['accept-encoding'] ?? '')) return reply.send(file.bytes)
  return reply.header('content-encoding', 'gzip').send(file.gzipped)
}
