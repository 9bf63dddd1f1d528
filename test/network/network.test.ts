import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, describe, expect, test } from 'vitest'

import { createNetwork } from '../../src/network/network.ts'
import { createMetrics } from '../../src/observe/metrics.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { until } from '../support/until.ts'
import { addressOf, meshed, record, silent, startNode, stopAll, stopNode, testIngest } from './nodes.ts'
import { createPeer } from './peer.ts'

afterEach(stopAll)

async function create(options: { network?: string; listen?: string[]; peers?: string[]; announce?: string[] }) {
  const privateKey = await generateKeyPair('Ed25519')
  const components = {
    ingest: testIngest(),
    environment: systemEnvironment(),
    logger: silent,
    metrics: createMetrics(),
    privateKey,
  }
  return createNetwork(components, { network: 'test', listen: [], peers: [], ...options })
}

describe('start', () => {
  test('addresses name the port and the peer id, once started', async () => {
    const network = await create({ listen: ['/ip4/127.0.0.1/tcp/0'] })
    expect(network.addresses()).toEqual([])
    expect(network.peers()).toEqual([])
    network.publish([record('stored:too early')])
    await network.start()
    expect(network.addresses()).toEqual([
      expect.stringMatching(new RegExp(`^/ip4/127\\.0\\.0\\.1/tcp/[1-9]\\d+/p2p/${network.peerId}$`)),
    ])
    await network.stop()
    expect(network.addresses()).toEqual([])
  })

  test('announced addresses are told besides those that the node listens on, to peers as well', async () => {
    const privateKey = await generateKeyPair('Ed25519')
    const id = peerIdFromPrivateKey(privateKey).toString()
    const told = ['/dns/node.example.org/tcp/443/tls/ws', `/ip4/9.9.9.9/tcp/14382/p2p/${id}`]
    const node = await startNode({ privateKey, announce: told })
    const announced = [`/dns/node.example.org/tcp/443/tls/ws/p2p/${id}`, `/ip4/9.9.9.9/tcp/14382/p2p/${id}`]
    expect(node.network.addresses()).toEqual([...announced, expect.stringContaining('/ip4/127.0.0.1/tcp/')])
    const peer = await createPeer({ from: '127.0.0.1' })
    const connection = await peer.dial(multiaddr(node.network.addresses().at(-1) ?? ''))
    const { listenAddrs } = await peer.services.identify.identify(connection)
    expect(listenAddrs.map(String).map((text) => `${text.replace(/\/p2p\/.*/, '')}/p2p/${id}`)).toEqual(announced)
  })

  test('a port that is taken is a clear error, and nothing stays open', async () => {
    const first = await startNode()
    const taken = addressOf(first).replace(/\/p2p\/.*$/, '')
    const other = await startNode()
    const free = addressOf(other).replace(/\/p2p\/.*$/, '')
    await stopNode(other)
    const second = await create({ listen: [free, taken] })
    await expect(second.start()).rejects.toMatchObject({
      name: 'NetworkError',
      code: 'listen_failed',
      message: `Cannot listen for peers on ${taken}: the port is already in use. Stop the program that uses it, or choose another port with --listen.`,
    })
    expect(second.addresses()).toEqual([])
    await second.stop()
    await expect(startNode({ listen: [free] })).resolves.toBeDefined()
  })

  test('an IPv6 address that this machine lacks is an error, though IPv4 works', async () => {
    const absent = '/ip6/2001:db8::1/tcp/4382'
    const network = await create({ listen: ['/ip4/127.0.0.1/tcp/0', absent] })
    await expect(network.start()).rejects.toMatchObject({
      code: 'listen_failed',
      message: `Cannot listen for peers on ${absent}: this machine has no such address. Choose one that it has with --listen.`,
    })
  })

  test('an IPv6 port that is taken is an error, though IPv4 works', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '::1', resolve))
    const taken = `/ip6/::1/tcp/${(other.address() as AddressInfo).port}`
    const network = await create({ listen: ['/ip4/127.0.0.1/tcp/0', taken] })
    await expect(network.start()).rejects.toMatchObject({
      message: expect.stringContaining(`${taken}: the port is already in use`),
    })
    await new Promise((resolve) => other.close(resolve))
  })

  test('one port serves IPv4 and IPv6, and an address given twice is listened on once', async () => {
    const first = await startNode({ listen: ['/ip4/0.0.0.0/tcp/0'] })
    const port = /tcp\/(\d+)/.exec(addressOf(first))?.[1] ?? ''
    await stopNode(first)
    const both = [`/ip4/0.0.0.0/tcp/${port}`, `/ip6/::/tcp/${port}`]
    const { network } = await startNode({ listen: [...both, ...both] })
    expect(network.addresses()).toContainEqual(expect.stringContaining(`/ip4/127.0.0.1/tcp/${port}/`))
    expect(network.addresses()).toContainEqual(expect.stringContaining(`/ip6/::1/tcp/${port}/`))
  })

  test.each([
    { peers: ['127.0.0.1:7701'] },
    { peers: ['/ip4/127.0.0.1'] },
    { peers: ['/ip4/127.0.0.1/udp/7701/quic-v1'] },
    { peers: ['/ip4/127.0.0.1/tcp/7701/p2p/nobody'] },
    { peers: ['/ip4/127.0.0.1/tcp/7701/ws/p2p/nobody'] },
    { peers: ['/ip4/127.0.0.1/tcp/7701/tls'] },
    { peers: ['/ip4/127.0.0.1/tcp/7701/ws/tls'] },
    { peers: ['/ip4/127.0.0.1/tcp/0/ws'] },
    { peers: ['/ip4/300.0.0.1/tcp/7701'] },
    { peers: [''] },
    { peers: ['/ip4/127.0.0.1/tcp/0'] },
    { listen: ['/dns4/localhost/tcp/7701'] },
    { listen: ['/ip4/127.0.0.1/tcp/7701/ws/ws'] },
    { listen: ['/ip4/127.0.0.1/tcp/7701/wss'] },
    { announce: ['/ip4/0.0.0.0/tcp/7701'] },
    { announce: ['/dns4/node.example.org/tcp/7701/p2p/12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X'] },
    { listen: ['0.0.0.0:7701'] },
  ])('$peers $listen is refused with an example', async (options) => {
    await expect(create(options)).rejects.toMatchObject({
      code: 'invalid_address',
      message: expect.stringContaining('/tcp/7701'),
    })
  })

  test.each(['', 'Main', 'a/b', 'x'.repeat(33)])('the network name %j is refused', async (network) => {
    await expect(create({ network })).rejects.toMatchObject({ code: 'invalid_network' })
  })
})

describe('stop', () => {
  test('waits for no dial under way, sends what is queued, and frees the port', async () => {
    const a = await startNode()
    // It takes connections and says nothing. Who dials it would wait 5 s for its handshake.
    const dialled: Socket[] = []
    const silent = createServer((socket) => void dialled.push(socket.on('error', () => {}).resume()))
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const { port } = silent.address() as AddressInfo
    const b = await startNode({ peers: [addressOf(a), `/ip4/127.0.0.1/tcp/${port}`] })
    await meshed(a, b)
    await until(() => dialled.some(({ closed }) => !closed), 'a dial is under way')
    b.network.publish([record('stored:last words')])
    const listened = addressOf(b)
    await stopNode(b)
    await until(() => dialled.every(({ closed }) => closed), 'the dial is broken off')
    silent.close()
    await until(() => a.ingest.payloads.includes('stored:last words'), 'the last record has arrived')
    await until(() => a.network.peers().length === 0, 'the connection is closed')
    await startNode({ listen: [listened.replace(/\/p2p\/.*$/, '')] })
    b.network.publish([record('stored:too late')])
    await b.network.stop()
  })
})

describe('strangers', () => {
  const sockets: Socket[] = []
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy()
  })

  test('a flood of connections that say nothing does not keep a peer out', async () => {
    const a = await startNode()
    const port = Number(/tcp\/(\d+)/.exec(addressOf(a))?.[1])
    let closed = 0
    for (let index = 0; index < 300; index += 1) {
      const socket = connect({ host: '127.0.0.1', port })
      socket.on('error', () => {}).on('close', () => (closed += 1))
      sockets.push(socket)
    }
    await until(() => closed >= 250, 'most are refused at once')
    const b = await startNode({ peers: [addressOf(a)] })
    await until(() => a.network.peers().some(({ peer_id }) => peer_id === b.network.peerId), 'b is let in')
  })

  test('garbage instead of a handshake is survived', async () => {
    const a = await startNode()
    const port = Number(/tcp\/(\d+)/.exec(addressOf(a))?.[1])
    for (const bytes of [Buffer.alloc(100_000, 0xff), Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.alloc(1)]) {
      const socket = connect({ host: '127.0.0.1', port })
      socket.on('error', () => {})
      sockets.push(socket)
      socket.write(bytes)
    }
    await until(() => sockets[0]?.closed === true, 'the first is closed')
    const b = await startNode({ peers: [addressOf(a)] })
    await meshed(a, b)
    expect(a.network.peers().length).toBe(1)
  })
})
