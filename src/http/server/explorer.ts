import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import type { FastifyInstance, FastifyRequest } from 'fastify'

import { HttpError, sendError } from '../lib/errors.ts'
import { ALWAYS_ASK, IMMUTABLE, pageFile, sendPageFile, type PageFile } from './page-file.ts'

/** The types of the built files; files with other extensions are not served. */
const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
}

/** File names in this folder contain a hash of the content, so the files never change. */
const HASHED_FOLDER = 'assets'

/** Hosts that a page may compare with, since they become part of a header. */
const MAX_COMPARED_HOSTS = 8
const MAX_HOST_LENGTH = 300
/** A URL of a DNS name, an IPv4 or a bracketed IPv6 address, with port and path, and no character that ends a directive. */
const HOST =
  /^(?:https?:\/\/(?:[a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?)(?:\/[a-z0-9._~%/-]*)?$/i

/**
 * The policy of the worker that verifies signatures. A worker has the policy of its own answer, not that of the page: it may run WASM, which
 * the page may not, and may load and send nothing.
 */
const WORKER_POLICY = "default-src 'none'; script-src 'wasm-unsafe-eval'"

/**
 * Serves the explorer at `/`, from files that are read once. Its content security policy lets the page load scripts only from
 * this node, and connect only to this node and to the hosts in its URL: `/?host=https://other.example`. So a reader can
 * compare hosts, and the page cannot send data anywhere else.
 *
 * @param folder of the built explorer; if undefined or without `index.html`, `/` answers how to build it
 * @returns the names of its files
 */
export function installExplorer(app: FastifyInstance, folder: string | undefined): readonly string[] {
  const files = folder === undefined ? new Map<string, PageFile>() : readFiles(folder)
  const index = files.get('index.html')
  app.get('/', { schema: { hide: true } }, (request, reply) => {
    if (index === undefined) {
      const message = 'The explorer of this node is not built. Run `npm run build` and restart the node.'
      return sendError(reply, new HttpError(404, 'not_found', message))
    }
    reply.header('content-security-policy', contentPolicy(comparedHosts(request)))
    return sendPageFile(request, reply, index)
  })
  for (const [name, file] of files) {
    if (file === index) continue
    app.get(`/${name}`, { schema: { hide: true } }, (request, reply) => {
      // For a script that a page loads, browsers ignore it.
      if (name.startsWith(`${HASHED_FOLDER}/`)) reply.header('content-security-policy', WORKER_POLICY)
      return sendPageFile(request, reply, file)
    })
  }
  return [...files.keys()]
}

/** @param hosts as sources of a content security policy */
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
    'trusted-types avatar-kv',
  ].join('; ')
}

function comparedHosts({ url }: FastifyRequest): string[] {
  const at = url.indexOf('?')
  const named = at < 0 ? [] : new URLSearchParams(url.slice(at)).getAll('host')
  const sources = named.flatMap((each) => sourceOf(each) ?? [])
  return [...new Set(sources)].slice(0, MAX_COMPARED_HOSTS)
}

/** Returns a host as a source of the policy, with everything below its path; undefined if the text is not a valid host. */
function sourceOf(host: string): string | undefined {
  if (host.length > MAX_HOST_LENGTH || !HOST.test(host) || !URL.canParse(host)) return undefined
  const { origin, pathname } = new URL(host)
  const folder = pathname.replace(/\/+$/, '')
  return folder === '' ? origin : `${origin}${folder}/`
}

function readFiles(folder: string): Map<string, PageFile> {
  const files = new Map<string, PageFile>()
  const names = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : []
  for (const name of names) {
    const type = TYPES[name.slice(name.lastIndexOf('.') + 1)]
    if (type === undefined) continue
    const bytes = readFileSync(join(folder, name))
    files.set(name, pageFile(bytes, type, name.startsWith(`${HASHED_FOLDER}/`) ? IMMUTABLE : ALWAYS_ASK))
  }
  return files
}
