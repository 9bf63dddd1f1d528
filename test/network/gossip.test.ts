import { afterEach, describe, expect, test } from 'vitest'

import { until } from '../support/until.ts'
import { addressOf, meshed, record, startNode, stopAll, stopNode } from './nodes.ts'
import type { TestNode } from './nodes.ts'

afterEach(stopAll)

async function line(length: number): Promise<TestNode[]> {
  const nodes: TestNode[] = []
  for (let index = 0; index < length; index += 1) {
    const previous = nodes.at(-1)
    const node = await startNode({ peers: previous === undefined ? [] : [addressOf(previous)] })
    if (previous !== undefined) await meshed(previous, node)
    nodes.push(node)
  }
  return nodes
}

describe('gossip between nodes in a line', () => {
  test('a record travels from one end to the other, through the middle, both ways', async () => {
    const [a, b, c] = (await line(3)) as [TestNode, TestNode, TestNode]
    a.network.publish([record('stored:from a')])
    await until(() => c.ingest.payloads.includes('stored:from a'), 'c has the record of a')
    c.network.publish([record('stored:from c')])
    await until(() => a.ingest.payloads.includes('stored:from c'), 'a has the record of c')
    expect(b.ingest.payloads).toEqual(['stored:from a', 'stored:from c'])
    // Nobody gets its own back: it would be there before what follows.
    a.network.publish([record('stored:then a')])
    await until(() => c.ingest.payloads.includes('stored:then a'), 'c has the second record of a')
    c.network.publish([record('stored:then c')])
    await until(() => a.ingest.payloads.includes('stored:then c'), 'a has the second record of c')
    expect(a.ingest.payloads).toEqual(['stored:from c', 'stored:then c'])
    expect(c.ingest.payloads).toEqual(['stored:from a', 'stored:then a'])
  })

  test('a peer counts the new records that it delivered, also after it connects again, and no others', async () => {
    const a = await startNode()
    const b = await startNode({ peers: [addressOf(a)] })
    await meshed(a, b)
    const received = (): (number | undefined)[] => a.network.peers().map((peer) => peer.gossip_records_in)
    b.network.publish([record('stored:1'), record('pending:2'), record('duplicate:3')])
    await until(() => a.ingest.payloads.length === 3, 'a has the message')
    await until(() => received()[0] === 2, 'two records were new')
    b.network.publish([record('duplicate:4')])
    await until(() => a.ingest.payloads.length === 4, 'a has the second message')
    await stopNode(b)
    await until(() => a.network.peers().length === 0, 'b is gone')
    const again = await startNode({ peers: [addressOf(a)], privateKey: b.privateKey })
    await meshed(a, again)
    expect(received()).toEqual([2])
    expect(again.network.peers().map((peer) => peer.gossip_records_in)).toEqual([0])
  })

  test('1,000 records leave in few messages and all arrive', async () => {
    const [a, b, c] = (await line(3)) as [TestNode, TestNode, TestNode]
    const texts = Array.from({ length: 1000 }, (_, index) => `stored:${index}:${'x'.repeat(450)}`)
    for (const text of texts) a.network.publish([record(text)])
    await until(() => c.ingest.payloads.length >= texts.length, 'all have arrived')
    expect([...c.ingest.payloads].sort()).toEqual([...texts].sort())
    // 530 KB in messages of at most 256 KiB.
    expect(b.ingest.submissions).toBeLessThanOrEqual(4)
    expect(c.ingest.submissions).toBe(b.ingest.submissions)
    const { text } = await a.metrics.expose()
    expect(text).toContain('avatar_kv_gossip_sent_records_total 1000')
  })

  test('16 MiB published at once arrive whole', async () => {
    const [a, , c] = (await line(3)) as [TestNode, TestNode, TestNode]
    const texts = Array.from({ length: 80 }, (_, index) => `stored:${index}:${'y'.repeat(200_000)}`)
    a.network.publish(texts.map(record))
    await until(() => c.ingest.payloads.length >= texts.length, 'all have arrived')
    expect(c.ingest.payloads).toEqual(texts)
  })

  test('nodes of different networks exchange no records', async () => {
    const a = await startNode()
    const b = await startNode({ network: 'other', peers: [addressOf(a)] })
    await until(() => a.network.peers().length === 1 && b.network.peers().length === 1, 'connected')
    const friend = await startNode({ peers: [addressOf(a)] })
    await meshed(a, friend)
    expect(a.network.peers()[0]).toMatchObject({ peer_id: b.network.peerId, gossip: false, direction: 'inbound' })
    a.network.publish([record('stored:secret')])
    await until(() => friend.ingest.payloads.includes('stored:secret'), 'its friend has the record')
    expect(b.ingest.submissions).toBe(0)
  })

  test('records published without peers are no error, and the next ones arrive', async () => {
    const a = await startNode()
    a.network.publish([record('stored:alone')])
    const b = await startNode({ peers: [addressOf(a)] })
    await meshed(a, b)
    a.network.publish([record('stored:together')])
    await until(() => b.ingest.payloads.includes('stored:together'), 'b has the record')
    expect(a.network.peers()).toMatchObject([{ peer_id: b.network.peerId, gossip: true, agent: 'avatar-kv' }])
    expect(Math.abs((a.network.peers()[0]?.connected_at ?? 0) - Date.now() / 1000)).toBeLessThan(60)
  })
})
