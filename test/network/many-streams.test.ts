import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, expect, test } from 'vitest'

import { withLength } from '../../src/network/frame-reader.ts'
import { recordsTopic } from '../../src/network/gossip-settings.ts'
import { SYNC_PROTOCOL } from '../../src/network/peer-streams.ts'
import { encodeBatch } from '../../src/record/codec.ts'
import { until } from '../support/until.ts'
import { addressOf, judged, meshed, record, startNode, stopAll } from './nodes.ts'
import type { TestNode } from './nodes.ts'
import { createPeer } from './peer.ts'

afterEach(stopAll)

const GOSSIP_VERSIONS = ['/meshsub/1.0.0', '/meshsub/1.1.0', '/meshsub/1.2.0']

/** What libp2p's class of a connection has and its interface does not name. */
interface RawConnection extends Connection {
  readonly muxer: {
    createStream(): Promise<Stream>
    addEventListener(type: 'stream', listener: (event: never) => void): void
    removeEventListener(type: 'stream', listener: (event: never) => void): void
  }
  readonly onIncomingStream: (event: never) => void
}

async function connect(node: TestNode): Promise<{ peer: Libp2p; connection: RawConnection }> {
  const peer = await createPeer({ from: '127.0.0.1' })
  const connection = (await peer.dial(multiaddr(addressOf(node)))) as RawConnection
  await until(() => node.network.sync.peers().includes(peer.peerId.toString()), 'the node knows the peer')
  return { peer, connection }
}

/** One RPC of gossipsub with one message (libp2p specs, pubsub): `publish = 2 { data = 2, topic = 4 }`. */
function publication(text: string): Uint8Array {
  const topic = new TextEncoder().encode(recordsTopic('test'))
  const message = Buffer.concat([field(2, encodeBatch([record(text)])), field(4, topic)])
  return withLength(field(2, message))
}

function field(number: number, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of((number << 3) | 2), withLength(bytes)])
}

const open = (streams: readonly Stream[]): Stream[] => streams.filter(({ status }) => status === 'open')

test('a peer has a dozen streams at most, that say nothing; it can use the places again, and others are served', async () => {
  const node = await startNode()
  let taken = 0
  node.network.sync.listen({ stream: () => (taken += 1), connected: () => {}, disconnected: () => {} })
  const { connection } = await connect(node)
  const streams: Stream[] = []
  for (let count = 0; count < 100; count += 1) streams.push(await connection.muxer.createStream())
  await until(() => open(streams).length <= 12, 'the others are reset')
  const other = await startNode({ peers: [addressOf(node)] })
  await meshed(node, other)
  expect(open(streams).length).toBeGreaterThan(4)
  for (const stream of open(streams)) stream.abort(new Error('enough'))
  await until(() => open(streams).length === 0, 'none is left')
  const stream = await connection.newStream([SYNC_PROTOCOL])
  await until(() => taken === 1, 'the node takes a stream again')
  expect(stream.status).toBe('open')
})

test('a thousand streams one after another, ended in each way, leave none behind', async () => {
  const node = await startNode()
  node.network.sync.listen({
    stream: (_, stream) => void stream.close().catch(() => {}),
    connected: () => {},
    disconnected: () => {},
  })
  const { connection } = await connect(node)
  for (let count = 0; count < 250; count += 1) {
    const closed = await connection.newStream([SYNC_PROTOCOL])
    await closed.close()
    await until(() => closed.status !== 'open', 'the stream is closed')
    const aborted = await connection.newStream([SYNC_PROTOCOL])
    aborted.abort(new Error('enough'))
    const silent = await connection.muxer.createStream()
    silent.abort(new Error('enough'))
    await expect(connection.newStream(['/unknown/1'])).rejects.toMatchObject({ name: 'UnsupportedProtocolError' })
  }
  expect(open(connection.streams)).toEqual([])
})

test('a peer has one gossip stream in, the latest, whatever versions it speaks', async () => {
  const node = await startNode()
  const { connection } = await connect(node)
  const streams: Stream[] = []
  for (let round = 0; round < 3; round += 1) {
    for (const version of GOSSIP_VERSIONS) streams.push(await connection.newStream([version]))
  }
  await until(() => open(streams).length <= 1, 'the earlier ones are reset')
  streams.at(-1)?.send(publication('stored:heard'))
  await until(() => node.ingest.payloads.includes('stored:heard'), 'the node reads from it')
  expect(open(streams)).toEqual([streams.at(-1)])
})

test('a peer that sends too fast is paused on its next gossip stream, too', async () => {
  const node = await startNode({ limits: { messageRate: { burst: 10, refillMs: 10_000, longestPauseMs: 60_000 } } })
  const { connection } = await connect(node)
  const other = await startNode({ peers: [addressOf(node)] })
  await meshed(node, other)
  const heard = async (text: string): Promise<void> => {
    other.network.publish([record(text)])
    await until(() => node.ingest.payloads.includes(text), 'the other is heard')
  }
  const first = await connection.newStream(GOSSIP_VERSIONS)
  for (let count = 0; count < 20; count += 1) first.send(publication(`duplicate:${count}`))
  await judged(node, 11)
  await heard('stored:first')
  const before = node.ingest.payloads.length
  const second = await connection.newStream(GOSSIP_VERSIONS)
  for (let count = 100; count < 120; count += 1) second.send(publication(`duplicate:${count}`))
  for (const text of ['stored:second', 'stored:third', 'stored:fourth']) await heard(text)
  expect(node.ingest.payloads.length).toBe(before + 3)
})

test('a peer that never answers an offer of a gossip stream does not keep others waiting', async () => {
  const node = await startNode()
  const { connection } = await connect(node)
  connection.muxer.addEventListener('stream', () => {})
  connection.muxer.removeEventListener('stream', connection.onIncomingStream)
  // Each has the node open one in return.
  for (let count = 0; count < 4; count += 1) await connection.newStream(GOSSIP_VERSIONS)
  const other = await startNode({ peers: [addressOf(node)] })
  await meshed(node, other)
  other.network.publish([record('stored:heard')])
  await judged(node, 1)
})
