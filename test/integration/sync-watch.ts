import { expect } from 'vitest'
import type { Avatar } from '../../src/record/types.ts'
import type { NodeProcess } from '../support/cluster.ts'
import { statuses } from '../support/settle.ts'
import { until } from '../support/until.ts'
import { createWriter } from '../support/writer.ts'
import type { Writer, Written } from '../support/writer.ts'

const RECORDS_PER_POST = 1_000
const CONVERGE_TIMEOUT_MS = 120_000

/** Chains of patches of several avatars, a round of all avatars after the other, as they would come in time. */
export function chains(name: string, avatars: number, perAvatar: number): { writers: Writer[]; records: Written[] } {
  const writers = Array.from({ length: avatars }, (_, index) => createWriter(`${name} ${index}`))
  const records: Written[] = []
  for (let round = 0; round < perAvatar; round++) {
    for (const writer of writers) records.push(writer.write({ [`key ${round % 10}`]: round, last: round }))
  }
  return { writers, records }
}

/** Writes records in large requests; all must be stored. */
export async function load(node: NodeProcess, records: readonly Written[]): Promise<void> {
  for (let start = 0; start < records.length; start += RECORDS_PER_POST) {
    const results = await node.api.write(records.slice(start, start + RECORDS_PER_POST))
    expect(new Set(statuses(results))).toEqual(new Set(['stored']))
  }
}

/** Waits until all nodes hold so many records, then compares all that they show of these avatars byte for byte. */
export async function untilEqual(
  nodes: readonly NodeProcess[],
  avatars: readonly Avatar[],
  records: number,
): Promise<void> {
  await until(
    async () => (await Promise.all(nodes.map(heldBy))).every((held) => held === records),
    `every node holds ${records} records`,
    CONVERGE_TIMEOUT_MS,
  )
  for (const avatar of avatars) {
    const texts = await Promise.all(nodes.map((node) => node.api.avatarText(avatar)))
    expect(new Set(texts).size).toBe(1)
    expect(JSON.parse(texts[0] ?? '')).toMatchObject({ pending: 0, missing: { total: 0 } })
  }
  const totals = await Promise.all(nodes.map((node) => node.api.status()))
  expect(new Set(totals.map((total) => total.avatars)).size).toBe(1)
}

export async function heldBy(node: NodeProcess): Promise<number> {
  return (await node.api.status()).records
}

/** Records that each node has sent and been sent so far, by sync, with each peer, and by gossip. */
async function transferred(nodes: readonly NodeProcess[]): Promise<string[]> {
  const lines = await Promise.all(
    nodes.map(async (node) => {
      const peers = await node.api.peers()
      const gossiped = await node.api.metric('avatar_kv_gossip_sent_records_total')
      return [
        `${node.name} gossiped ${gossiped}`,
        ...peers.map(({ peer_id, sync }) => `${node.name} ${peer_id} ${sync?.records_in} ${sync?.records_out}`),
      ]
    }),
  )
  return lines.flat().toSorted()
}

/**
 * Waits until every node has compared with every peer and found no difference, then over further comparisons that nothing
 * moves any more.
 */
export async function untilAtRest(nodes: readonly NodeProcess[], comparisons: number): Promise<void> {
  await untilAll(nodes, 'has found its peers equal', ({ last, state }) => {
    return last?.outcome === 'equal' && last.differences === 0 && state === 'idle'
  })
  const before = await transferred(nodes)
  expect(before.length).toBeGreaterThan(nodes.length)
  const sessions = new Map<string, number>()
  for (const node of nodes) {
    for (const { peer_id, sync } of await node.api.peers()) sessions.set(node.name + peer_id, sync?.sessions ?? 0)
  }
  await untilAll(nodes, `has compared ${comparisons} times more`, (sync, key) => {
    return sync.sessions >= (sessions.get(key) ?? 0) + comparisons
  })
  expect(await transferred(nodes)).toEqual(before)
}

type PeerSync = NonNullable<Awaited<ReturnType<NodeProcess['api']['peers']>>[number]['sync']>

async function untilAll(
  nodes: readonly NodeProcess[],
  what: string,
  holds: (sync: PeerSync, key: string) => boolean,
): Promise<void> {
  await until(
    async () => {
      const all = await Promise.all(
        nodes.map(async (node) => {
          const peers = await node.api.peers()
          return (
            peers.length > 0 && peers.every(({ peer_id, sync }) => sync !== null && holds(sync, node.name + peer_id))
          )
        }),
      )
      return all.every(Boolean)
    },
    `every node ${what}`,
    CONVERGE_TIMEOUT_MS,
  )
}
