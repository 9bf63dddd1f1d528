import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Connection, PrivateKey } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, expect, test } from 'vitest'

import { createFrameStream } from '../../src/network/frame-stream.ts'
import { defaultNetworkLimits } from '../../src/network/limits.ts'
import { peersProtocol } from '../../src/network/peer-exchange.ts'
import { openPeerRecord, sealPeerRecord } from '../../src/network/peer-record.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { until } from '../support/until.ts'
import { startFinder } from './finder.ts'
import { addressOf, stopAll } from './nodes.ts'
import type { TestNode } from './nodes.ts'
import { createPeer } from './peer.ts'

afterEach(stopAll)

const LIMITS = defaultNetworkLimits.discovery.exchange

const seal = (key: PrivateKey, address: string): Promise<Uint8Array> =>
  sealPeerRecord(key, [multiaddr(address)], BigInt(Date.now()))

async function connect(node: TestNode, privateKey: PrivateKey, from = '127.0.0.1'): Promise<Connection> {
  const libp2p = await createPeer({ from, privateKey })
  return libp2p.dial(multiaddr(addressOf(node)))
}

/** What the node answers to an introduction; undefined if it breaks off. */
async function ask(connection: Connection, introduction: Uint8Array): Promise<Uint8Array[] | undefined> {
  try {
    const stream = await connection.newStream([peersProtocol('test')])
    const frames = createFrameStream(stream, { maxFrameBytes: 1024, onInvalid: () => undefined })
    await frames.send(introduction)
    const records: Uint8Array[] = []
    for (let frame = await frames.receive(); frame !== null; frame = await frames.receive()) records.push(frame)
    await frames.close()
    return records
  } catch {
    return undefined
  }
}

const count = async (node: TestNode, name: string): Promise<number> =>
  Number(new RegExp(`^avatar_kv_${name} (\\d+)$`, 'm').exec((await node.metrics.expose()).text)?.[1] ?? 0)

test('a node introduces itself, and tells of a peer only once it has reached that peer', async () => {
  const node = await startFinder([])
  const friend = await startFinder([addressOf(node)])
  const key = await generateKeyPair('Ed25519')
  const liar = await seal(key, '/ip4/127.0.0.1/tcp/9')
  await until(async () => (await count(node, 'known_peers_tried')) === 1, 'the node has reached its friend')
  const records = await ask(await connect(node, key), liar)
  const peers = await Promise.all((records ?? []).map(async (bytes) => (await openPeerRecord(bytes)).peer.toString()))
  expect(peers).toEqual([node.network.peerId, friend.network.peerId])
  expect(await count(node, 'known_peers')).toBe(2)
  // Nobody answers at the address that the liar gave: it is not told to others, and forgotten.
  const other = await ask(await connect(node, await generateKeyPair('Ed25519')), new Uint8Array(0))
  expect(other).toHaveLength(2)
})

test('a peer is answered once in the interval', async () => {
  let nowMs = Date.now()
  const environment = { ...systemEnvironment(), clock: { now: () => nowMs } }
  const node = await startFinder([], { environment })
  const key = await generateKeyPair('Ed25519')
  const connection = await connect(node, key)
  expect(await ask(connection, new Uint8Array(0))).toHaveLength(1)
  expect(await ask(connection, new Uint8Array(0))).toBeUndefined()
  nowMs += LIMITS.perPeerMs
  expect(await ask(connection, new Uint8Array(0))).toHaveLength(1)
})

test('all peers of one host are answered at a bounded rate, those of others meanwhile as well', async () => {
  const nowMs = Date.now()
  const environment = { ...systemEnvironment(), clock: { now: () => nowMs } }
  const node = await startFinder([], { environment })
  const answers: unknown[] = []
  for (let at = 0; at < LIMITS.answers.perKey.burst + 2; at += 1) {
    const connection = await connect(node, await generateKeyPair('Ed25519'), '127.9.0.1').catch(() => undefined)
    if (connection !== undefined) answers.push(await ask(connection, new Uint8Array(0)))
  }
  expect(answers.filter((answer) => answer !== undefined).length).toBeLessThanOrEqual(LIMITS.answers.perKey.burst)
  const other = await connect(node, await generateKeyPair('Ed25519'), '127.9.1.1')
  expect(await ask(other, new Uint8Array(0))).toHaveLength(1)
})

test.each([
  ['the record of another peer', () => generateKeyPair('Ed25519'), '/ip4/127.0.0.1/tcp/9'],
  ['bytes that are no record', undefined, ''],
] as const)('an introduction with %s gets no answer and changes nothing', async (_, makeKey, address) => {
  const node = await startFinder([])
  const key = await generateKeyPair('Ed25519')
  const introduction = makeKey === undefined ? new Uint8Array(64).fill(7) : await seal(await makeKey(), address)
  expect(await ask(await connect(node, key), introduction)).toBeUndefined()
  expect(await count(node, 'known_peers')).toBe(0)
})
