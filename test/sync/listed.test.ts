import { afterEach, describe, expect, test } from 'vitest'
import { decodeFrame } from '../../src/sync/frame-decoder.ts'
import { encodeFrame } from '../../src/sync/frame-encoder.ts'
import type { Frame } from '../../src/sync/frame-types.ts'
import { createMemoryIndex } from '../../src/negentropy/memory-index.ts'
import { runInitiator } from '../../src/sync/initiator.ts'
import { runResponder, type ServedReport } from '../../src/sync/responder.ts'
import { openingOf, ownList } from '../../src/sync/scope.ts'
import { SyncError } from '../../src/sync/errors.ts'
import type { Scope, SyncSource } from '../../src/store/types.ts'
import { Writer } from '../store/writer.ts'
import { streamPair } from './stream-pair.ts'
import { until } from '../support/until.ts'
import { SyncNet } from './sync-net.ts'
import { openNode, sync, type SyncNode } from './sync-node.ts'

const EMPTY = new Uint8Array(0)
const [one, two, three] = [new Writer(1), new Writer(2), new Writer(3)]
const chains = [1, 2, 3].map((seed) => new Writer(seed).chain(3))

const nodes: SyncNode[] = []
async function node(scope: Scope = 'all'): Promise<SyncNode> {
  const made = await openNode({ scope })
  nodes.push(made)
  return made
}

const net = new SyncNet()
afterEach(async () => {
  await net.close()
  for (const each of nodes.splice(0)) await each.close()
})

/** The first message of a pass over nothing. */
const OPENING_OF_NOTHING = await openingOf(Object.assign(createMemoryIndex([]), { close: () => Promise.resolve() }))

/** Serves a peer that sends these frames and takes every answer. */
async function serve(victim: SyncNode, frames: readonly Frame[], source?: SyncSource) {
  const line = streamPair()
  const answers: Frame[] = []
  const peer = async (): Promise<void> => {
    for (const frame of frames) {
      await line.streams[0].send(encodeFrame(frame))
      const answer = await line.streams[0].receive()
      if (answer !== null) answers.push(decodeFrame(answer))
    }
    await line.streams[0].close()
  }
  const parts = victim.parts('a', source === undefined ? {} : { source })
  const [served] = await Promise.all([runResponder(parts, line.streams[1]), peer()])
  return { served, answers }
}

async function hello(source: SyncSource, scope: Parameters<typeof ownList>[1]): Promise<Frame> {
  const { frame } = await ownList(source, scope, { listedUpTo: 0 })
  const nothing = { count: 0, opening: EMPTY, mark: null }
  return { kind: 'hello', version: 2, network: 'main', purpose: 'reconcile', list: frame, ...nothing }
}

describe('who was called says equal', () => {
  const isEqual = ({ served }: { served: ServedReport }): boolean => served.isEqual

  test('of what both care for and hold alike', async () => {
    const victim = await node()
    await victim.put(chains.flat())
    expect(isEqual(await serve(victim, [await hello(victim.store.sync, [one.avatar])]))).toBe(true)
  })

  test('not of a list of nobody, nor of a list with nobody whom it cares for', async () => {
    const victim = await node([two.avatar])
    await victim.put(chains[1]!)
    const { sync: source } = victim.store
    expect(isEqual(await serve(victim, [await hello(source, [])]))).toBe(false)
    expect(isEqual(await serve(victim, [await hello(source, [one.avatar])]))).toBe(false)
  })

  test('not where a pass was about nobody, or about some of those that differ', async () => {
    const [victim, other] = [await node(), await node()]
    await victim.put(chains.flat())
    const greeting = await hello(other.store.sync, [one.avatar, two.avatar])
    const pass = (subset: number): Frame => ({
      kind: 'reconcile',
      pass: 1,
      message: OPENING_OF_NOTHING,
      subset: Uint8Array.of(subset),
    })
    expect(isEqual(await serve(victim, [greeting, pass(0)]))).toBe(false)
    expect(isEqual(await serve(victim, [greeting, pass(1)]))).toBe(false)
  })

  test('after all that differed was found equal, in one pass or in several', async () => {
    const [victim, other] = [await node(), await node([one.avatar, two.avatar])]
    await victim.put(chains.flat())
    const { mine, theirs } = await sync(other, victim)
    expect([mine.report?.outcome, theirs.report?.isEqual]).toEqual(['equal', true])
  })

  test('not of everything where only the caller has compared', async () => {
    const [victim, other] = [await node([one.avatar, two.avatar]), await node()]
    await victim.put(chains[0]!)
    await other.put(chains.flat())
    const { mine, theirs } = await sync(other, victim)
    expect([mine.report?.outcome, theirs.report?.isEqual]).toEqual(['equal', false])
  })
})

test('who is full refuses a pass in the middle of a session, and that is no failure', async () => {
  const [victim, other] = [await node(), await node([one.avatar])]
  await victim.put(chains.flat())
  const full = new SyncError('refused', 'Too many.', { refusal: 'full' })
  const { sync: source } = victim.store
  const line = streamPair()
  const [mine, theirs] = await Promise.allSettled([
    runInitiator(other.parts('b'), line.streams[0]),
    runResponder(
      victim.parts('a', { source: { ...source, readSnapshot: () => Promise.reject(full) } }),
      line.streams[1],
    ),
  ])
  expect(mine).toMatchObject({ reason: { code: 'refused', refusal: 'full', blame: false } })
  expect(theirs).toMatchObject({ value: { isEqual: false, refused: 'full' } })
})

test('many records are compared some avatars at a time, on both sides', async () => {
  const writers = [1, 2, 3, 4, 5].map((seed) => new Writer(seed))
  const scope = writers.map(({ avatar }) => avatar)
  const [a, b] = [await node(scope), await node()]
  await a.put(writers.flatMap((writer) => writer.chain(2)))
  await b.put(new Writer(5).chain(3))
  await b.put(chains[0]!)
  const asked: number[][] = [[], []]
  const watched = (each: SyncNode, at: number, weight: number): SyncSource => ({
    ...each.store.sync,
    avatarSums: async (avatars) => {
      const sums = await each.store.sync.avatarSums(avatars)
      return sums.map((sum) => ({ ...sum, count: sum.count * weight }))
    },
    readSnapshot: (of) => {
      asked[at]!.push(of.length)
      return each.store.sync.readSnapshot(of)
    },
  })
  b.parts = (
    (parts) => (peer, overrides) =>
      parts(peer, { source: watched(b, 1, 1), ...overrides })
  )(b.parts)
  // As if each of the avatars had 30,000 records.
  const { mine, theirs } = await sync(a, b, {}, { source: watched(a, 0, 15_000) })
  expect([mine.error, theirs.error]).toEqual([undefined, undefined])
  expect(mine.report).toEqual({ outcome: 'equal', differences: 8, refusedHere: 0, refusedThere: 0 })
  expect(asked[0]).toEqual([2, 2, 2, 2, 1, 1])
  expect(asked[1]).toEqual(asked[0])
  expect(theirs.report?.isEqual).toBe(true)
  expect(await b.ids()).toHaveLength(12)
})

describe('peers that have no avatar in common', () => {
  const NEVER = { intervalMs: 3_600_000 }

  test('do not put off the session of the other, however often they call', async () => {
    const a = await net.add('a', { limits: { intervalMs: 150 }, scope: [] })
    const b = await net.add('b', { limits: NEVER })
    net.connect(a, b)
    await until(() => a.transport.lines.length >= 3, 'calls')
    expect(b.sync.peers()[0]?.last?.role).not.toBe('responder')
    await until(() => b.transport.lines.length > 0, 'the session of its own')
  })

  test('rest, after a session of each', async () => {
    const a = await net.add('a', { limits: NEVER, scope: [one.avatar] })
    const b = await net.add('b', { limits: NEVER, scope: [three.avatar] })
    await a.node.put(chains[0]!)
    await b.node.put(chains[2]!)
    net.connect(a, b)
    await until(() => [a, b].every(({ sync: each }) => each.peers()[0]?.last?.role === 'initiator'), 'both know')
    for (const each of [a, b]) expect(Math.min(...each.delaysMs())).toBeGreaterThan(600_000)
    expect([a.transport.lines.length, b.transport.lines.length]).toEqual([1, 1])
    expect([...a.transport.penalties, ...b.transport.penalties]).toEqual([])
    expect(a.sync.peers()).toMatchObject([{ state: 'idle', failures: 0, last: { outcome: 'equal' } }])
  })
})
