import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createCluster } from '../support/cluster.ts'
import type { Cluster, NodeProcess } from '../support/cluster.ts'
import { settled, statuses } from '../support/settle.ts'
import { cite, createWriter } from '../support/writer.ts'

const AVATARS = 20
const PATCHES = 20

describe('three nodes in a line', () => {
  let cluster: Cluster
  let nodes: NodeProcess[]
  let first: NodeProcess
  let middle: NodeProcess
  let last: NodeProcess

  beforeAll(async () => {
    cluster = await createCluster()
    nodes = await cluster.line(3)
    ;[first, middle, last] = nodes as [NodeProcess, NodeProcess, NodeProcess]
  })

  afterAll(async () => await cluster.close())

  test(`converge on ${AVATARS} avatars of ${PATCHES} patches, each written at a node of its own choice`, async () => {
    const writers = Array.from({ length: AVATARS }, (_, index) => createWriter(`line ${index}`))
    await Promise.all(
      writers.map(async (writer, index) => {
        const node = nodes[index % nodes.length]!
        for (let patch = 1; patch <= PATCHES; patch++) {
          const results = await node.api.write([writer.write({ [`key ${patch % 7}`]: patch, last: patch })])
          expect(statuses(results)).toEqual(['stored'])
        }
      }),
    )
    for (const writer of writers) {
      const answer = await settled(nodes, writer.avatar, ({ head }) => head === PATCHES, `${PATCHES} patches`)
      const content = {
        'key 0': 14,
        'key 1': 15,
        'key 2': 16,
        'key 3': 17,
        'key 4': 18,
        'key 5': 19,
        'key 6': 20,
        last: 20,
      }
      expect(answer.namespaces).toEqual([{ platform: 'nextid', identity: writer.avatar, content }])
      expect(answer).toMatchObject({ tips_total: 1, pending: 0, missing: { total: 0, ids: [] } })
    }
    const totals = await Promise.all(nodes.map((node) => node.api.status()))
    expect(totals.map(({ avatars, records }) => [avatars, records])).toEqual(
      nodes.map(() => [AVATARS, AVATARS * PATCHES]),
    )

    // The only neighbour of the first node delivered what was written at the two others.
    const elsewhere = writers.filter((_, index) => index % nodes.length !== 0).length * PATCHES
    const [neighbour] = await first.api.peers()
    expect(neighbour!.gossip_records_in).toBeGreaterThan(0)
    expect(neighbour!.gossip_records_in + neighbour!.sync!.records_in).toBeGreaterThanOrEqual(elsewhere)
  })

  test('forks written at both ends at once converge, and a write that cites both merges them', async () => {
    const writer = createWriter('forks')
    const root = writer.write({ shared: 'root', root: true })
    await first.api.write([root])
    await settled(nodes, writer.avatar, ({ head }) => head === 1, 'the root')

    const left = [
      writer.write({ shared: 'left 2', left: 2 }, { prev: cite(root) }),
      writer.write({ shared: 'left', left: 3 }),
    ]
    const right = [
      writer.write({ shared: 'right 2', right: 2 }, { prev: cite(root) }),
      writer.write({ shared: 'right', right: 3 }),
    ]
    const results = await Promise.all([first.api.write(left), last.api.write(right)])
    expect(results.flatMap(statuses)).toEqual(['stored', 'stored', 'stored', 'stored'])

    const forked = await settled(nodes, writer.avatar, (answer) => answer.tips_total === 2, 'both forks')
    const tips = cite(left[1]!, right[1]!).sort((a, b) => (a.id < b.id ? -1 : 1))
    expect(forked.tips).toEqual(tips)
    const winner = tips[1]!.id === left[1]!.id ? 'left' : 'right'
    expect(forked.namespaces[0]?.content).toEqual({ root: true, left: 3, right: 3, shared: winner })

    const merge = writer.write({ shared: 'merged', left: null }, { prev: forked.tips })
    expect(statuses(await middle.api.write([merge]))).toEqual(['stored'])
    const merged = await settled(nodes, writer.avatar, ({ head }) => head === 4, 'the merge')
    expect(merged.tips).toEqual(cite(merge))
    expect(merged.namespaces[0]?.content).toEqual({ root: true, right: 3, shared: 'merged' })
  })

  test('a gap hides what cites it on every node, and heals when it is filled at another', async () => {
    const writer = createWriter('gap')
    const chain = Array.from({ length: 5 }, (_, index) => writer.write({ [`patch ${index + 1}`]: true }))
    const gap = chain[2]!
    const results = await first.api.write(chain.filter((record) => record !== gap))
    expect(statuses(results)).toEqual(['stored', 'stored', 'pending', 'pending'])

    const hidden = await settled(nodes, writer.avatar, ({ pending }) => pending === 2, 'what stands before the gap')
    expect(hidden).toMatchObject({ head: 2, tips: cite(chain[1]!), missing: { total: 1, ids: [gap.id] } })
    expect(hidden.namespaces[0]?.content).toEqual({ 'patch 1': true, 'patch 2': true })

    expect(statuses(await last.api.write([gap]))).toEqual(['stored'])
    const healed = await settled(nodes, writer.avatar, ({ head }) => head === 5, 'all five')
    expect(healed).toMatchObject({ tips: cite(chain[4]!), pending: 0, missing: { total: 0, ids: [] } })
    expect(Object.keys(healed.namespaces[0]?.content ?? {})).toHaveLength(5)
  })

  test('a record that one node refuses as invalid reaches none', async () => {
    const writer = createWriter('invalid')
    const good = writer.write({ good: true })
    const signature = good.signature.slice()
    signature[40]! ^= 1
    const [result] = await first.api.write([{ payload: good.payload, signature }])
    expect(result).toMatchObject({ status: 'invalid', code: 'invalid_signature', id: good.id })
    expect(statuses(await first.api.write([good]))).toEqual(['stored'])
    const shown = await settled(nodes, writer.avatar, ({ head }) => head === 1, 'the good record')
    expect(shown.pending).toBe(0)
  })
})
