import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import { sendError } from '../lib/errors.ts'

/** What the build makes; a file of another kind is not served. */
const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
}

/** Names in this folder hold a hash of the content, so that they never change. */
const HASHED_FOLDER = 'assets'
const IMMUTABLE = 'public, max-age=31536000, immutable'
const ALWAYS_ASK = 'no-cache'

/** Hosts that a page may compare with; more tell nothing more, and a header has its limits. */
const MAX_COMPARED_HOSTS = 8
const MAX_HOST_LENGTH = 300
/** Labels of a DNS name, an IPv4 or a bracketed IPv6 address, a port, and a path: nothing that could end a directive. */
const HOST =
  /^(?:https?:\/\/(?:[a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?)(?:\/[a-z0-9._~%/-]*)?$/i

interface PageFile {
  readonly bytes: Buffer
  readonly gzipped: Buffer
  readonly type: string
  readonly etag: string
  readonly cacheControl: string
}

/**
 * Serves the explorer, read from a folder once, at `/`. A page there may run and load only what this node serves, and ask
 * only this node and the hosts that its address names: `/?host=https://other.example`. So a reader can compare this
 * host's answers with those of others, and the page still cannot tell anybody else what is read in it.
 *
 * @param folder where the build put it; undefined, or without an `index.html`: `/` says how to build it
 */
export function installExplorer(app: FastifyInstance, folder: string | undefined): void {
  const files = folder === undefined ? new Map<string, PageFile>() : readFiles(folder)
  const index = files.get('index.html')
  app.get('/', { schema: { hide: true } }, (request, reply) => {
    if (index === undefined) {
      return sendError(reply, 404, 'not_found', 'The explorer is not built here: run `npm run build`, then restart.')
    }
    reply.header('content-security-policy', contentPolicy(comparedHosts(request)))
    return send(request, reply, index)
  })
  for (const [name, file] of files) {
    if (file === index) continue
    app.get(`/${name}`, { schema: { hide: true } }, (request, reply) => send(request, reply, file))
  }
}

/** @param hosts sources as a policy writes them */
function contentPolicy(hosts: readonly string[]): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    `connect-src ${["'self'", ...hosts].join(' ')}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join('; ')
}

function comparedHosts({ url }: FastifyRequest): string[] {
  const at = url.indexOf('?')
  const named = at < 0 ? [] : new URLSearchParams(url.slice(at)).getAll('host')
  const sources = named.flatMap((each) => sourceOf(each) ?? [])
  return [...new Set(sources)].slice(0, MAX_COMPARED_HOSTS)
}

/** A host as a source of the policy: below a path, everything under that path. Undefined where the text names no host. */
function sourceOf(host: string): string | undefined {
  if (host.length > MAX_HOST_LENGTH || !HOST.test(host) || !URL.canParse(host)) return undefined
  const { origin, pathname } = new URL(host)
  const folder = pathname.replace(/\/+$/, '')
  return folder === '' ? origin : `${origin}${folder}/`
}

function send(request: FastifyRequest, reply: FastifyReply, file: PageFile): FastifyReply {
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

function readFiles(folder: string): Map<string, PageFile> {
  const files = new Map<string, PageFile>()
  for (const name of namesIn(folder)) {
    const type = TYPES[name.slice(name.lastIndexOf('.') + 1)]
    if (type === undefined) continue
    const bytes = readFileSync(join(folder, name))
    // Weak: the same for the compressed bytes.
    const etag = `W/"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`
    const cacheControl = name.startsWith(`${HASHED_FOLDER}/`) ? IMMUTABLE : ALWAYS_ASK
    files.set(name, { bytes, gzipped: gzipSync(bytes), type, etag, cacheControl })
  }
  return files
}

function namesIn(folder: string): string[] {
  try {
    const names = readdirSync(folder)
    const hashed = names.includes(HASHED_FOLDER) ? readdirSync(join(folder, HASHED_FOLDER)) : []
    return [...names, ...hashed.map((each) => `${HASHED_FOLDER}/${each}`)]
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
