import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'

import { sleep, until } from '../support/until.ts'
import { startFinder } from './finder.ts'
import { inventPeers, startHostile } from './hostile.ts'
import { addressOf, stopAll, stopNode } from './nodes.ts'
import type { TestNode } from './nodes.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'avatar-kv-eclipse-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))
afterEach(stopAll)

/** A hundred peers and ten nodes share one process. */
const PATIENCE_MS = 300_000
/** Some turns of the keeper, and of the exchange. */
const SIEGE_MS = 25_000

test('100 hostile peers of one network get two outgoing connections of a node; ten honest nodes stay connected', async () => {
  // 300 peers that do not exist: in the network of the attacker, and all over.
  const invented = [
    ...(await inventPeers(100, (at) => `127.66.66.${at + 101}`)),
    ...(await inventPeers(200, (at) => `127.${100 + (at % 100)}.${at}.1`)),
  ]
  let records: Uint8Array[] = []
  const lies = (): Uint8Array[] => [...records, ...invented].toSorted(() => Math.random() - 0.5)
  const hostile = await Promise.all(Array.from({ length: 100 }, (_, at) => startHostile(`127.66.66.${at + 1}`, lies)))
  records = hostile.map(({ record }) => record)
  const isHostile = new Set(hostile.map(({ libp2p }) => libp2p.peerId.toString()))

  const first = await startFinder([], { listen: ['/ip4/127.20.0.1/tcp/0'] })
  for (const each of hostile) each.besiege(addressOf(first))
  // The nodes begin under siege: the only seed of the others has the hostile peers as its neighbours.
  const start = (at: number): Promise<TestNode> =>
    startFinder([addressOf(first)], { listen: [`/ip4/127.${20 + at}.0.1/tcp/0`] }, join(folder, `${at}.json`))
  const others = await Promise.all(Array.from({ length: 9 }, (_, at) => start(at + 1)))
  const nodes = [first, ...others]
  // All besiege the seed, and a fifth of them each other node: more would only show what one process can bear.
  for (const [at, node] of others.entries()) {
    for (const [index, each] of hostile.entries()) if (index % 5 === at % 5) each.besiege(addressOf(node))
  }

  const count = (node: TestNode, of: 'honest' | 'hostile', direction?: 'outbound'): number =>
    node.network
      .peers()
      .filter((peer) => isHostile.has(peer.peer_id) === (of === 'hostile'))
      .filter((peer) => direction === undefined || peer.direction === direction).length
  const enough = (list: readonly TestNode[]): boolean => list.every((node) => count(node, 'honest') >= 4)

  await until(() => enough(nodes), 'every honest node has four honest peers', PATIENCE_MS)
  await until(() => nodes.every((node) => count(node, 'hostile') >= 15), 'the siege has begun', PATIENCE_MS)
  await sleep(SIEGE_MS)
  expect(nodes.map((node) => count(node, 'honest')).filter((honest) => honest < 4)).toEqual([])
  expect(Math.max(...nodes.map((node) => count(node, 'hostile', 'outbound')))).toBeLessThanOrEqual(2)
  for (const node of nodes) {
    const known = /^avatar_kv_known_peers (\d+)$/m.exec((await node.metrics.expose()).text)?.[1]
    expect(Number(known)).toBeLessThanOrEqual(1024)
  }

  // A node that restarts among them finds its honest peers again, by its book, without the seed.
  const [victim] = others as [TestNode]
  const listen = [addressOf(victim).replace(/\/p2p\/.*$/, '')]
  await stopNode(victim)
  const again = await startFinder([], { privateKey: victim.privateKey, listen }, join(folder, '1.json'))
  for (const each of hostile.slice(0, 20)) each.besiege(addressOf(again))
  await until(() => enough([again]), 'it has four honest peers again', PATIENCE_MS)
  expect(count(again, 'hostile', 'outbound')).toBeLessThanOrEqual(2)
})
