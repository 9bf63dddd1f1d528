import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, describe, expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'

import { defaultNetworkLimits } from '../../src/network/limits.ts'
import { SOCKET_OPTIONS, webSocketConnection } from '../../src/network/websocket-connection.ts'
import { createLibp2pLogger } from '../../src/observe/libp2p-logger.ts'
import { createMetrics } from '../../src/observe/metrics.ts'
import { until } from '../support/until.ts'
import { addressOf, meshed, record, recordingLogger, silent, startNode, stopAll, stopLater } from './nodes.ts'
import type { TestNode, TestNodeOptions } from './nodes.ts'

const LISTEN = ['/ip4/127.0.0.1/tcp/0/ws']

afterEach(stopAll)

const portOf = (node: TestNode): number => Number(/tcp\/(\d+)\/ws/.exec(addressOf(node))?.[1])
const open = (options: TestNodeOptions = {}): Promise<TestNode> => startNode({ listen: LISTEN, ...options })
/** The addresses, without ports, at which a node sees its peers. */
const seenBy = (node: TestNode): string[] =>
  node.network.peers().flatMap(({ addresses }) => addresses.map((text) => text.replace(/\/tcp\/\d+|\/p2p\/.*/g, '')))

/** A reverse proxy that says who its clients are: with the given headers. */
async function startProxy(node: TestNode, headers: Readonly<Record<string, string>>): Promise<string> {
  const server = createServer()
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket))
  server.on('upgrade', (incoming: IncomingMessage, socket: Socket, head: Buffer) => {
    const behind = connect(portOf(node), '127.0.0.1')
    const lines = Object.entries({ ...incoming.headers, ...headers }).map(
      ([name, value]) => `${name}: ${String(value)}`,
    )
    behind.write(`GET ${incoming.url ?? '/'} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
    behind.write(head)
    behind.on('error', () => socket.destroy()).on('close', () => socket.destroy())
    socket.on('error', () => behind.destroy()).on('close', () => behind.destroy())
    socket.pipe(behind).pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  stopLater({
    async stop() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  })
  return `/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}/ws`
}

describe('peers', () => {
  test('gossip over WebSockets in both directions, also with messages larger than a frame', async () => {
    const a = await open()
    expect(addressOf(a)).toMatch(/^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/ws\/p2p\/12D3/)
    const b = await startNode({ listen: [], peers: [addressOf(a)] })
    await meshed(a, b)
    const large = `stored:${'x'.repeat(200_000)}`
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const texts = Array.from({ length: 20 }, (_, at) => `${large}${from === a ? 'a' : 'b'}${at}`)
      for (const text of texts) from.network.publish([record(text)])
      await until(() => texts.every((text) => to.ingest.payloads.includes(text)), 'all have arrived')
    }
  })

  test('a node listens on TCP and WebSockets at once, and each peer uses the one that it dials', async () => {
    const a = await startNode({ listen: ['/ip4/127.0.0.1/tcp/0', ...LISTEN] })
    const [first = '', second = ''] = a.network.addresses()
    await startNode({ listen: [], peers: [first] })
    await startNode({ listen: [], peers: [second] })
    await until(() => seenBy(a).length === 2, 'both are connected')
    expect(
      seenBy(a)
        .map((text) => text.includes('/ws'))
        .sort(),
    ).toEqual([false, true])
  })

  test('a port that is taken is a clear error', async () => {
    const taken = addressOf(await open()).replace(/\/p2p\/.*$/, '')
    await expect(open({ listen: [taken] })).rejects.toMatchObject({
      code: 'listen_failed',
      message: `Cannot listen for peers on ${taken}: the port is already in use. Stop the program that uses it, or choose another port with --listen.`,
    })
  })
})

describe('behind a proxy', () => {
  test.each([
    ['the client that the proxy names', { 'x-forwarded-for': '9.9.9.9' }, ['loopback'], '/ip4/9.9.9.9/ws'],
    ['its IPv6 address', { 'x-forwarded-for': '2a00:1::7' }, ['loopback'], '/ip6/2a00:1::7/ws'],
    ['in Forwarded', { forwarded: 'for=9.9.9.9;proto=https' }, ['loopback'], '/ip4/9.9.9.9/ws'],
    ['nobody, if it names none', {}, ['loopback'], '/ip4/0.0.0.0/ws'],
    [
      'nobody, if two headers contradict',
      { 'x-forwarded-for': '9.9.9.9', forwarded: 'for=9.9.9.8' },
      ['loopback'],
      '/ip4/0.0.0.0/ws',
    ],
    ['nobody, if the proxy is not trusted', { 'x-forwarded-for': '9.9.9.9' }, ['none'], '/ip4/0.0.0.0/ws'],
    ['never this machine', { 'x-forwarded-for': '127.0.0.5' }, ['127.0.0.1'], '/ip4/0.0.0.0/ws'],
  ])('a peer is %s', async (_, headers, trustedProxies, seen) => {
    const a = await open({ trustedProxies })
    const proxy = await startProxy(a, headers)
    const b = await startNode({ listen: [], peers: [`${proxy}/p2p/${a.network.peerId}`] })
    await meshed(a, b)
    expect(seenBy(a)).toEqual([seen])
  })

  test('a client with all of its places keeps no other client out', async () => {
    const strangers = { total: 4, perKey: 2, reserve: 1, small: 1 }
    const a = await open({ limits: { places: { ...defaultNetworkLimits.places, strangers } } })
    const many = await startProxy(a, { 'x-forwarded-for': '9.9.9.9' })
    for (let count = 0; count < 4; count += 1) await startNode({ listen: [], peers: [many] })
    await until(() => seenBy(a).length === strangers.perKey, 'the host has its places')
    const b = await startNode({ listen: [], peers: [await startProxy(a, { 'x-forwarded-for': '8.8.8.8' })] })
    await meshed(a, b)
    expect(seenBy(a).filter((text) => text.includes('9.9.9.9')).length).toBeLessThanOrEqual(strangers.perKey)
  })

  test('the operator hears once that a proxy does not name its clients', async () => {
    const { logger, lines } = recordingLogger('warn')
    const a = await open({ logger })
    const proxy = await startProxy(a, {})
    const others = [await startNode({ listen: [], peers: [proxy] }), await startNode({ listen: [], peers: [proxy] })]
    for (const each of others) await meshed(a, each)
    const said = lines.filter(({ msg }) => String(msg).includes('X-Forwarded-For'))
    expect(said).toMatchObject([{ proxy: '127.0.0.1' }])
  })
})

describe('strangers', () => {
  const dial = (node: TestNode, headers: Readonly<Record<string, string>> = {}): WebSocket =>
    new WebSocket(`ws://127.0.0.1:${portOf(node)}/`, { headers })

  test('connections that ask for nothing are closed, and do not keep a peer out', async () => {
    const a = await open()
    const closed: Promise<unknown>[] = []
    for (let count = 0; count < 400; count += 1) {
      const socket = connect(portOf(a), '127.0.0.1')
        .on('error', () => {})
        .resume()
      closed.push(new Promise((resolve) => socket.on('close', resolve)))
    }
    const b = await startNode({ listen: [], peers: [addressOf(a)] })
    await meshed(a, b)
    await Promise.all(closed)
    expect(a.network.peers()).toHaveLength(1)
  })

  test('a WebSocket that says nothing is closed', async () => {
    const socket = dial(await open())
    await once(socket, 'open')
    await once(socket, 'close')
    expect(socket.readyState).toBe(WebSocket.CLOSED)
  })

  test('a message above the bound, and text, end the connection', async () => {
    const a = await open()
    for (const data of [Buffer.alloc(262_145), 'hello']) {
      const socket = dial(a)
      await once(socket, 'open')
      socket.send(data)
      await once(socket, 'close')
    }
    const b = await startNode({ listen: [], peers: [addressOf(a)] })
    await meshed(a, b)
  })

  test('nothing is compressed, though a client offers it', async () => {
    const socket = dial(await open())
    await once(socket, 'open')
    expect(socket.extensions).toBe('')
    socket.terminate()
  })

  test('a page in a browser is refused: it could use the address of this machine', async () => {
    const socket = dial(await open(), { origin: 'http://evil.example' })
    const [error] = (await once(socket, 'error')) as [Error]
    expect(error.message).toContain('403')
  })

  test('a request that is no WebSocket is told so', async () => {
    const a = await open()
    const [response] = (await once(request({ port: portOf(a), host: '127.0.0.1' }).end(), 'response')) as [
      IncomingMessage,
    ]
    expect(response.statusCode).toBe(426)
    let text = ''
    for await (const piece of response.setEncoding('utf8')) text += String(piece)
    expect(text).toContain('WebSockets')
  })

  test('pings are answered', async () => {
    const socket = dial(await open())
    await once(socket, 'open')
    socket.ping('hello')
    expect(String(((await once(socket, 'pong')) as [Buffer])[0])).toBe('hello')
    socket.terminate()
  })

  test('answers to pings do not pile up for a peer that reads none', async () => {
    const server = new WebSocketServer({ ...SOCKET_OPTIONS, port: 0, host: '127.0.0.1' })
    await once(server, 'listening')
    const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    const [asked] = (await once(server, 'connection')) as [WebSocket]
    const log = createLibp2pLogger(silent, createMetrics()).forComponent('test')
    webSocketConnection(asked, { remoteAddr: multiaddr('/ip4/9.9.9.9/tcp/1/ws'), direction: 'inbound', log })
    await until(() => client.readyState === WebSocket.OPEN, 'it is open')
    let pinged = 0
    asked.on('ping', () => (pinged += 1))
    // The system stores some megabytes for a reader that is slow.
    client.pause()
    const sent = 200_000
    for (let count = 1; count <= sent; count += 1) {
      client.ping(Buffer.alloc(125))
      if (count % 10_000 === 0) await until(() => pinged === count, 'the pings have arrived')
    }
    expect(asked.bufferedAmount).toBeLessThan(1_048_576)
    client.terminate()
    server.close()
  })
})
