import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'

import { afterEach, describe, expect, it } from 'vitest'

import { readEvents } from './event-reader.ts'
import type { EventReader } from './event-reader.ts'
import { startHttpNode } from './node.ts'
import type { HttpNode } from './node.ts'
import { newKey, posted, signedPatch } from './writer.ts'
import { until } from '../support/until.ts'

const sockets: Socket[] = []
const readers: EventReader[] = []
let node: HttpNode | undefined
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const reader of readers.splice(0)) reader.close()
  await node?.close()
  node = undefined
})

/** A connection from an address of this machine: on Linux all of 127.0.0.0/8 is. */
async function open(at: HttpNode, localAddress: string, text = ''): Promise<Socket> {
  const socket = connect({ port: at.port, host: '127.0.0.1', localAddress })
  // Read to the end, so that it closes when the node closes it.
  socket.on('error', () => {}).resume()
  sockets.push(socket)
  await Promise.race([once(socket, 'connect'), once(socket, 'close')])
  if (text !== '') socket.write(text)
  return socket
}

/** Asks over a connection of its own; the status, or 0 if the connection was closed. */
async function statusFrom(at: HttpNode, localAddress: string, head = 'GET /healthz HTTP/1.1'): Promise<number> {
  const socket = await open(at, localAddress, `${head}\r\nhost: x\r\nconnection: close\r\n\r\n`)
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk) => {
    text += String(chunk)
  })
  if (!socket.closed) await once(socket, 'close')
  return Number(text.split(' ')[1] ?? 0)
}

/** A request whose body never ends; resolves once the node has taken it. */
async function endless(at: HttpNode, path: string, client: string): Promise<Socket> {
  const socket = await open(at, '127.0.0.1')
  const taken = once(socket, 'data')
  socket.write(
    `POST ${path} HTTP/1.1\r\nhost: x\r\nx-forwarded-for: ${client}\r\nexpect: 100-continue\r\ncontent-length: 99\r\n\r\n{`,
  )
  expect(String((await taken)[0])).toMatch(/^HTTP\/1.1 100 /)
  return socket
}

const write = () => JSON.stringify({ records: [posted(signedPatch(newKey()))] })

function writeFrom(at: HttpNode, client: string) {
  return at.json('/v2/records', { method: 'POST', headers: { 'x-forwarded-for': client }, body: write() })
}

describe('one host leaves room for others:', () => {
  it('17 bodies of 16 MiB less a byte that never end', async () => {
    const own = (node = await startHttpNode({ trustedProxies: ['127.0.0.1'] }))
    const body = Buffer.alloc(16 * 1024 * 1024 - 1, 32)
    const greedy = Array.from({ length: 17 }, async () => {
      const head = `POST /v2/records HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length + 1}\r\n\r\n`
      const socket = await open(own, '127.0.0.2', head)
      let answer = ''
      socket.setEncoding('latin1').on('data', (chunk) => {
        answer += String(chunk)
      })
      await new Promise((resolve) => socket.write(body, resolve))
      return () => Number(answer.split(' ')[1] ?? 0)
    })
    const answers = await Promise.all(greedy)
    const refused = () => answers.filter((status) => status() === 429).length
    // Four fit into the share of one address.
    await until(() => refused() === 13, 'the others are refused')
    expect((await writeFrom(own, '192.0.2.1')).body.results[0].status).toBe('stored')
    expect((await own.json('/v2/records', { method: 'POST', body: write() })).body.results[0].status).toBe('stored')
  })

  it('bodies of many hosts, which are refused for a host that sends less', async () => {
    const limits = { bodyBytes: { total: 1_000_000, perKey: 400_000, reserve: 0, small: 1_000 } }
    const own = (node = await startHttpNode({ limits }))
    for (const client of ['192.0.2.1', '192.0.2.2', '192.0.2.3']) {
      for (let n = 0; n < 3; n++) {
        const head = `POST /v2/records HTTP/1.1\r\nhost: x\r\nx-forwarded-for: ${client}\r\ncontent-length: 999999\r\n\r\n`
        const socket = await open(own, '127.0.0.1', head)
        socket.write(Buffer.alloc(120_000, 32))
      }
    }
    await until(async () => ((await own.strangers())['busy'] ?? 0) > 0, 'there is no room for all of them')
    for (let n = 0; n < 20; n++) {
      expect((await writeFrom(own, `198.51.100.${n}`)).body.results[0].status).toBe('stored')
    }
  })

  it('idle and silent connections from one address, and from many', async () => {
    const limits = { connections: { total: 60, perKey: 20, reserve: 6, small: 1, replacesIdle: true } }
    const own = (node = await startHttpNode({ limits, trustedProxies: ['none'] }))
    for (let n = 0; n < 80; n++) {
      // Silent, within headers, and idle after an answer.
      const text = ['', 'GET / HTTP/1.1\r\nx: ', 'GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n'][n % 3]
      await open(own, `127.0.0.${2 + (n % 4)}`, text)
    }
    const count = () => sockets.filter(({ closed }) => !closed).length
    await until(() => count() <= 60, 'the others are closed')
    for (let n = 0; n < 30; n++) expect(await statusFrom(own, `127.0.1.${n}`)).toBe(200)
    expect(await statusFrom(own, '127.0.0.2')).toBe(200)
  })

  it('event streams behind a reverse proxy', async () => {
    const own = (node = await startHttpNode({ limits: { streams: { total: 12, perKey: 8, reserve: 2, small: 1 } } }))
    const listen = async (client: string) => {
      const reader = await readEvents(own.url('/v2/events'), { 'x-forwarded-for': client })
      readers.push(reader)
      return reader.response.statusCode
    }
    const greedy = []
    for (let n = 0; n < 10; n++) greedy.push(await listen('192.0.2.1'))
    expect(greedy).toEqual([...Array<number>(8).fill(200), 429, 429])
    for (let n = 0; n < 4; n++) expect(await listen(`198.51.100.${n}`)).toBe(200)
    // All places are taken: the host with most of them gives one up.
    expect(await listen('198.51.100.9')).toBe(200)
    await Promise.race(readers.slice(0, 8).map(({ ended }) => ended))
    expect((await own.json('/v2/status')).body.subscribers).toBe(12)
  })

  it('event streams of addresses in one IPv6 network', async () => {
    const own = (node = await startHttpNode({ limits: { streams: { total: 9, perKey: 2, reserve: 1, small: 1 } } }))
    const statuses = []
    for (const client of ['2001:db8::1', '2001:db8::2', '2001:db8:0:0:5::1', '2001:db8:0:1::1']) {
      const reader = await readEvents(own.url('/v2/events'), { 'x-forwarded-for': client })
      readers.push(reader)
      statuses.push(reader.response.statusCode)
    }
    expect(statuses).toEqual([200, 200, 429, 200])
  })

  it('requests behind a reverse proxy that never end', async () => {
    const own = (node = await startHttpNode({ limits: { requests: { total: 10, perKey: 6, reserve: 2, small: 1 } } }))
    const waiting = (client: string) => endless(own, '/v2/records', client)
    const greedy = []
    for (let n = 0; n < 6; n++) greedy.push(await waiting('192.0.2.1'))
    expect((await writeFrom(own, '192.0.2.1')).status).toBe(429)
    for (let n = 0; n < 4; n++) await waiting('192.0.2.2')
    expect((await writeFrom(own, '192.0.2.3')).body.results[0].status).toBe('stored')
    for (const socket of greedy) socket.destroy()
    await until(async () => (await writeFrom(own, '192.0.2.1')).status === 200, 'the address has its share again')
  })

  it('archives that do not move, of as many hosts as there are places', async () => {
    const own = (node = await startHttpNode({ limits: { imports: { total: 3, perKey: 2, reserve: 0, small: 1 } } }))
    const importFrom = (client: string) => endless(own, '/v2/archives', client)
    const first = await importFrom('192.0.2.1')
    for (const client of ['192.0.2.1', '192.0.2.2']) await importFrom(client)
    const closed = once(first, 'close')
    await importFrom('192.0.2.3')
    await closed
    expect(sockets.filter((socket) => !socket.closed)).toHaveLength(3)
  })
})
