import { afterAll, beforeAll, expect, test } from 'vitest'
import { createCluster } from '../support/cluster.ts'
import type { Cluster, NodeProcess } from '../support/cluster.ts'
import { settled, statuses } from '../support/settle.ts'
import { chains, load, untilAtRest, untilEqual } from './sync-watch.ts'
import { cite, createWriter } from '../support/writer.ts'

const SLOW_MS = 600_000

let cluster: Cluster
let nodes: NodeProcess[]

beforeAll(async () => {
  cluster = await createCluster()
  nodes = await cluster.line(3, { gossip: false, syncIntervalSeconds: 1 })
})

afterAll(async () => await cluster.close())

test(
  'three nodes in a line converge without any gossip, wherever is written, and rest',
  async () => {
    const parts = nodes.map((_, index) => chains(`gossipless ${index}`, 10, 50))
    await Promise.all(nodes.map((node, index) => load(node, parts[index]!.records)))
    const avatars = parts.flatMap(({ writers }) => writers.map(({ avatar }) => avatar))
    await untilEqual(nodes, avatars, 3 * 10 * 50)

    // A chain whose records are handed to the nodes in turn: each waits for what the others have.
    const writer = createWriter('in turn')
    const chain = Array.from({ length: 9 }, (_, index) => writer.write({ [`turn ${index}`]: index }))
    for (const [index, record] of chain.entries()) {
      const [status] = statuses(await nodes[index % 3]!.api.write([record]))
      expect(['stored', 'pending']).toContain(status)
    }
    const answer = await settled(nodes, writer.avatar, ({ head }) => head === 9, 'the whole chain')
    expect(answer).toMatchObject({ tips: cite(chain[8]!), pending: 0, missing: { total: 0 } })

    await untilAtRest(nodes, 2)
    for (const node of nodes) {
      expect(await node.api.metric('avatar_kv_gossip_sent_records_total')).toBe(0)
      expect((await node.api.peers()).every(({ gossip }) => !gossip)).toBe(true)
      const { sync } = (await node.api.peers())[0]!
      expect(sync!.records_in).toBeGreaterThan(0)
    }
  },
  SLOW_MS,
)
