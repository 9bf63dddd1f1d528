import { once } from 'node:events'
import { connect } from 'node:net'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { post, startHttpNode } from './node.ts'
import type { HttpNode } from './node.ts'
import { newKey, posted, postRecords, signedPatch } from './writer.ts'
import { until } from '../support/until.ts'

const MIB = 1024 * 1024

let node: HttpNode
beforeAll(async () => {
  node = await startHttpNode()
})
afterAll(() => node.close())

/** Sends bytes over a raw connection; resolves with all that came back once the other side has closed. */
async function raw(text: string | Uint8Array, { at = node, end = false } = {}): Promise<string> {
  const socket = connect({ port: at.port, host: '127.0.0.1' })
  let received = ''
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => {
    received += chunk
  })
  socket.on('error', () => {})
  socket.write(text)
  if (end) socket.end()
  await once(socket, 'close')
  return received
}

const closing = (head: string, body = '') => `${head}\r\nhost: x\r\nconnection: close\r\n${body}`
const statusOf = (answer: string) => Number(answer.split(' ')[1])
const bodyOf = (answer: string) => JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4))

describe('addresses', () => {
  it.each(['/', '/v1', '/v2/nothing', '/v1/kv/payload/x', '/v2/avatars/a/b/c/d', '/%00', '/favicon.ico'])(
    'has nothing at %s',
    async (path) => {
      const { status, body, headers } = await node.json(path)
      expect([status, Object.keys(body)]).toEqual([404, ['code', 'message']])
      expect(['not_found', 'unknown_avatar']).toContain(body.code)
      expect(headers.get('access-control-allow-origin')).toBe('*')
    },
  )

  it.each([
    ['DELETE', '/v1/kv', 'GET, HEAD, OPTIONS, POST'],
    ['PUT', '/v2/records', 'OPTIONS, POST'],
    ['GET', '/v2/records', 'OPTIONS, POST'],
    ['POST', '/v2/avatars', 'GET, HEAD, OPTIONS'],
    ['PATCH', `/v2/avatars/${newKey().avatar}`, 'GET, HEAD, OPTIONS'],
    ['POST', `/v2/avatars/${newKey().avatar}/twitter/a%2Fb`, 'GET, HEAD, OPTIONS'],
    ['HEAD', '/v2/events', 'GET, OPTIONS'],
    ['GET', '/v1/kv/payload', 'OPTIONS, POST'],
    ['DELETE', '/healthz?x=1', 'GET, HEAD, OPTIONS'],
  ])('does not take %s at %s', async (method, path, allow) => {
    const response = await node.fetch(path, { method })
    expect([response.status, response.headers.get('allow')]).toEqual([405, allow])
    if (method !== 'HEAD') expect(await response.json()).toMatchObject({ code: 'method_not_allowed' })
  })

  it('knows methods that it does not take', async () => {
    for (const method of ['PROPFIND', 'TRACE', 'QUERY', 'PURGE']) {
      const answer = await raw(closing(`${method} /v1/kv HTTP/1.1`, '\r\n'))
      expect([method, [400, 404, 405].includes(statusOf(answer))]).toEqual([method, true])
      expect(Object.keys(bodyOf(answer))).toEqual(['code', 'message'])
    }
  })

  it('refuses broken percent-encoding', async () => {
    for (const path of ['/v2/avatars/%zz', '/v2/avatars/%', '/%c3%28', '/v2/avatars/%ff/twitter/%c3%28']) {
      const answer = await raw(closing(`GET ${path} HTTP/1.1`, '\r\n'))
      expect([path, [400, 404].includes(statusOf(answer)), Object.keys(bodyOf(answer))]).toEqual([
        path,
        true,
        ['code', 'message'],
      ])
    }
  })

  it('refuses long addresses and identities', async () => {
    const key = newKey()
    const long = await node.json(`/v2/avatars/${key.avatar}/twitter/${'x'.repeat(2000)}`)
    expect([long.status, long.body.code]).toEqual([414, 'bad_request'])
    const tooLong = await node.json(`/v2/avatars/${key.avatar}/twitter/${'x'.repeat(300)}`)
    expect([tooLong.status, tooLong.body.code]).toEqual([400, 'invalid_request'])
    const header = await raw(closing(`GET /${'x'.repeat(20_000)} HTTP/1.1`, '\r\n'))
    expect([statusOf(header), bodyOf(header).code]).toEqual([431, 'headers_too_large'])
  })
})

describe('bytes that are no HTTP', () => {
  it.each([
    ['noise', 'what is this\r\n\r\n'],
    ['TLS', Buffer.from('160301020001000', 'hex')],
    ['two lengths', 'POST /v1/kv HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}'],
    [
      'a length and chunks',
      'POST /v1/kv HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['a bad chunk', 'POST /v1/kv HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n'],
  ])('gets an answer: %s', async (_what, bytes) => {
    const answer = await raw(bytes)
    expect(statusOf(answer)).toBe(400)
    expect(bodyOf(answer).code).toBe('bad_request')
  })
})

describe('bodies', () => {
  it.each([
    ['/v1/kv', 1024 * 1024],
    ['/v1/kv/payload', 1024 * 1024],
    ['/v2/records', 16 * 1024 * 1024],
  ])('of %s may have %d bytes', async (path, limit) => {
    const fits = await node.json(path, post(`"${'x'.repeat(limit - 2)}"`))
    expect([fits.status, fits.body.code]).toEqual([400, 'invalid_request'])
    const tooLarge = await node.json(path, post(`"${'x'.repeat(limit - 1)}"`))
    expect([tooLarge.status, tooLarge.body.code]).toEqual([413, 'body_too_large'])
    const chunks = new ReadableStream({
      start(controller) {
        for (let n = 0; n <= limit; n += 65_536) controller.enqueue(new Uint8Array(65_536).fill(32))
        controller.close()
      },
    })
    const init = { method: 'POST', body: chunks, duplex: 'half' } as RequestInit
    const chunked = await node.json(path, init)
    expect([chunked.status, chunked.body.code]).toEqual([413, 'body_too_large'])
  })

  it.each([
    'application/json',
    'text/plain',
    'application/octet-stream',
    'application/x-www-form-urlencoded',
    undefined,
  ])('are JSON, called %s', async (type) => {
    const key = newKey()
    const body = JSON.stringify({ avatar: key.avatar, platform: 'twitter', identity: 'x', patch: {} })
    const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type }
    const bytes = new TextEncoder().encode(body)
    const response = await node.fetch('/v1/kv/payload', { method: 'POST', headers, body: bytes })
    expect(response.status).toBe(200)
  })

  it('are UTF-8', async () => {
    const body = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])
    const { status, body: answer } = await node.json('/v2/records', { method: 'POST', body })
    expect([status, answer.code]).toEqual([400, 'invalid_json'])
  })

  it('of millions of values are not parsed', async () => {
    const flat = await node.json('/v2/records', post(`{"records":[${'{},'.repeat(5_000_000)}{}]}`))
    expect([flat.status, flat.body.code]).toEqual([400, 'body_too_complex'])
    const deep = await node.json('/v2/records', post('['.repeat(16_000_000)))
    expect([deep.status, deep.body.code]).toEqual([400, 'body_too_complex'])
  })

  it('may not fill the memory together', async () => {
    const own = await startHttpNode({
      limits: { bodyBytes: { total: 3 * MIB, perKey: 3 * MIB, reserve: 0, small: MIB } },
    })
    try {
      const held = connect({ port: own.port, host: '127.0.0.1' })
      held.on('error', () => {})
      held.write('POST /v2/records HTTP/1.1\r\nhost: x\r\ncontent-length: 4000000\r\n\r\n')
      held.write(Buffer.alloc(2_500_000, 32))
      const body = `"${'x'.repeat(1_000_000)}"`
      const answer = async () => await own.json('/v2/records', post(body))
      await until(async () => (await answer()).status === 503, 'the first body has arrived')
      const refused = await answer()
      expect([refused.status, refused.body.code]).toEqual([503, 'busy'])
      expect(refused.headers.get('retry-after')).toBe('1')
      held.destroy()
      await until(async () => (await answer()).status === 400, 'the first body is gone')
      for (let n = 0; n < 10; n++) expect((await own.json('/v2/records', post(body))).status).toBe(400)
    } finally {
      await own.close()
    }
  })

  it('that end early leave nothing behind', async () => {
    const before = node.store.lastSequence()
    await raw('POST /v2/records HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"records":[', { end: true })
    expect(node.store.lastSequence()).toBe(before)
    expect((await node.json('/healthz')).status).toBe(200)
  })

  it('are discarded where none belongs', async () => {
    const refused = await node.json('/nowhere', post('x'.repeat(3_000_000)))
    expect([refused.status, refused.body.code]).toEqual([404, 'not_found'])
    const answer = await node.json('/v2/avatars', { method: 'PUT', body: 'not JSON' })
    expect(answer.status).toBe(405)
  })
})

describe('slow and idle connections', () => {
  it('are closed', async () => {
    const limits = { headersTimeoutMs: 300, requestTimeoutMs: 600, idleTimeoutMs: 2000, keepAliveTimeoutMs: 200 }
    const own = await startHttpNode({ limits })
    try {
      const [headers, body] = await Promise.all([
        raw('GET /healthz HTTP/1.1\r\nhost: x\r\nx: ', { at: own }),
        raw('POST /v1/kv HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{', { at: own }),
        raw('', { at: own }),
        raw('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n', { at: own }),
      ])
      expect([statusOf(headers), bodyOf(headers).code]).toEqual([408, 'timeout'])
      expect([statusOf(body), bodyOf(body).code]).toEqual([408, 'timeout'])
    } finally {
      await own.close()
    }
  })

  it('have a bound in number', async () => {
    const own = await startHttpNode({ limits: { connections: { total: 3, perKey: 3, reserve: 0, small: 1 } } })
    try {
      const sockets = Array.from({ length: 6 }, () => connect({ port: own.port, host: '127.0.0.1' }))
      const closed = new Set<unknown>()
      for (const socket of sockets) socket.on('error', () => {}).on('close', () => closed.add(socket))
      await until(() => closed.size === 3, 'three are closed')
      for (const socket of sockets) socket.destroy()
      await until(async () => (await own.json('/healthz')).status === 200, 'there is room again')
    } finally {
      await own.close()
    }
  })

  it('do not hold up the stop of the server', async () => {
    const own = await startHttpNode({ limits: { stopGraceMs: 400 } })
    const socket = connect({ port: own.port, host: '127.0.0.1' })
    socket.on('error', () => {})
    socket.write('POST /v1/kv HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n{')
    await once(socket, 'data')
    const closed = once(socket, 'close')
    // It waits for the rest of that body as long as the grace lasts, and no longer.
    await own.close()
    await closed
    expect(socket.destroyed).toBe(true)
  })

  it('get their answers while the server stops, and are closed then', async () => {
    const own = await startHttpNode({ limits: { stopGraceMs: 60_000 } })
    const body = JSON.stringify({ records: [posted(signedPatch(newKey()))] })
    const socket = connect({ port: own.port, host: '127.0.0.1' })
    let received = ''
    socket.setEncoding('utf8').on('data', (chunk) => {
      received += String(chunk)
    })
    const closed = once(socket, 'close')
    const head = `POST /v2/records HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: ${body.length}`
    socket.write(`${head}\r\n\r\n${body.slice(0, 10)}`)
    await until(() => received.startsWith('HTTP/1.1 100 '), 'the request has arrived')
    received = ''
    const { port } = own
    const stopped = own.stopServer()
    await until(() => refusesConnections(port), 'the server takes no connections any more')
    socket.write(body.slice(10))
    await closed
    expect([statusOf(received), bodyOf(received).results[0].status]).toEqual([200, 'stored'])
    await stopped
    await own.close()
  })
})

async function refusesConnections(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' })
  try {
    await once(socket, 'connect')
    return false
  } catch {
    return true
  } finally {
    socket.destroy()
  }
}

describe('pages of other origins', () => {
  it('may read and write what is signed', async () => {
    for (const [path, method, headers] of [
      ['/v1/kv', 'POST', 'content-type'],
      ['/v2/records', 'POST', 'content-type'],
      [`/v2/avatars/${newKey().avatar}`, 'GET', 'if-none-match'],
    ] as const) {
      const response = await node.fetch(path, {
        method: 'OPTIONS',
        headers: {
          origin: 'https://app.example',
          'access-control-request-method': method,
          'access-control-request-headers': headers,
        },
      })
      expect(response.status).toBe(204)
      expect(response.headers.get('access-control-allow-origin')).toBe('*')
      expect(response.headers.get('access-control-allow-methods')).toContain(method)
      expect(response.headers.get('access-control-allow-headers')?.toLowerCase()).toContain(headers)
      expect(response.headers.get('access-control-allow-credentials')).toBeNull()
    }
    const plain = await node.fetch('/v1/kv', { method: 'OPTIONS' })
    expect(plain.status).toBe(204)
  })

  it('may read entity tags, and errors', async () => {
    const key = newKey()
    await postRecords(node, [signedPatch(key)])
    for (const path of [`/v2/avatars/${key.avatar}`, `/v2/avatars/${key.uncompressed}`, '/v1/kv', '/nowhere']) {
      const { headers } = await node.fetch(path, { headers: { origin: 'https://app.example' } })
      expect([path, headers.get('access-control-allow-origin')]).toEqual([path, '*'])
      expect(headers.get('access-control-expose-headers')).toContain('ETag')
    }
  })
})
