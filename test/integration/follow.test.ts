import { afterAll, beforeAll, expect, test } from 'vitest'

import { run } from '../cli/run.ts'
import { createCluster, type Cluster, type NodeProcess } from '../support/cluster.ts'
import { until } from '../support/until.ts'
import { createRelay } from './counting-relay.ts'
import { chains, heldBy, load } from './sync-watch.ts'

/** So rare that what arrives live did not come by the timer of sync. */
const OPTIONS = { syncIntervalSeconds: 3_600 }
const LISTED = { ...OPTIONS, flags: ['--hosting-mode', 'listed'] }
const PATIENCE_MS = 120_000

let cluster: Cluster
beforeAll(async () => {
  cluster = await createCluster()
})
afterAll(async () => await cluster.close())

async function addTo(node: NodeProcess, avatars: readonly string[]): Promise<void> {
  const { code } = await run(['host', 'add', ...avatars, '--data-dir', node.dataDir, '--node', node.url], { cwd: '/' })
  expect(code).toBe(0)
}

/** Waits until a node follows its list at so many peers, and none of them counts it to the gossip topic. */
async function untilFollowing(node: NodeProcess, peers: readonly NodeProcess[]): Promise<void> {
  await until(
    async () => (await node.api.metric('avatar_kv_follow_streams')) === peers.length,
    `${node.name} follows its avatars`,
    PATIENCE_MS,
  )
  const { peer_id } = await node.api.status()
  for (const peer of peers) {
    const seen = (await peer.api.peers()).find((each) => each.peer_id === peer_id)
    expect(seen).toMatchObject({ gossip: false })
  }
}

const untilHeld = (node: NodeProcess, records: number): Promise<void> =>
  until(async () => (await heldBy(node)) === records, `${node.name} holds ${records} records`, PATIENCE_MS)

test('what a listed node receives grows with what it hosts: 10 of 10,000 active avatars', async () => {
  const hub = await cluster.start('hub', OPTIONS)
  const bytes = { listed: 0, all: 0 }
  const relays = [
    await createRelay(hub, (count) => (bytes.listed += count)),
    await createRelay(hub, (count) => (bytes.all += count)),
  ] as const
  const listed = await cluster.start('listed', { ...LISTED, peers: [relays[0].address] })
  const all = await cluster.start('all', { ...OPTIONS, peers: [relays[1].address] })
  const ours = chains('hosted', 10, 4)
  const theirs = chains('not hosted', 9_990, 1)
  await addTo(
    listed,
    ours.writers.map(({ avatar }) => avatar),
  )
  await untilFollowing(listed, [hub])
  await until(async () => (await all.api.gossipPeers()) === 1, 'the other node gossips')
  // Sessions that the streams have caused end here.
  await until(async () => (await listed.api.peers()).every(({ sync }) => sync?.state === 'idle'), 'sync rests')

  const before = { ...bytes }
  await load(hub, ours.records.slice(0, 20))
  await load(hub, theirs.records)
  await load(hub, ours.records.slice(20))
  await Promise.all([untilHeld(listed, 40), untilHeld(all, 10_030)])
  const received = { listed: bytes.listed - before.listed, all: bytes.all - before.all }
  console.log(`10 of 10,000 avatars: listed ${received.listed} bytes, all ${received.all} bytes`)
  // Its own records take about 25 KB. Gossip of everything takes more than 4 MB.
  expect(received.listed).toBeLessThan(received.all / 20)
  expect(received.all).toBeGreaterThan(10_000 * 400)
  await Promise.all(relays.map((relay) => relay.close()))
}, 300_000)

test('it announces its own writes, and after a kill of its peers all are equal again', async () => {
  const first = await cluster.start('first', OPTIONS)
  const second = await cluster.start('second', { ...OPTIONS, peers: [first.address] })
  const listed = await cluster.start('own', { ...LISTED, peers: [first.address, second.address] })
  const { writers, records } = chains('own writes', 2, 30)
  await addTo(
    listed,
    writers.map(({ avatar }) => avatar),
  )
  await untilFollowing(listed, [first, second])

  await load(listed, records.slice(0, 20))
  await Promise.all([first, second].map((node) => untilHeld(node, 20)))
  await first.kill()
  await load(second, records.slice(20, 40))
  await untilHeld(listed, 40)
  await first.restart()
  await second.kill()
  await load(listed, records.slice(40, 50))
  await second.restart()
  await untilFollowing(listed, [first, second])
  await load(first, records.slice(50))
  await Promise.all([first, second, listed].map((node) => untilHeld(node, 60)))
  for (const { avatar } of writers) {
    const texts = await Promise.all([first, second, listed].map((node) => node.api.avatarText(avatar)))
    expect(new Set(texts).size).toBe(1)
  }
}, 300_000)
