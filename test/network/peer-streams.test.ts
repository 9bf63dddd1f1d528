import { identify } from '@libp2p/identify'
import type { Libp2p, Stream } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { afterEach, describe, expect, test } from 'vitest'

import { MAX_SYNC_FRAME_BYTES, SYNC_PROTOCOL } from '../../src/network/peer-streams.ts'
import { withLength } from '../../src/network/frame-reader.ts'
import type { FrameStream } from '../../src/sync/types.ts'
import { sleep, until } from '../support/until.ts'
import { addressOf, startNode, stopAll, stopLater, stopNode } from './nodes.ts'
import type { TestNode } from './nodes.ts'

afterEach(stopAll)

/** The error of a promise that must reject; it may be waited for later. */
function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => new Error(`It resolved with ${String(value)}`),
    (error: unknown) => error,
  )
}

const never = new AbortController().signal

/** Two connected nodes that know of each other that they speak sync. */
async function pair(): Promise<[TestNode, TestNode]> {
  const a = await startNode()
  const b = await startNode({ peers: [addressOf(a)] })
  await until(() => sees(a, b) && sees(b, a), 'both know of each other')
  return [a, b]
}

function sees(node: TestNode, other: TestNode): boolean {
  return node.network.sync.peers().includes(other.network.peerId)
}

/** Streams that a node is opened, in order. */
function incoming(node: TestNode): { peer: string; stream: FrameStream }[] {
  const streams: { peer: string; stream: FrameStream }[] = []
  node.network.sync.listen({
    stream: (peer, stream) => streams.push({ peer, stream }),
    connected: () => {},
    disconnected: () => {},
  })
  return streams
}

/** A stream from `a`, as both see it. */
async function connected(a: TestNode, b: TestNode): Promise<[FrameStream, FrameStream]> {
  const streams = incoming(b)
  const mine = await a.network.sync.open(b.network.peerId, never)
  await until(() => streams.length === 1, 'the stream is there')
  expect(streams[0]?.peer).toBe(a.network.peerId)
  return [mine, streams[0]!.stream]
}

function frameOf(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let index = 0; index < length; index += 1) bytes[index] = (index * 31 + seed * 7) & 0xff
  return bytes
}

/** A peer with libp2p alone, which sends what it likes. */
async function startRaw(target: TestNode, protocols: readonly string[] = [SYNC_PROTOCOL]): Promise<Libp2p> {
  const libp2p = await createLibp2p({
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify() },
  })
  stopLater({ stop: async () => libp2p.stop() })
  for (const protocol of protocols) await libp2p.handle(protocol, () => {})
  await libp2p.dial(multiaddr(addressOf(target)))
  return libp2p
}

async function openRaw(libp2p: Libp2p): Promise<Stream> {
  const [connection] = libp2p.getConnections()
  return await connection!.newStream([SYNC_PROTOCOL])
}

describe('frames', () => {
  test('of every size arrive whole and in order, both ways at once, and the end after them', async () => {
    const [left, right] = await connected(...(await pair()))
    const sizes = [0, 1, 127, 128, 16_383, 16_384, 65_536, 262_144, 1_048_576, MAX_SYNC_FRAME_BYTES, 0, 5]
    async function sendAll(stream: FrameStream, seed: number): Promise<void> {
      for (const size of sizes) await stream.send(frameOf(size, seed))
      await stream.close()
    }
    async function receiveAll(stream: FrameStream, seed: number): Promise<void> {
      for (const size of sizes) {
        const frame = await stream.receive()
        expect(frame?.constructor).toBe(Uint8Array)
        expect(Buffer.compare(frame!, frameOf(size, seed))).toBe(0)
      }
      expect(await stream.receive()).toBe(null)
      expect(await stream.receive()).toBe(null)
    }
    await Promise.all([sendAll(left, 1), sendAll(right, 2), receiveAll(left, 2), receiveAll(right, 1)])
  })

  test('sent without waiting leave in the order of the calls, whatever happens to their bytes afterwards', async () => {
    const [left, right] = await connected(...(await pair()))
    const frames = Array.from({ length: 200 }, (_, index) => frameOf(10_000, index))
    const expected = frames.map((frame) => frame.slice())
    const sent = Promise.all(frames.map((frame) => left.send(frame)))
    for (const frame of expected) expect(Buffer.compare((await right.receive())!, frame)).toBe(0)
    await sent
  })

  test('that are not asked for hold the sender back, and none is lost', async () => {
    const [left, right] = await connected(...(await pair()))
    let sent = 0
    const count = 200
    const sending = (async () => {
      for (; sent < count; sent += 1) await left.send(frameOf(100_000, sent))
      await left.close()
    })()
    // A window of 1 MiB, what was read ahead, and what waits on this side.
    const mostAhead = 30
    await until(() => sent > 1, 'frames are under way')
    await sleep(200)
    for (let index = 0; index < count; index += 1) {
      expect(sent - index).toBeLessThan(mostAhead)
      expect(Buffer.compare((await right.receive())!, frameOf(100_000, index))).toBe(0)
    }
    expect(await right.receive()).toBe(null)
    await sending
    expect(sent).toBe(count)
  })

  test('to one who reads slowly never pile up', async () => {
    const [left, right] = await connected(...(await pair()))
    const bytes = 262_144
    const count = 120
    let sent = 0
    const sending = (async () => {
      for (; sent < count; sent += 1) await left.send(frameOf(bytes, sent))
    })()
    let most = 0
    for (let received = 0; received < count; received += 1) {
      expect(Buffer.compare((await right.receive())!, frameOf(bytes, received))).toBe(0)
      await sleep(5)
      most = Math.max(most, sent - received)
    }
    await sending
    expect(most * bytes).toBeLessThan(4_194_304)
  })

  test('that arrived before the other side ended can still be read when this side has ended too', async () => {
    const [left, right] = await connected(...(await pair()))
    for (let index = 0; index < 3; index += 1) await left.send(frameOf(60_000, index))
    await left.close()
    await right.close()
    for (let index = 0; index < 3; index += 1) expect(await right.receive()).toEqual(frameOf(60_000, index))
    expect(await right.receive()).toBe(null)
    expect(await left.receive()).toBe(null)
  })

  test('longer than the bound are not sent', async () => {
    const [left, right] = await connected(...(await pair()))
    await expect(left.send(new Uint8Array(MAX_SYNC_FRAME_BYTES + 1))).rejects.toMatchObject({ code: 'frame_invalid' })
    await left.send(frameOf(3))
    expect(await right.receive()).toEqual(frameOf(3))
  })
})

describe('a stream that breaks', () => {
  test('breaks at once for both sides when one aborts it, calls under way included', async () => {
    const [left, right] = await connected(...(await pair()))
    const receiving = left.receive()
    const waiting = (async () => {
      for (;;) await right.send(frameOf(500_000))
    })()
    const outcome = Promise.allSettled([receiving, waiting])
    await receiving
    left.abort(new Error('enough'))
    const [, sent] = await outcome
    expect(sent).toMatchObject({ status: 'rejected', reason: { code: 'stream_broken' } })
    await expect(left.receive()).rejects.toThrow('enough')
    await expect(left.send(frameOf(1))).rejects.toThrow('enough')
    await expect(left.close()).rejects.toThrow('enough')
    await expect(right.receive()).rejects.toMatchObject({ code: 'stream_broken' })
    await expect(right.close()).rejects.toMatchObject({ code: 'stream_broken' })
  })

  test('tells whoever waits when the other node goes away', async () => {
    const [a, b] = await pair()
    const [left] = await connected(a, b)
    const receiving = rejection(left.receive())
    await stopNode(b)
    expect(await receiving).toMatchObject({ code: 'stream_broken' })
  })

  test('is told from one that ended', async () => {
    const [a, b] = await pair()
    const [left, right] = await connected(a, b)
    await right.close()
    expect(await left.receive()).toBe(null)
    // The other way it is still open.
    await left.send(frameOf(10))
    expect(await right.receive()).toEqual(frameOf(10))
    await left.close()
    await expect(left.send(frameOf(1))).rejects.toMatchObject({ code: 'stream_broken' })
  })

  test('does so when this node stops', async () => {
    const [a, b] = await pair()
    const [left] = await connected(a, b)
    const receiving = rejection(left.receive())
    await stopNode(a)
    expect(await receiving).toMatchObject({ message: 'The node stops.' })
  })
})

describe('peers', () => {
  test('are told of once, when they have said that they speak sync, and when they are gone', async () => {
    const a = await startNode()
    const told: string[] = []
    a.network.sync.listen({
      stream: () => {},
      connected: (peer) => told.push(`+${peer}`),
      disconnected: (peer) => told.push(`-${peer}`),
    })
    const b = await startNode({ peers: [addressOf(a)] })
    await until(() => told.length === 1, 'a knows of b')
    await startRaw(a, [])
    const speaker = await startRaw(a)
    await until(() => told.length === 2, 'a knows of the speaker')
    // A second connection is no second peer, and its end is not that of the first.
    const second = await speaker.dial(multiaddr(addressOf(a)), { force: true })
    const seen = (): number =>
      a.network.peers().find(({ peer_id }) => peer_id === speaker.peerId.toString())?.addresses.length ?? 0
    await until(() => seen() === 2, 'there are two connections')
    await second.close()
    await until(() => seen() === 1, 'there is one')
    expect(a.network.sync.peers().toSorted()).toEqual([b.network.peerId, speaker.peerId.toString()].toSorted())
    await speaker.stop()
    await until(() => told.length === 3, 'a knows that the speaker is gone')
    await stopNode(b)
    await until(() => told.length === 4, 'a knows that b is gone')
    const gone = speaker.peerId.toString()
    expect(told).toEqual([`+${b.network.peerId}`, `+${gone}`, `-${gone}`, `-${b.network.peerId}`])
    expect(a.network.sync.peers()).toEqual([])
  })

  test('that are not connected cannot be opened a stream, and a stream is not waited for beyond the signal', async () => {
    const [a, b] = await pair()
    const stranger = await startNode()
    const { sync } = a.network
    await expect(sync.open(stranger.network.peerId, never)).rejects.toMatchObject({ code: 'not_connected' })
    await expect(sync.open(b.network.peerId, AbortSignal.abort(new Error('too late')))).rejects.toThrow('too late')
  })

  test('get two streams at a time, and none while nobody takes them', async () => {
    const a = await startNode()
    const raw = await startRaw(a)
    const early = await openRaw(raw)
    await until(() => early.status === 'reset', 'a stream that nobody takes is reset')
    const streams = incoming(a)
    const opened: Stream[] = []
    // Over two connections: the bound is the peer's.
    await raw.dial(multiaddr(addressOf(a)), { force: true })
    for (const connection of raw.getConnections()) {
      for (let count = 0; count < 2; count += 1) opened.push(await connection.newStream([SYNC_PROTOCOL]))
    }
    await until(() => opened.filter(({ status }) => status === 'reset').length === 2, 'two are reset')
    expect(streams.length).toBe(2)
    for (const { stream } of streams) stream.abort(new Error('done'))
    const next = await openRaw(raw)
    await until(() => streams.length === 3, 'there is room again')
    expect(next.status).toBe('open')
  })
})

describe('a peer that breaks the rules', () => {
  const tooLong = withLength(new Uint8Array(MAX_SYNC_FRAME_BYTES + 1)).subarray(0, 4)

  test.each([
    { what: 'a frame beyond the bound', bytes: tooLong },
    { what: 'a length that never ends', bytes: Uint8Array.of(0x80, 0x80, 0x80, 0x80) },
    { what: 'a length that is not in its shortest form', bytes: Uint8Array.of(0x81, 0x00) },
  ])('with $what loses the stream', async ({ bytes }) => {
    const a = await startNode()
    const streams = incoming(a)
    const raw = await startRaw(a)
    const stream = await openRaw(raw)
    await until(() => streams.length === 1, 'the stream is there')
    const receiving = rejection(streams[0]!.stream.receive())
    stream.send(bytes)
    expect(await receiving).toMatchObject({ code: 'frame_invalid' })
    await until(() => stream.status === 'reset', 'the stream is reset')
    expect(a.network.peers().length).toBe(1)
  })

  test('by ending within a frame is told from one that ends', async () => {
    const a = await startNode()
    const streams = incoming(a)
    const stream = await openRaw(await startRaw(a))
    stream.send(withLength(frameOf(1000)).subarray(0, 500))
    await stream.close()
    await until(() => streams.length === 1, 'the stream is there')
    await expect(streams[0]!.stream.receive()).rejects.toMatchObject({ code: 'frame_invalid' })
  })

  test('three times is cut off and refused, while others are not', async () => {
    const [a, b] = await pair()
    const streams = incoming(a)
    const raw = await startRaw(a)
    for (let count = 1; count <= 3; count += 1) {
      const stream = await openRaw(raw)
      await until(() => streams.length === count, 'the stream is there')
      stream.send(tooLong)
      await expect(streams.at(-1)!.stream.receive()).rejects.toMatchObject({ code: 'frame_invalid' })
    }
    await until(() => raw.getConnections().length === 0, 'it is cut off')
    // The refusal comes after the handshake: the connection may seem to be there for a moment.
    const outcome = await raw.dial(multiaddr(addressOf(a))).then(
      async (connection) => {
        await until(() => connection.status !== 'open', 'the connection is closed')
        return 'closed'
      },
      () => 'refused',
    )
    expect(['closed', 'refused']).toContain(outcome)
    expect(a.network.peers().map(({ peer_id }) => peer_id)).toEqual([b.network.peerId])
    // Nor does this node connect to it.
    expect(a.network.sync.peers()).toEqual([b.network.peerId])
  })
})
