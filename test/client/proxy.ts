import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'

/** What a request is answered with; undefined lets the node answer. */
export type Lie = (request: Seen, honest: () => Promise<Honest>) => Promise<Reply | undefined> | Reply | undefined

export interface Seen {
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly url: string
  /** Size of the body. */
  readonly bytes: number
  /** How many requests with the same method and path came before. */
  readonly count: number
}

export interface Honest {
  readonly status: number
  readonly headers: Record<string, string>
  readonly body: string
}

export interface Reply {
  readonly status?: number
  readonly headers?: Record<string, string>
  readonly body?: string
  /** Writes the answer itself, as slowly and as long as it likes. */
  readonly stream?: (response: ServerResponse) => void
}

export type Proxy = Awaited<ReturnType<typeof startProxy>>

/** A server between a client and a node, that lies as it is told. */
export async function startProxy(target: () => string) {
  let lie: Lie = () => undefined
  const seen: Seen[] = []
  const server = createServer((request, response) => {
    void answer(request, response).catch(() => response.destroy())
  })

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    const url = request.url ?? '/'
    const { method = 'GET' } = request
    const [path = '/'] = url.split('?')
    const count = seen.filter((each) => each.method === method && each.path === path).length
    const asked: Seen = { method, path, url, bytes: body.length, count }
    seen.push(asked)
    const honest = async (): Promise<Honest> => {
      const upstream = await fetch(target() + url, { method, ...(method === 'POST' ? { body } : {}) })
      return {
        status: upstream.status,
        headers: { 'content-type': upstream.headers.get('content-type') ?? '' },
        body: await upstream.text(),
      }
    }
    const told = await lie(asked, honest)
    if (told?.stream !== undefined) {
      response.writeHead(told.status ?? 200, told.headers ?? { 'content-type': 'application/json' })
      return told.stream(response)
    }
    if (told === undefined && path === '/v2/events') return await pipe(response, target() + url)
    const { status, headers, body: text } = told === undefined ? await honest() : { ...(await plain(told)) }
    response.writeHead(status, headers).end(text)
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    seen,
    /** Lies from now on in this way; undefined is honest. */
    tell(next: Lie | undefined) {
      seen.length = 0
      lie = next ?? (() => undefined)
    },
    /** Breaks all connections that are open. */
    cut: () => server.closeAllConnections(),
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function plain({ status = 200, headers = {}, body = '' }: Reply): Promise<Honest> {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body }
}

async function pipe(response: ServerResponse, url: string): Promise<void> {
  const stop = new AbortController()
  response.once('close', () => stop.abort())
  const upstream = await fetch(url, { signal: stop.signal })
  response.writeHead(upstream.status, { 'content-type': upstream.headers.get('content-type') ?? '' })
  if (upstream.body === null) return
  try {
    for await (const chunk of upstream.body) response.write(chunk)
  } catch {
    // The client has gone, or the node has.
  }
  response.end()
}
