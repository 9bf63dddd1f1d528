import { afterEach, expect, test } from 'vitest'

import { until } from '../support/until.ts'
import { addressOf, meshed, record, recordingLogger, startNode, stopAll, stopNode } from './nodes.ts'

afterEach(stopAll)

const FAILURE = 'cannot connect to a configured peer; the node keeps trying'

const withoutPeerId = (address: string): string => address.replace(/\/p2p\/.*$/, '')

test('a peer that restarts on the same port is dialled again, and gossip goes on', async () => {
  const server = await startNode()
  const address = withoutPeerId(addressOf(server))
  const { logger, lines } = recordingLogger()
  const client = await startNode({ peers: [address], logger })
  await meshed(server, client)
  await stopNode(server)
  await until(() => client.network.peers().length === 0, 'the loss is seen')
  await until(() => lines.some(({ msg }) => msg === FAILURE), 'an attempt has failed')
  const again = await startNode({ listen: [address], privateKey: server.privateKey })
  await meshed(again, client)
  client.network.publish([record('stored:to the restarted')])
  again.network.publish([record('stored:from the restarted')])
  await until(() => again.ingest.payloads.includes('stored:to the restarted'), 'the restarted node hears')
  await until(() => client.ingest.payloads.includes('stored:from the restarted'), 'the restarted node is heard')
  const level = (text: string): unknown[] => lines.filter(({ msg }) => msg === text).map((line) => line['level'])
  expect(level('connected to peer')).toEqual([30, 30])
  // pino: 20 debug, 30 info, 40 warn. One warning, however many attempts failed.
  const failures = level(FAILURE)
  expect(failures.filter((value) => value === 40).length).toBe(1)
})

test('a peer that starts later than we do is found', async () => {
  const server = await startNode()
  const address = addressOf(server)
  await stopNode(server)
  const { logger, lines } = recordingLogger()
  const client = await startNode({ peers: [address], logger })
  const failures = (): Record<string, unknown>[] => lines.filter(({ msg }) => msg === FAILURE)
  await until(() => failures().length >= 2, 'two attempts have failed')
  expect(failures().map(({ level }) => level)).toEqual([40, 20])
  const late = await startNode({ listen: [withoutPeerId(address)], privateKey: server.privateKey })
  await meshed(late, client)
})

test('a peer under another key than its address says is not taken', async () => {
  const server = await startNode()
  const other = await startNode()
  const { logger, lines } = recordingLogger()
  const client = await startNode({
    peers: [`${withoutPeerId(addressOf(server))}/p2p/${other.network.peerId}`],
    logger,
  })
  await until(() => lines.some(({ level }) => level === 40), 'the dial has failed')
  expect(client.network.peers()).toEqual([])
  expect(lines.find(({ level }) => level === 40)).toMatchObject({
    reason: 'a node with another peer id answers there: check the peer id in the address given with --peer',
  })
})

test('an unknown host is named with what to do, and counted for as long as it is out of reach', async () => {
  const server = await startNode()
  const address = '/dns4/no-such-host.invalid/tcp/4382'
  const { logger, lines } = recordingLogger()
  const { metrics } = await startNode({ peers: [address, addressOf(server)], logger })
  await until(() => lines.some(({ level }) => level === 40), 'the dial has failed')
  expect(lines.find(({ level }) => level === 40)).toMatchObject({
    address,
    reason: 'no such host: check the address given with --peer',
  })
  await expect.poll(async () => (await metrics.expose()).text).toContain('avatar_kv_configured_peers_unreachable 1\n')
})

test('names are resolved', async () => {
  const server = await startNode()
  const port = /tcp\/(\d+)/.exec(addressOf(server))?.[1]
  const client = await startNode({ peers: [`/dns4/localhost/tcp/${port}`] })
  await meshed(server, client)
})

test('two nodes that dial each other exchange records', async () => {
  const placeholder = await startNode()
  const address = addressOf(placeholder)
  await stopNode(placeholder)
  const a = await startNode({ peers: [address] })
  const b = await startNode({
    listen: [withoutPeerId(address)],
    privateKey: placeholder.privateKey,
    peers: [addressOf(a)],
  })
  await meshed(a, b)
  a.network.publish([record('stored:from a')])
  b.network.publish([record('stored:from b')])
  await until(() => b.ingest.payloads.includes('stored:from a'), 'b hears')
  await until(() => a.ingest.payloads.includes('stored:from b'), 'a hears')
})

test('a node that has itself as a peer says so, and gives it up', async () => {
  const first = await startNode()
  const address = addressOf(first)
  await stopNode(first)
  const { logger, lines } = recordingLogger()
  const node = await startNode({
    listen: [withoutPeerId(address)],
    privateKey: first.privateKey,
    peers: [address, withoutPeerId(address)],
    logger,
  })
  await until(
    () => lines.filter(({ msg }) => String(msg).startsWith('a configured peer is this node itself')).length === 2,
    'both are recognised',
  )
  expect(node.network.peers()).toEqual([])
})
