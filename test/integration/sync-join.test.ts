import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createCluster } from '../support/cluster.ts'
import type { Cluster, NodeProcess } from '../support/cluster.ts'
import { chains, heldBy, load, untilAtRest, untilEqual } from './sync-watch.ts'
import { until } from '../support/until.ts'

const AVATARS = 100
const PER_AVATAR = 200
const RECORDS = AVATARS * PER_AVATAR
const KILLS = 10
const SLOW_MS = 600_000

describe(`three nodes that hold ${RECORDS} records`, () => {
  const { writers, records } = chains('join', AVATARS, PER_AVATAR)
  const avatars = writers.map(({ avatar }) => avatar)
  let cluster: Cluster
  let nodes: NodeProcess[]

  beforeAll(async () => {
    cluster = await createCluster()
    nodes = await cluster.line(3, { syncIntervalSeconds: 2 })
    await load(nodes[0]!, records)
    await untilEqual(nodes, avatars, RECORDS)
  }, SLOW_MS)

  afterAll(async () => await cluster.close())

  test(
    'are joined by a fourth, which ends equal; after that nothing moves any more',
    async () => {
      const fourth = await cluster.start('fourth', {
        peers: nodes.map(({ address }) => address),
        syncIntervalSeconds: 2,
      })
      await untilEqual([...nodes, fourth], avatars, RECORDS)
      await untilAtRest([...nodes, fourth], 2)
      expect(await fourth.stop()).toBe(0)
    },
    SLOW_MS,
  )

  test(
    `are joined by one that is killed ${KILLS} times meanwhile, and ends equal`,
    async () => {
      const options = { peers: [nodes[1]!.address], syncIntervalSeconds: 2 }
      const killed = await cluster.start('killed', options)
      let held = 0
      for (let kill = 1; kill <= KILLS; kill++) {
        await until(async () => (await heldBy(killed)) > held, 'it has taken more', 60_000)
        await killed.kill()
        await killed.restart()
        const before = held
        held = await heldBy(killed)
        expect(held).toBeGreaterThan(before)
        // Otherwise the kill interrupted nothing.
        expect(held).toBeLessThan(RECORDS)
      }
      await untilEqual([...nodes, killed], avatars, RECORDS)
      await untilAtRest([...nodes, killed], 2)
    },
    SLOW_MS,
  )
})
