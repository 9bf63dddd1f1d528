import { connect, type Socket } from 'node:net'

import { generateKeyPair } from '@libp2p/crypto/keys'
import type { MultiaddrConnection } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, describe, expect, test } from 'vitest'

import { defaultNetworkLimits } from '../../src/network/limits.ts'
import { createPeerPlaces } from '../../src/network/peer-places.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { until } from '../support/until.ts'
import { addressOf, startNode, stopAll, type TestNode } from './nodes.ts'
import { createPeer, getsIn } from './peer.ts'
import type { Peer } from './peer.ts'

const sockets: Socket[] = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await stopAll()
})

const LIMITS = defaultNetworkLimits.places
/** For tests of other bounds: as many new connections as the test likes. */
const ANY_RATE = { ...LIMITS, arrivals: { perKey: ANY(), total: ANY(), reserve: 0 } }
function ANY() {
  return { burst: 10_000, refillMs: 1 }
}

function peersFrom(count: number, from: string): Promise<Peer[]> {
  return Promise.all(Array.from({ length: count }, () => createPeer({ from })))
}

async function connectAll(node: TestNode, peers: readonly Peer[]): Promise<void> {
  for (let at = 0; at < peers.length; at += 8) {
    await Promise.all(peers.slice(at, at + 8).map((peer) => getsIn(node, peer)))
  }
}

function connected(node: TestNode, peers: readonly Peer[]): number {
  const ids = new Set(peers.map(({ peerId }) => peerId.toString()))
  return node.network.peers().filter(({ peer_id }) => ids.has(peer_id)).length
}

async function lossesOf({ metrics }: TestNode, reason: string): Promise<number> {
  const { text } = await metrics.expose()
  const line = new RegExp(`^avatar_kv_peer_connections_lost_total\\{reason="${reason}"\\} (\\d+)$`, 'm')
  return Number(line.exec(text)?.[1] ?? 0)
}

describe('places for peers', () => {
  test('128 connections from 4 hosts keep no peer of another host out', async () => {
    const node = await startNode({ limits: { places: ANY_RATE } })
    const hosts = await Promise.all(
      ['127.1.0.11', '127.1.1.12', '127.1.2.13', '127.1.3.14'].map((from) => peersFrom(32, from)),
    )
    for (const peers of hosts) await connectAll(node, peers)
    expect(node.network.peers().length).toBeGreaterThanOrEqual(96)
    const late = await createPeer({ from: '127.0.0.15' })
    expect(await getsIn(node, late)).toBe(true)
    const later = await peersFrom(20, '127.0.0.16')
    await connectAll(node, later)
    // A fair part of what is not kept for hosts that hold little: 96 places and six hosts.
    expect(connected(node, later)).toBeGreaterThanOrEqual(16)
    expect(connected(node, [late])).toBe(1)
    expect(node.network.peers().length).toBeLessThanOrEqual(128)
  })

  test('one host has its share at most, and gives back what it leaves', async () => {
    const strangers = { total: 16, perKey: 4, reserve: 4, small: 2 }
    const node = await startNode({ limits: { places: { ...ANY_RATE, strangers } } })
    const peers = await peersFrom(6, '127.0.0.21')
    await connectAll(node, peers)
    expect(connected(node, peers)).toBe(4)
    expect(await lossesOf(node, 'places')).toBe(2)
    for (const peer of peers) await peer.stop()
    await until(() => node.network.peers().length === 0, 'all are gone')
    const others = await peersFrom(4, '127.0.0.21')
    await connectAll(node, others)
    expect(connected(node, others)).toBe(4)
  })

  test('a peer that speaks no protocol of this node goes first', async () => {
    const strangers = { total: 8, perKey: 4, reserve: 2, small: 1 }
    const node = await startNode({ limits: { places: { ...ANY_RATE, strangers } } })
    const good = await peersFrom(3, '127.0.0.31')
    const silent = await createPeer({ from: '127.0.0.31', speaks: false })
    await connectAll(node, [...good, silent])
    for (const from of ['127.0.0.32', '127.0.0.33', '127.0.0.34', '127.0.0.35']) {
      await connectAll(node, await peersFrom(1, from))
    }
    expect(connected(node, [...good, silent])).toBe(4)
    // All places are taken, so the host that holds the most makes room.
    expect(await getsIn(node, await createPeer({ from: '127.0.0.36' }))).toBe(true)
    expect(connected(node, good)).toBe(3)
    expect(connected(node, [silent])).toBe(0)
    expect(await lossesOf(node, 'evicted')).toBe(1)
  })

  test('a peer that speaks no protocol of this node is cut off after a while', async () => {
    const proveMs = 6001
    const due: (() => void)[] = []
    const { timers, ...rest } = systemEnvironment()
    // Timers of that length run when the test says so.
    const after = (delayMs: number, run: () => void): (() => void) => {
      if (delayMs !== proveMs) return timers.after(delayMs, run)
      due.push(run)
      return () => {}
    }
    const node = await startNode({
      limits: { places: { ...LIMITS, proveMs } },
      environment: { ...rest, timers: { after } },
    })
    const silent = await createPeer({ from: '127.0.0.37', speaks: false })
    const good = await createPeer({ from: '127.0.0.37' })
    await connectAll(node, [silent, good])
    expect(connected(node, [silent, good])).toBe(2)
    for (const run of due) run()
    await until(() => connected(node, [silent]) === 0, 'it was cut off')
    expect(await lossesOf(node, 'unproven')).toBe(1)
    expect(connected(node, [good])).toBe(1)
  })

  test('a configured peer gets in where nobody else does', async () => {
    const privateKey = await generateKeyPair('Ed25519')
    const id = peerIdFromPrivateKey(privateKey).toString()
    const strangers = { total: 4, perKey: 2, reserve: 1, small: 1 }
    const node = await startNode({
      // Nobody listens there: the peer is the one that connects.
      peers: [`/ip4/127.0.0.1/tcp/1/p2p/${id}`],
      limits: { places: { ...ANY_RATE, strangers } },
    })
    const peers = await peersFrom(4, '127.0.0.41')
    await connectAll(node, peers)
    expect(connected(node, peers)).toBe(2)
    expect(await getsIn(node, await createPeer({ from: '127.0.0.41' }))).toBe(false)
    expect(await getsIn(node, await createPeer({ from: '127.0.0.41', privateKey }))).toBe(true)
    expect(connected(node, peers)).toBe(2)
  })

  test('one peer has three connections at most, the newest ones', async () => {
    const node = await startNode({ limits: { places: ANY_RATE } })
    const peer = await createPeer({ from: '127.0.0.51' })
    for (let count = 0; count < 6; count += 1) expect(await getsIn(node, peer)).toBe(true)
    await until(() => peer.getConnections().length === 3, 'three are left')
    expect(node.network.peers()[0]?.addresses).toHaveLength(3)
    expect(await lossesOf(node, 'too_many_of_peer')).toBe(3)
  })
})

test('all addresses of one network of 24 bits hold half of the places; a host with several makes room for one with none', async () => {
  const strangers = { total: 16, perKey: 4, reserve: 4, small: 2 }
  const places = { ...ANY_RATE, strangers, strangersPerSite: 8 }
  const node = await startNode({ limits: { places } })
  for (const host of [1, 2, 3]) await connectAll(node, await peersFrom(3, `127.7.7.${host}`))
  expect(node.network.peers()).toHaveLength(8)
  // The ninth place of the network goes to a new host, at the cost of one with three; others are free.
  const late = await createPeer({ from: '127.7.7.4' })
  expect(await getsIn(node, late)).toBe(true)
  expect(node.network.peers()).toHaveLength(8)
  expect(connected(node, [late])).toBe(1)
  expect(await getsIn(node, await createPeer({ from: '127.7.8.1' }))).toBe(true)
  expect(node.network.peers()).toHaveLength(9)
})

describe('new connections', () => {
  test('that say nothing, 320 from 20 hosts and more, keep no peer out', async () => {
    const node = await startNode({ limits: { places: { ...ANY_RATE } } })
    const port = Number(/tcp\/(\d+)/.exec(addressOf(node))?.[1])
    for (let host = 0; host < 20; host += 1) {
      for (let count = 0; count < 24; count += 1) {
        const socket = connect({ port, host: '127.0.0.1', localAddress: `127.0.1.${host + 1}` })
        socket.on('error', () => undefined)
        sockets.push(socket)
      }
    }
    await until(() => sockets.every(({ pending }) => !pending), 'all have arrived')
    // On a slow machine the first have timed out by then.
    await until(() => sockets.filter(({ closed }) => closed).length >= 480 - 256, 'the node has accepted all of them')
    expect(await getsIn(node, await createPeer({ from: '127.0.0.61' }))).toBe(true)
  })

  test('of one host are taken at a bounded rate, those of others meanwhile as well', async () => {
    const arrivals = { ...LIMITS.arrivals, perKey: { burst: 4, refillMs: 1000 } }
    let nowMs = Date.now()
    const node = await startNode({
      limits: { places: { ...LIMITS, arrivals } },
      environment: { ...systemEnvironment(), clock: { now: () => nowMs } },
    })
    const peers = await peersFrom(8, '127.0.0.71')
    const tries = await Promise.all(peers.map((peer) => getsIn(node, peer)))
    expect(tries.filter(Boolean).length).toBe(4)
    expect(await getsIn(node, await createPeer({ from: '127.0.0.72' }))).toBe(true)
    expect(await getsIn(node, await createPeer({ from: '127.0.0.71' }))).toBe(false)
    nowMs += 1000
    expect(await getsIn(node, await createPeer({ from: '127.0.0.71' }))).toBe(true)
  })

  test('from one IPv6 network of 64 bits come from one host', async () => {
    const environment = systemEnvironment()
    const { gater } = createPeerPlaces(
      { ...environment, isConfigured: () => false, isRefused: () => false },
      { ...LIMITS, arrivals: { ...LIMITS.arrivals, perKey: { burst: 2, refillMs: 60_000 } } },
    )
    const arrive = (address: string): unknown => {
      const connection = Object.assign(new EventTarget(), {
        remoteAddr: multiaddr(address),
        status: 'open',
        abort() {},
      })
      return gater.denyInboundConnection?.(connection as unknown as MultiaddrConnection)
    }
    expect(arrive('/ip6/2001:db8:0:1::1/tcp/1')).toBe(false)
    expect(arrive('/ip6/2001:db8:0:1:ffff::2/tcp/1')).toBe(false)
    expect(arrive('/ip6/2001:db8:0:1:2:3:4:5/tcp/1')).toBe(true)
    expect(arrive('/ip6/2001:db8:0:2::1/tcp/1')).toBe(false)
  })
})
