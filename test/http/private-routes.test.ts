import { once } from 'node:events'
import { connect } from 'node:net'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { OPERATOR_TOKEN, startHttpNode } from './node.ts'
import type { HttpNode } from './node.ts'

let node: HttpNode
beforeAll(async () => {
  node = await startHttpNode()
})
afterAll(() => node.close())

interface Answer {
  readonly status: number
  readonly headers: string
  readonly body: string
}

/** Sends a request with an address exactly as it is written. */
async function ask(method: string, target: string, headers: Record<string, string> = {}): Promise<Answer> {
  const socket = connect({ port: node.port, host: '127.0.0.1' })
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk) => {
    text += String(chunk)
  })
  const lines = Object.entries({ host: '127.0.0.1', connection: 'close', ...headers }).map((line) => line.join(': '))
  socket.write(`${[`${method} ${target} HTTP/1.1`, ...lines].join('\r\n')}\r\n\r\n`)
  await once(socket, 'close')
  const end = text.indexOf('\r\n\r\n')
  return { status: Number(text.split(' ')[1]), headers: text.slice(0, end).toLowerCase(), body: text.slice(end + 4) }
}

const WRITTEN = [
  '/v2/operator/hosting',
  '/v2/operator/hosting?list=hosted',
  '/v2/%6fperator/hosting',
  '/v2/%6Fperator/hosting',
  '/v2/%6foperator/../operator/hosting',
  '/v2//operator/hosting',
  '//v2/operator/hosting',
  '/v2/./operator/hosting',
  '/v2/x/../operator/hosting',
  '/v2/%2e/operator/hosting',
  '/v2/%2E%2E/v2/operator/hosting',
  '/v2%2Foperator%2fhosting',
  '/v2/operator/hosting/',
  '/V2/Operator/Hosting',
  '/v2\\operator\\hosting',
  '/v2/%256fperator/hosting',
  'http://127.0.0.1/v2/operator/hosting',
]

describe('routes of the operator', () => {
  it.each(WRITTEN)('want the token and answer no preflight, written %s', async (target) => {
    const plain = await ask('GET', target)
    expect(plain.status).toBe(401)
    expect(plain.headers).not.toContain('access-control-allow-origin')
    const preflight = await ask('OPTIONS', target, {
      origin: 'https://page.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization',
    })
    expect(preflight.status).toBe(405)
    expect(preflight.headers).not.toContain('access-control-allow-origin')
  })

  it.each([
    ['Bearer', ' '],
    ['bearer', ' '],
    ['BEARER', '  '],
  ])('take %s as the scheme (RFC 7235: in any case)', async (scheme, space) => {
    const { status } = await ask('GET', '/v2/operator/hosting', { authorization: `${scheme}${space}${OPERATOR_TOKEN}` })
    expect(status).toBe(200)
  })

  it.each([
    ['nothing', undefined],
    ['another token', `Bearer ${'cd'.repeat(32)}`],
    ['the token and more', `Bearer ${OPERATOR_TOKEN}x`],
    ['another scheme', `Basic ${OPERATOR_TOKEN}`],
    ['the token alone', OPERATOR_TOKEN],
    ['two tokens', `Bearer ${OPERATOR_TOKEN}, Bearer ${OPERATOR_TOKEN}`],
  ])('refuse %s', async (_what, authorization) => {
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization }
    expect((await ask('GET', '/v2/operator/hosting', headers)).status).toBe(401)
  })
})

describe.each(['/v2/peers', '/metrics'])('%s', (path) => {
  it('is not readable by pages of other origins', async () => {
    for (const target of [path, `${path}?x=1`, path.replace('e', '%65')]) {
      const { headers, status } = await ask('GET', target, { origin: 'https://page.example' })
      expect([target, status]).toEqual([target, 200])
      expect(headers).not.toContain('access-control-allow-origin')
      expect(headers).toContain('cross-origin-resource-policy: same-origin')
    }
    const asked = { origin: 'https://page.example', 'access-control-request-method': 'GET' }
    expect((await ask('OPTIONS', path, asked)).status).toBe(405)
  })

  it.each(['127.0.0.1:4381', 'localhost:4381', '[::1]:4381', 'avatar-kv:4381', 'node.local', '192.0.2.7'])(
    'is shown under %s',
    async (host) => {
      expect((await ask('GET', path, { host })).status).toBe(200)
    },
  )

  it('is not shown to a browser on this machine under the name of a foreign page (DNS rebinding)', async () => {
    expect((await ask('GET', path, { host: 'rebound.example.com:4381' })).status).toBe(403)
    const proxied = { host: 'kv.example.com', 'x-forwarded-for': '192.0.2.1' }
    expect((await ask('GET', path, proxied)).status).toBe(200)
  })

  it('is not shown to such a page that sends the headers of a proxy', async () => {
    const host = `rebound.example.com:${node.port}`
    for (const headers of [{ 'x-forwarded-for': '192.0.2.1' }, { forwarded: 'for=192.0.2.1' }]) {
      expect((await ask('GET', path, { host, ...headers })).status).toBe(403)
    }
  })

  it('tells a program on this machine, which uses a public name, what to use instead', async () => {
    const { status, body } = await ask('GET', path, { host: `kv.example.com:${node.port}` })
    const { code, message } = JSON.parse(body) as { code: string; message: string }
    expect([status, code]).toEqual([403, 'wrong_host'])
    expect(message).toContain(`http://127.0.0.1:${node.port}${path}`)
    expect(message).toContain('X-Forwarded-For')
  })
})

it('every answer forbids guessing its type', async () => {
  const targets = [
    '/',
    '/healthz',
    '/nothing',
    '/v2/avatars',
    '/metrics',
    '/docs',
    '/v2/events',
    '/v2/archives',
    '/%zz',
  ]
  for (const target of [...targets, `/v2/avatars/0x02${'1'.repeat(64)}`, '/v2/operator/hosting']) {
    const controller = new AbortController()
    const { headers, status } = await node.fetch(target, { signal: controller.signal })
    expect([target, status, headers.get('x-content-type-options')]).toEqual([target, status, 'nosniff'])
    controller.abort()
  }
  const operator = { authorization: `bearer ${OPERATOR_TOKEN}` }
  expect((await ask('GET', '/v2/operator/backup', operator)).headers).toContain('nosniff')
  expect((await ask('BAD', '/')).headers).toContain('nosniff')
})
