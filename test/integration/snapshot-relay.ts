import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Relay {
  readonly url: string
  /** Requests seen, as `POST /v2/records`. */
  readonly seen: readonly string[]
  close(): Promise<void>
}

export interface RelayHooks {
  /** Called before a request is passed on. */
  readonly before?: (request: string) => Promise<void>
  /** Changes the text of an answer. */
  readonly change?: (request: string, text: string) => string
}

/** Stands between a client and a node, and can do what happens in between, or lie. */
export async function startRelay(target: string, hooks: RelayHooks): Promise<Relay> {
  const seen: string[] = []
  const server = createServer((request, response) => {
    const name = `${request.method} ${request.url}`
    seen.push(name)
    void (async () => {
      await hooks.before?.(name)
      const body = await bodyOf(request)
      const answer = await fetch(`${target}${request.url}`, {
        method: request.method ?? 'GET',
        ...(body.length === 0 ? {} : { body: body.toString('utf8'), headers: { 'content-type': 'application/json' } }),
      })
      const text = await answer.text()
      response.writeHead(answer.status, { 'content-type': 'application/json' })
      response.end(hooks.change?.(name, text) ?? text)
    })()
  })
  return { url: await listen(server), seen, close: async () => await closeServer(server) }
}

/** Listens on a free port of loopback. */
export async function listen(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

export async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
