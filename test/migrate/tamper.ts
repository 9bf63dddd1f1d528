import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

import type { HttpNode } from '../http/node.ts'

/** A page of records as a node sends it. */
export interface Page {
  records: { payload: string; signature: string; id: string; status: string }[]
  digest: string
  cursor: string | null
}

export interface Answer {
  readonly status: number
  readonly body: unknown
  readonly headers?: Record<string, string>
}

/** What stands between a migration and an honest node, and changes what it likes. Undefined: the honest answer. */
export interface Tampering {
  /** Of a page of records; `number` counts them from 0, over all readings. */
  readonly page?: (page: Page, number: number) => Answer | Page
  /** Of the document of the avatar. */
  readonly avatar?: (answer: Record<string, unknown>) => Record<string, unknown>
  /** Of `POST /v2/records`, before the node sees it. */
  readonly post?: (body: { records: { payload: string; signature: string }[] }, number: number) => Answer | undefined
  readonly status?: (answer: Record<string, unknown>) => Record<string, unknown>
}

/** A host by HTTP that is an honest node with a liar in front of it. */
export interface Tamperer {
  readonly url: string
  /** Addresses asked for, in order, without the avatar. */
  readonly calls: string[]
  close(): Promise<void>
}

export async function startTamperer(node: HttpNode, tampering: Tampering): Promise<Tamperer> {
  const calls: string[] = []
  let pages = 0
  let posts = 0

  async function answer(method: string, path: string, body: string): Promise<Answer> {
    if (method === 'POST' && path === '/v2/records') {
      const changed = tampering.post?.(JSON.parse(body) as Parameters<NonNullable<Tampering['post']>>[0], posts++)
      if (changed !== undefined) return changed
    }
    // Short pages, so that avatars of some hundred records take several.
    const response = await node.fetch(
      path.replace('limit=1000', 'limit=100'),
      method === 'POST' ? { method, body } : {},
    )
    const honest = (await response.json()) as Record<string, unknown>
    const plain = { status: response.status, body: honest }
    if (/\/records\?/.test(path) && tampering.page !== undefined) {
      // A cursor of the liar's own means nothing to the node behind it.
      const page = response.status === 200 ? (honest as unknown as Page) : { records: [], digest: '', cursor: null }
      const changed = tampering.page(page, pages++)
      return 'status' in changed ? changed : { status: 200, body: changed }
    }
    if (response.status !== 200) return plain
    if (/^\/v2\/avatars\/[^/]+$/.test(path)) return { status: 200, body: tampering.avatar?.(honest) ?? honest }
    if (path === '/v2/status') return { status: 200, body: tampering.status?.(honest) ?? honest }
    return plain
  }

  const server = createServer((request, response) => {
    const path = request.url ?? ''
    const serve = async (): Promise<void> => {
      const text = await textOf(request)
      calls.push(`${request.method} ${path.replace(/0x[0-9a-f]{66}/, '{avatar}')}`)
      const { status, body, headers = {} } = await answer(request.method ?? '', path, text)
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
    }
    serve().catch((error: unknown) => response.writeHead(500).end(String(error)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}
