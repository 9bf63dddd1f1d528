import { afterAll, beforeAll, expect, test } from 'vitest'
import { createCluster, untilLineGossips } from '../support/cluster.ts'
import type { Cluster, NodeProcess } from '../support/cluster.ts'
import { settled, statuses } from '../support/settle.ts'
import { cite, createWriter } from '../support/writer.ts'

let cluster: Cluster
let nodes: NodeProcess[]

beforeAll(async () => {
  cluster = await createCluster()
  nodes = await cluster.line(3)
})

afterAll(async () => await cluster.close())

test('a restart of all nodes keeps every byte that they show, and they find each other again', async () => {
  const writers = Array.from({ length: 5 }, (_, index) => createWriter(`restart ${index}`))
  for (const writer of writers) {
    const records = Array.from({ length: 10 }, (_, index) => writer.write({ [`key ${index}`]: { value: index } }))
    expect(statuses(await nodes[0]!.api.write(records))).toEqual(records.map(() => 'stored'))
    await settled(nodes, writer.avatar, ({ head }) => head === 10, 'ten patches')
  }
  const before = await snapshot(writers.map(({ avatar }) => avatar))

  const codes = await Promise.all(nodes.map((node) => node.stop()))
  expect(codes).toEqual([0, 0, 0])
  for (const node of nodes) await node.restart()
  expect(await snapshot(writers.map(({ avatar }) => avatar))).toEqual(before)

  await untilLineGossips(nodes)
  const [writer] = writers
  const answer = await nodes[2]!.api.avatar(writer!.avatar)
  const next = writer!.write({ after: 'the restart' }, { prev: answer!.tips })
  expect(statuses(await nodes[2]!.api.write([next]))).toEqual(['stored'])
  const after = await settled(nodes, writer!.avatar, ({ head }) => head === 11, 'the patch after the restart')
  expect(after.tips).toEqual(cite(next))
})

/** What every node sends of these avatars, and who it is. */
async function snapshot(avatars: Parameters<NodeProcess['api']['avatarText']>[0][]): Promise<string[]> {
  const all: string[] = []
  for (const node of nodes) {
    const { peer_id, records } = await node.api.status()
    all.push(`${peer_id} holds ${records} records`)
    for (const avatar of avatars) {
      all.push(await node.api.avatarText(avatar))
      all.push((await node.api.recordIds(avatar)).join())
    }
  }
  return all
}
