import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

import { afterEach, describe, expect, it } from 'vitest'

import { ListenError, listenOnAll } from '../../src/http/server/listening.ts'
import { startHttpNode } from './node.ts'
import type { HttpNode, NodeOptions } from './node.ts'

/** What `localhost` is on most machines, whatever this one says. */
const BOTH = async () => [{ address: '127.0.0.1' }, { address: '::1' }]

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

async function start(options: NodeOptions = {}): Promise<HttpNode> {
  const node = await startHttpNode({ host: 'localhost', lookup: BOTH, ...options })
  closing.push(() => node.close())
  return node
}

/** Holds a port on one address. */
async function hold(host: string): Promise<number> {
  const server = createServer().listen({ host, port: 0 })
  await once(server, 'listening')
  closing.push(() => server.close())
  return (server.address() as AddressInfo).port
}

async function open(host: string, port: number): Promise<Socket> {
  const socket = connect({ host, port })
  socket.on('error', () => {})
  await once(socket, 'connect')
  closing.push(() => socket.destroy())
  return socket
}

const isClosed = async (socket: Socket) => {
  if (!socket.closed) await once(socket.resume(), 'close')
  return true
}

describe('a host name of two addresses', () => {
  it('is listened on at both, on one port', async () => {
    const node = await start()
    const { port } = node
    expect(node.addresses()).toEqual([
      { host: '127.0.0.1', port },
      { host: '::1', port },
    ])
    for (const host of ['127.0.0.1', '[::1]']) expect((await fetch(`http://${host}:${port}/healthz`)).status).toBe(200)
  })

  it('is an error that names the address whose port is taken, and nothing stays open', async () => {
    const port = await hold('::1')
    const failed = await startHttpNode({ host: 'localhost', port, lookup: BOTH }).catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(ListenError)
    expect(failed).toMatchObject({ address: { host: '::1', port }, cause: { code: 'EADDRINUSE' } })
    const again = connect({ host: '127.0.0.1', port })
    expect(await once(again, 'error')).toMatchObject([{ code: 'ECONNREFUSED' }])
  })

  it('is an error that names the address that this machine lacks', async () => {
    const lookup = async () => [{ address: '127.0.0.1' }, { address: '2001:db8::1' }]
    const failed = await startHttpNode({ host: 'two.example', lookup }).catch((error: unknown) => error)
    expect(failed).toMatchObject({ address: { host: '2001:db8::1' }, cause: { code: 'EADDRNOTAVAIL' } })
  })

  it('is bounded as one: connections from one address take the place of those from the other', async () => {
    const limits = { connections: { total: 4, perKey: 3, reserve: 1, small: 1 } }
    const node = await start({ limits })
    for (let n = 0; n < 3; n++) await open('127.0.0.1', node.port)
    const further = await open('::1', node.port)
    further.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n')
    expect(String((await once(further, 'data'))[0])).toContain('200 OK')
    expect(await isClosed(await open('::1', node.port))).toBe(true)
    expect(await node.strangers()).toMatchObject({ too_many_connections: 1 })
  })

  it('cuts what is slow on both', async () => {
    const node = await start({ limits: { headersTimeoutMs: 100 } })
    for (const { host, port } of node.addresses()) {
      const socket = await open(host, port)
      socket.write('GET /healthz HTTP/1.1\r\n')
      expect(await isClosed(socket)).toBe(true)
    }
  })

  it('stops with connections open on both', async () => {
    const node = await start({ limits: { stopGraceMs: 100 } })
    const sockets = [await open('127.0.0.1', node.port), await open('::1', node.port)]
    for (const socket of sockets) {
      socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\nGET /healthz HTTP/1.1\r\n')
      await once(socket, 'data')
    }
    await node.stopServer()
    for (const socket of sockets) expect(await isClosed(socket)).toBe(true)
  })
})

it('takes another free port where the one it was given is taken on the second address', async () => {
  const server = createHttpServer()
  const other = createServer()
  // Before the second address is tried.
  server.once('listening', () => other.listen({ host: '::1', port: (server.address() as AddressInfo).port }))
  closing.push(() => other.close())
  const listening = await listenOnAll(server, { host: 'localhost', port: 0 }, BOTH)
  closing.push(() => listening.close())
  const [first, second] = listening.addresses
  expect(other.listening).toBe(true)
  expect(first?.port).toBe(second?.port)
  expect(first?.port).not.toBe((other.address() as AddressInfo).port)
})

it('`::` is one address that takes IPv4 too', async () => {
  const { port } = await start({ host: '::', lookup: async () => [{ address: '::' }] })
  expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200)
})
