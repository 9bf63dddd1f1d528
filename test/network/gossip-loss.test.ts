import { afterEach, describe, expect, test } from 'vitest'

import { IngestBusyError } from '../../src/ingest/errors.ts'
import { defaultNetworkLimits } from '../../src/network/limits.ts'
import { until } from '../support/until.ts'
import { addressOf, judged, meshed, record, startNode, stopAll, testIngest } from './nodes.ts'

afterEach(stopAll)

describe('what gossip loses is told', () => {
  test('when the door is full', async () => {
    let losses = 0
    const a = await startNode({ ingest: testIngest(new IngestBusyError(1)), onGossipLoss: () => (losses += 1) })
    const b = await startNode({ peers: [addressOf(a)] })
    await meshed(a, b)
    b.network.publish([record('stored:good')])
    expect(await judged(a, 1)).toEqual({ accept: 1 })
    expect(losses).toBe(0)
    b.network.publish([record('busy:full')])
    expect(await judged(a, 2)).toEqual({ accept: 1, ignore: 1 })
    expect(losses).toBe(1)
  })

  test('when more is waiting than may wait, or it takes too long', async () => {
    let losses = 0
    const validation = { ...defaultNetworkLimits.validation, timeoutMs: 300, waitingPerPeer: 1, runningPerPeer: 1 }
    const a = await startNode({ limits: { validation }, onGossipLoss: () => (losses += 1) })
    const b = await startNode({
      peers: [addressOf(a)],
      limits: { outbox: { ...defaultNetworkLimits.outbox, messageRecords: 1 } },
    })
    await meshed(a, b)
    b.network.publish([record('hang:1'), record('hang:2'), record('hang:3'), record('hang:4')])
    await judged(a, 4)
    expect(losses).toBe(4)
  })

  test('when own records are dropped', async () => {
    let losses = 0
    const outbox = { ...defaultNetworkLimits.outbox, queueBytes: 1000 }
    const a = await startNode({ limits: { outbox }, onGossipLoss: () => (losses += 1) })
    a.network.publish([record('stored:small')])
    expect(losses).toBe(0)
    a.network.publish(Array.from({ length: 20 }, (_, index) => record(`stored:${index}`)))
    expect(losses).toBe(1)
  })
})

test('a node without gossip neither sends nor takes records by it, and others do not count on it', async () => {
  const quiet = await startNode({ gossip: false })
  const a = await startNode({ peers: [addressOf(quiet)] })
  await until(
    () => a.network.sync.peers().length === 1 && quiet.network.sync.peers().length === 1,
    'they know each other',
  )
  const friend = await startNode({ peers: [addressOf(a)] })
  await meshed(a, friend)
  a.network.publish([record('stored:from a')])
  quiet.network.publish([record('stored:from the quiet one')])
  await until(() => friend.ingest.payloads.includes('stored:from a'), 'another node hears it')
  expect(a.ingest.payloads).toEqual([])
  expect(quiet.ingest.payloads).toEqual([])
  expect(a.network.peers()[0]?.gossip).toBe(false)
  expect(quiet.network.peers()[0]?.gossip).toBe(false)
})
