import { afterAll, beforeAll, expect, test } from 'vitest'
import { createCluster } from '../support/cluster.ts'
import type { Cluster, NodeProcess } from '../support/cluster.ts'
import { settled, statuses } from '../support/settle.ts'
import { chains, load, untilAtRest, untilEqual } from './sync-watch.ts'
import { cite, createWriter } from '../support/writer.ts'

const OPTIONS = { syncIntervalSeconds: 2 }
const SLOW_MS = 600_000

let cluster: Cluster
let left: NodeProcess[]
let right: NodeProcess[]

beforeAll(async () => {
  cluster = await createCluster()
  left = await cluster.line(2, { ...OPTIONS, name: 'left' })
  right = await cluster.line(2, { ...OPTIONS, name: 'right' })
})

afterAll(async () => await cluster.close())

test(
  'two groups that were written to without a connection end equal once they are joined, and rest',
  async () => {
    const ofLeft = chains('left', 20, 40)
    const ofRight = chains('right', 20, 60)
    // One avatar goes on at both sides from what both know; another has its gap on one side and what fills it on the other.
    const both = createWriter('both')
    const root = both.write({ root: true })
    const leftFork = both.write({ left: 1 }, { prev: cite(root) })
    const rightFork = both.write({ right: 1 }, { prev: cite(root) })
    const torn = createWriter('torn')
    const pieces = Array.from({ length: 4 }, (_, index) => torn.write({ [`piece ${index}`]: true }))

    await load(left[0]!, ofLeft.records)
    await load(left[1]!, [root, leftFork, pieces[0]!, pieces[1]!])
    await load(right[0]!, ofRight.records)
    await load(right[1]!, [root, rightFork])
    expect(statuses(await right[1]!.api.write([pieces[2]!, pieces[3]!]))).toEqual(['pending', 'pending'])

    await right[0]!.stop()
    await right[0]!.restart({ peers: [left[1]!.address] })
    const nodes = [...left, ...right]
    const avatars = [...ofLeft.writers, ...ofRight.writers, both, torn].map(({ avatar }) => avatar)
    await untilEqual(nodes, avatars, ofLeft.records.length + ofRight.records.length + 3 + 4)
    const merged = await settled(nodes, both.avatar, ({ tips_total }) => tips_total === 2, 'both forks')
    expect(merged.namespaces[0]?.content).toEqual({ root: true, left: 1, right: 1 })
    const healed = await settled(nodes, torn.avatar, ({ head }) => head === 4, 'all pieces')
    expect(healed).toMatchObject({ tips: cite(pieces[3]!), pending: 0, missing: { total: 0 } })
    await untilAtRest(nodes, 2)
  },
  SLOW_MS,
)
