import { once } from 'node:events'
import { createServer } from 'node:http'
import type { RequestListener, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'

import { ClientError } from '../../src/client/errors.ts'
import { createNodeApi, type NodeApi } from '../../src/client/node-api.ts'
import { readStatus } from '../../src/client/node-info.ts'
import { nodeAddress } from '../../src/client/node-pool.ts'
import { download } from '../../src/client/download.ts'
import { createOperatorApi } from '../../src/client/operator-api.ts'
import { fetchFor } from '../../src/client/platform.ts'
import { parseAvatar } from '../../src/record/keys.ts'

const AVATAR = parseAvatar('0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798')
const OPTIONS = { ...fetchFor(undefined), timeoutMs: 60_000, signal: undefined }

let server: Server | undefined
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

async function urlOf(listener: RequestListener): Promise<string> {
  server = createServer(listener)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  return `http://127.0.0.1:${port}`
}

async function nodeOf(listener: RequestListener, path = '', options = OPTIONS): Promise<NodeApi> {
  return createNodeApi(nodeAddress((await urlOf(listener)) + path), options)
}

const statusOf = ({ transport }: NodeApi) => readStatus(transport)

async function refusal(work: Promise<unknown>): Promise<ClientError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof ClientError) return error
  throw new Error('it was not refused with a ClientError', { cause: error })
}

const answering =
  (status: number, body: string): RequestListener =>
  (_, response) => {
    response.writeHead(status).end(body)
  }

describe('one node', () => {
  it('gives up on a node that does not answer, or does not come to an end', async () => {
    const options = { ...OPTIONS, timeoutMs: 300 }
    const silent = await refusal(statusOf(await nodeOf(() => undefined, '', options)))
    expect(silent).toMatchObject({ code: 'unreachable' })
    expect(silent.message).toContain('0.3 s')
    const endless = await nodeOf((_, response) => void response.write('{"version":'), '', options)
    expect(await refusal(statusOf(endless))).toMatchObject({ code: 'unreachable' })
  })

  it('stops reading an answer that is too long', async () => {
    const client = await nodeOf(answering(500, 'x'.repeat(600_000)))
    const { code, message } = await refusal(statusOf(client))
    expect(code).toBe('bad_answer')
    expect(message).toContain('longer than 524288 bytes')
  })

  it.each([
    ['other JSON', '{"hello":"world"}'],
    ['a list', '[]'],
    ['no JSON', 'hello'],
    ['nothing', ' '],
    ['a web page', '<html>'],
    ['deep nesting', `{"version":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
    [
      'a number that is none',
      '{"version":"1","network":"main","peer_id":"a","addresses":[],"peers":-1,"avatars":0,"records":0}',
    ],
  ])('refuses %s as a status', async (_, body) => {
    const error = await refusal(statusOf(await nodeOf(answering(200, body))))
    expect(error.code).toBe('bad_answer')
    expect(error.message).toContain('not what an avatar-kv node answers')
    expect(error.message.length).toBeLessThan(500)
  })

  it('tells an unknown avatar from an unknown address', async () => {
    const unknown = await nodeOf(answering(404, '{"code":"unknown_avatar","message":"No."}'))
    expect(await unknown.document(AVATAR)).toBeUndefined()
    const elsewhere = await nodeOf(answering(404, '{"code":"not_found","message":"No such \\u001b[2J page."}'))
    expect((await refusal(elsewhere.document(AVATAR))).message).toContain('not_found: No such \u001b[2J page.')
  })

  it('keeps the path of the address and encodes names', async () => {
    const asked: (string | undefined)[] = []
    const client = await nodeOf((request, response) => {
      asked.push(request.url)
      response.end('{}')
    }, '/kv/')
    await client.content(AVATAR, 'twitter', 'a/b?c d')
    expect(asked).toEqual([`/kv/v2/avatars/${AVATAR}/content?platform=twitter&identity=a%2Fb%3Fc+d`])
  })

  it('says when the store began anew', async () => {
    const client = await nodeOf(answering(410, '{"code":"cursor_expired","message":"Gone."}'))
    expect(await client.records(AVATAR, 'old')).toBe('expired')
  })

  it('tells why an avatar is not shown, and where it lives, where the caller wants to know', async () => {
    const body = '{"code":"not_hosted","message":"No.","homes":["https://a.example",1]}'
    const node = await nodeOf(answering(404, body))
    expect(await node.document(AVATAR)).toBeUndefined()
    const strict = createNodeApi(node.url, { ...OPTIONS, absentCodes: new Set(['unknown_avatar']) })
    const refused = { code: 'refused', status: 404, nodeCode: 'not_hosted', homes: ['https://a.example'] }
    expect(await refusal(strict.document(AVATAR))).toMatchObject(refused)
  })
})

describe('the operator of a node', () => {
  it('sends its token to the address alone, and to no redirect', async () => {
    const seen: (string | undefined)[] = []
    const url = await urlOf((request, response) => {
      seen.push(request.headers.authorization)
      response.writeHead(307, { location: `http://127.0.0.1:${request.socket.localPort}/elsewhere` }).end()
    })
    const error = await refusal(createOperatorApi(url, 'secret', OPTIONS).tidy())
    expect(error.code).toBe('unreachable')
    expect(seen).toEqual(['Bearer secret'])
  })

  it('sends no token in the clear over a network', () => {
    const open = () => createOperatorApi('http://node.example', 'secret', OPTIONS)
    expect(open).toThrow('not sent in the clear to node.example')
  })

  it.each([
    ['a list without counts', '{"entries":[],"mode":"all","policy":"open","cursor":null}'],
    ['an unknown mode', '{"entries":[],"counts":{},"mode":"some","policy":"open","cursor":null}'],
    ['text', '"hello"'],
  ])('takes no %s for an answer', async (_, body) => {
    const api = createOperatorApi(await urlOf(answering(200, body)), 'secret', OPTIONS)
    expect(await refusal(api.list('hosted', null, 10))).toMatchObject({ code: 'bad_answer' })
  })
})

describe('a download', () => {
  const listener: RequestListener = (_, response) => {
    response.write('first')
    setTimeout(() => response.destroy(), 50)
  }

  it('says so where it breaks off', async () => {
    const { transport } = await nodeOf(listener)
    const { chunks } = await download(transport, '/v2/archives', 'The archive')
    const read: Uint8Array[] = []
    const all = async () => {
      for await (const chunk of chunks) read.push(chunk)
    }
    const error = await refusal(all())
    expect(error).toMatchObject({ code: 'unreachable', node: transport.url })
    expect(error.message).toContain('The archive did not arrive whole')
    expect(Buffer.concat(read).toString()).toBe('first')
  })

  it('is refused with what the node says', async () => {
    const { transport } = await nodeOf(answering(503, '{"code":"busy","message":"Later."}'))
    const refused = { code: 'refused', status: 503, nodeCode: 'busy' }
    expect(await refusal(download(transport, '/v2/archives', 'The archive'))).toMatchObject(refused)
  })
})
