import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'

import { pino } from 'pino'
import { afterEach, describe, expect, it } from 'vitest'

import { startHttpNode } from './node.ts'
import type { HttpNode, NodeOptions } from './node.ts'
import { newKey, postRecords, signedPatch } from './writer.ts'
import { sleep, until } from '../support/until.ts'

let node: HttpNode | undefined
afterEach(async () => {
  await node?.close()
  node = undefined
})

async function start(options: NodeOptions = {}) {
  const lines: { level: number; msg: string }[] = []
  const logger = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  const started = await startHttpNode({ ...options, logger })
  node = started
  /** Lines that an operator would see. */
  const shown = () => lines.filter(({ level }) => level >= 30)
  return { node: started, lines, shown }
}

async function open(at: HttpNode, text: string | Uint8Array): Promise<Socket> {
  const socket = connect({ port: at.port, host: '127.0.0.1' })
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(text)
  return socket
}

/** Waits until the counters add up to what is expected at least; returns what they come to. */
async function untilCounted(at: HttpNode, expected: number, kinds: readonly string[]): Promise<number> {
  const sum = async () => {
    const counts = await at.strangers()
    return kinds.reduce((total, kind) => total + (counts[kind] ?? 0), 0)
  }
  await until(async () => (await sum()) >= expected, `${expected} are counted`)
  return await sum()
}

const head = (line: string, length: number) => `${line} HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n\r\n`

describe('what strangers break off or get wrong is counted, and is no line for the operator', () => {
  it('400 bodies', async () => {
    const { node, shown } = await start()
    for (const path of ['/v2/records', '/v1/kv', '/v1/kv/payload', '/v2/records']) {
      for (let n = 0; n < 100; n++) {
        const socket = await open(node, head(`POST ${path}`, 1000) + '{"records":[')
        if (n % 2 === 0) socket.resetAndDestroy()
        else socket.end()
      }
    }
    expect(await untilCounted(node, 400, ['broken_off', 'bad_request'])).toBe(400)
    expect(shown()).toEqual([])
  })

  it('archives, in both directions, and streams of events', async () => {
    const { node, shown } = await start({ limits: { imports: { total: 100, perKey: 100, reserve: 0, small: 1 } } })
    await postRecords(node, [signedPatch(newKey(), { patch: { text: 'x'.repeat(100_000) } })])
    for (let n = 0; n < 20; n++) {
      const sockets = await Promise.all([
        open(node, head('POST /v2/archives', 1000) + '{"archive":'),
        open(node, 'GET /v2/archives HTTP/1.1\r\nhost: x\r\n\r\n'),
        open(node, 'GET /v2/archives?gzip=true HTTP/1.1\r\nhost: x\r\n\r\n'),
        open(node, 'GET /v2/events HTTP/1.1\r\nhost: x\r\n\r\n'),
      ])
      await sleep(10)
      for (const socket of sockets) socket.resetAndDestroy()
    }
    await untilCounted(node, 20, ['broken_off'])
    await until(async () => (await node.json('/v2/status')).body.subscribers === 0, 'no stream is left')
    expect(shown()).toEqual([])
  })

  it.each([
    ['bytes that are no HTTP', 'what is this\r\n\r\n', ['bad_request']],
    ['the beginning of TLS', Buffer.from('160301020001000', 'hex'), ['bad_request']],
    ['a header without a colon', 'GET / HTTP/1.1\r\nhost: x\r\nnothing\r\n\r\n', ['bad_request']],
    ['a wrong content-length', 'POST /v1/kv HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n', ['bad_request']],
    ['a broken escape', 'GET /v2/avatars/%zz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n', ['bad_request']],
    ['headers of 20 KiB', `GET / HTTP/1.1\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`, ['headers_too_large']],
    ['a wrong token', 'GET /v2/operator/hosting HTTP/1.1\r\nhost: x\r\n\r\n', ['operator_only']],
  ] as const)('%s', async (_what, bytes, kinds) => {
    const { node, shown } = await start()
    for (let n = 0; n < 30; n++) {
      const socket = await open(node, bytes)
      await Promise.race([once(socket, 'data'), once(socket, 'close')])
      socket.destroy()
    }
    await untilCounted(node, 30, kinds)
    expect(shown()).toEqual([])
    expect((await node.json('/healthz')).status).toBe(200)
  })

  it('headers and bodies that never come', async () => {
    const { node, shown } = await start({ limits: { headersTimeoutMs: 200, requestTimeoutMs: 400 } })
    const sockets = await Promise.all([
      ...Array.from({ length: 5 }, () => open(node, 'GET / HTTP/1.1\r\nx: ')),
      ...Array.from({ length: 5 }, () => open(node, head('POST /v2/records', 10) + '{')),
    ])
    await untilCounted(node, 10, ['timeout'])
    for (const socket of sockets) socket.destroy()
    expect(shown()).toEqual([])
  })
})

it('a fault of the node is a line for the operator, with the client that met it', async () => {
  const { node, lines } = await start()
  const { store } = node
  Object.assign(store, { summary: () => Promise.reject(new Error('the disk is gone')) })
  const forwarded = { 'x-forwarded-for': '192.0.2.9' }
  const answer = await node.json('/v1/kv/payload', {
    method: 'POST',
    headers: forwarded,
    body: JSON.stringify({ avatar: newKey().avatar, platform: 'a', identity: 'b', patch: {} }),
  })
  expect(answer.status).toBe(500)
  expect(lines.filter(({ level }) => level >= 50)).toMatchObject([{ msg: 'request failed', address: '192.0.2.9' }])
})
