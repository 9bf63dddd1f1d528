import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface RecordJson {
  payload: string
  signature: string
  id: string
  status: string
}

export interface PageJson {
  records: RecordJson[]
  digest: string
  cursor: string | null
}

/** What a proxy does to a page of records, asked for with a cursor or from the beginning. */
export type Lie = (page: PageJson, cursor: string | null) => PageJson

export interface HostileProxy {
  readonly url: string
  /** From now on. */
  lie(how: Lie): void
  /** From now on knows nothing of what is asked for by addresses like this. */
  deny(addresses: RegExp): void
  /** From now on answers with what it heard before, where it heard something; there are no records after that. */
  replay(): void
  close(): Promise<void>
}

const UNKNOWN = '{"code":"unknown_avatar","message":"This node does not know the avatar."}'
const RECORDS = /^\/v2\/avatars\/[^/]+\/records/

/** A host on the way that hands everything on but what it lies about. */
export async function startHostileProxy(target: string): Promise<HostileProxy> {
  let lie: Lie | undefined
  let denied: RegExp | undefined
  let isReplaying = false
  const heard = new Map<string, { readonly status: number; readonly body: Buffer }>()

  const lastPages = new Map<string, PageJson>()

  const server = createServer((incoming, outgoing) => {
    const url = incoming.url ?? '/'
    if (denied?.test(url) === true) return answer(outgoing, 404, Buffer.from(UNKNOWN))
    const old = heard.get(url)
    if (isReplaying && old !== undefined) return answer(outgoing, old.status, old.body)
    const first = isReplaying ? lastPages.get(pathOf(url)) : undefined
    if (first !== undefined) return answer(outgoing, 200, Buffer.from(JSON.stringify({ ...first, records: [] })))
    const onward = request(target + url, { method: incoming.method, headers: headersOf(incoming) }, (response) => {
      const isRecords = RECORDS.test(url)
      const isKept = incoming.method === 'GET' && url.startsWith('/v2/avatars/')
      if (!isKept) {
        outgoing.writeHead(response.statusCode ?? 502, response.headers)
        response.pipe(outgoing)
        return
      }
      void readAll(response).then((body) => {
        const status = response.statusCode ?? 502
        if (!isReplaying) heard.set(url, { status, body })
        if (!isReplaying && isRecords && status === 200)
          lastPages.set(pathOf(url), JSON.parse(body.toString()) as PageJson)
        if (!isRecords || lie === undefined || status !== 200) return answer(outgoing, status, body)
        const cursor = new URL(url, target).searchParams.get('cursor')
        const page = lie(JSON.parse(body.toString()) as PageJson, cursor)
        answer(outgoing, status, Buffer.from(JSON.stringify(page)))
      })
    })
    onward.on('error', () => outgoing.destroy())
    outgoing.on('close', () => onward.destroy())
    incoming.pipe(onward)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    lie(how) {
      lie = how
    },
    deny(addresses) {
      denied = addresses
    },
    replay() {
      isReplaying = true
    },
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

function pathOf(url: string): string {
  return url.split('?')[0] ?? ''
}

function headersOf({ headers }: IncomingMessage): Record<string, string | string[]> {
  const onward: Record<string, string | string[]> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && name !== 'host' && name !== 'accept-encoding') onward[name] = value
  }
  return onward
}

function answer(outgoing: ServerResponse, status: number, body: Buffer): void {
  outgoing.writeHead(status, {
    'content-type': 'application/json',
    'access-control-allow-origin': '*',
    'content-length': body.length,
  })
  outgoing.end(body)
}

async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}
