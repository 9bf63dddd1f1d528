import { describe, expect, it, vi } from 'vitest'

import { createFollower } from '../../src/follow/follower.ts'
import { bitsOf, decodeFollowFrame, encodeFollowFrame, hasBit } from '../../src/follow/frames.ts'
import { DEBT_MS, MAX_QUEUED_BYTES, MAX_STREAMS, REVIEW_MS, SETTLE_MS } from '../../src/follow/limits.ts'
import { createFollowServer } from '../../src/follow/server.ts'
import type { IngestResult } from '../../src/ingest/types.ts'
import { createMetrics } from '../../src/observe/metrics.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { payloadHead } from '../../src/record/payload-head.ts'
import type { Avatar, SignedRecord } from '../../src/record/types.ts'
import type { Scope } from '../../src/store/types.ts'
import { memoryPipe } from '../support/pipe.ts'
import { sleep, until } from '../support/until.ts'
import { createWriter } from '../support/writer.ts'
import { silent } from '../network/nodes.ts'

const environment = systemEnvironment()
const avatarOf = (payload: Uint8Array) => payloadHead(payload)?.avatar

function createServer(hosts: (avatar: Avatar) => boolean = () => true, host = (peer: string) => peer) {
  const penalties: string[] = []
  const transport = {
    hostOf: (peer: string) => ({ key: host(peer) }),
    penalize: (peer: string, code: string) => void penalties.push(`${peer} ${code}`),
  }
  const parts = { transport, hosts, avatarOf, environment, metrics: createMetrics() }
  return { ...createFollowServer(parts, { network: 'main' }), penalties, metrics: parts.metrics }
}

type Server = ReturnType<typeof createServer>

/** A node with a list, and peers that serve it. */
function createListed(scope: () => Scope, peers: Map<string, Server>, gossipPeers: string[] = []) {
  const seen: SignedRecord[] = []
  const gossip: boolean[] = []
  const penalties: string[] = []
  const open = new Map<string, { abort(reason: Error): void }>()
  let nudges = 0
  let status: IngestResult['status'] = 'stored'
  const follower = createFollower(
    {
      transport: {
        peers: () => [...peers.keys()],
        isConfigured: () => false,
        hostOf: (peer) => ({ key: peer }),
        penalize: (peer, code) => void penalties.push(`${peer} ${code}`),
        async open(peer) {
          const [mine, theirs] = memoryPipe()
          open.set(peer, theirs)
          peers.get(peer)?.serve('listed', theirs)
          return mine
        },
      },
      scope,
      ingest: {
        async submit(records) {
          seen.push(...records)
          return records.map(() => ({ id: null, status }))
        },
      },
      gossipPeers: () => gossipPeers,
      useGossip: (on) => void gossip.push(on),
      nudge: () => (nudges += 1),
      comparedAtMs: () => Date.now() + 60_000,
      avatarOf,
      environment,
      logger: silent,
      metrics: createMetrics(),
    },
    { network: 'main' },
  )
  return {
    ...follower,
    seen,
    gossip,
    penalties,
    open,
    nudges: () => nudges,
    answer: (next: typeof status) => (status = next),
  }
}

const [ours, theirs] = [createWriter('followed'), createWriter('not followed')]

describe('a node that follows its list', () => {
  it('gets the new records of its avatars and no others, and stays off the topic', async () => {
    const server = createServer()
    const listed = createListed(() => [ours.avatar], new Map([['a', server]]), ['a'])
    listed.start()
    await until(() => listed.nudges() > 0, 'the peer has answered')
    const [mine, other] = [ours.write({ a: 1 }), theirs.write({ a: 1 })]
    server.push([other, mine])
    await until(() => listed.seen.length > 0, 'a record arrives')
    await sleep(50)
    expect(listed.seen.map(({ payload }) => avatarOf(payload))).toEqual([ours.avatar])
    expect(listed.gossip).toEqual([false])
    listed.stop()
  })

  it('stays off the topic among more peers than it follows', async () => {
    const peers = new Map(['a', 'b', 'c', 'd', 'e'].map((peer) => [peer, createServer()]))
    const listed = createListed(() => [ours.avatar], peers, [...peers.keys()])
    listed.start()
    await until(() => listed.nudges() > 0, 'a peer has answered')
    await sleep(500)
    expect(listed.open.size).toBe(2)
    expect(listed.gossip).toEqual([false])
    listed.stop()
  })

  it('takes the topic where a peer gossips that cannot be followed, until its avatars are followed elsewhere', async () => {
    const peers = new Map<string, Server>()
    const listed = createListed(() => [ours.avatar], peers, ['old'])
    listed.start()
    expect(listed.gossip).toEqual([true])
    peers.set('new', createServer())
    listed.changed()
    await until(() => listed.gossip.length === 2, 'it leaves the topic')
    expect(listed.gossip).toEqual([true, false])
    listed.stop()
  })

  it('takes the topic where the peers that it can follow do not keep an avatar, and where it stores everything', async () => {
    const ignorant = createServer((avatar) => avatar !== ours.avatar)
    const listed = createListed(() => [ours.avatar, theirs.avatar], new Map([['a', ignorant]]), ['old'])
    listed.start()
    await until(() => listed.nudges() > 0, 'the peer has answered')
    ignorant.push([theirs.write({ c: 1 })])
    await until(() => listed.seen.length > 0, 'a record arrives')
    await sleep(300)
    expect(listed.gossip).toEqual([true])
    listed.stop()
    const full = createListed(() => 'all', new Map([['a', createServer()]]), ['a'])
    full.start()
    expect(full.gossip).toEqual([true])
    full.stop()
  })

  it('asks for a sync when a stream begins and breaks, and when it missed records', async () => {
    const server = createServer()
    const listed = createListed(() => [ours.avatar], new Map([['a', server]]))
    listed.start()
    await until(() => listed.nudges() === 1, 'the stream has begun')
    const large = ours.write({ text: 'x'.repeat(200_000) })
    server.push(Array.from({ length: Math.ceil(MAX_QUEUED_BYTES / 200_000) + 2 }, () => large))
    await until(() => listed.nudges() === 2, 'it missed records')
    listed.open.get('a')?.abort(new Error('the line broke'))
    await until(() => listed.nudges() === 3, 'the stream has broken')
    listed.stop()
  })

  it('takes the topic, and follows at another peer, if a peer does not send what sync brings', async () => {
    vi.useFakeTimers()
    const silent = createServer()
    const peers = new Map([['silent', silent]])
    const listed = createListed(() => [ours.avatar], peers, ['silent'])
    listed.start()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(listed.gossip).toEqual([false])
    listed.synced([ours.write({ late: 1 })])
    await vi.advanceTimersByTimeAsync(DEBT_MS + SETTLE_MS)
    expect(listed.gossip).toEqual([false, true])
    peers.set('honest', createServer())
    listed.changed()
    await vi.advanceTimersByTimeAsync(1_000)
    expect([...listed.open.keys()]).toEqual(['silent', 'honest'])
    expect(listed.gossip).toEqual([false, true, false])
    listed.stop()
    vi.useRealTimers()
  })

  it('gives the place of peers that send nothing to others', async () => {
    vi.useFakeTimers()
    const peers = new Map(Array.from({ length: MAX_STREAMS }, (_, at) => [`silent ${at}`, createServer()]))
    const listed = createListed(() => [ours.avatar], peers)
    listed.start()
    for (let round = 0; round < MAX_STREAMS / 2; round += 1) {
      await vi.advanceTimersByTimeAsync(1_000)
      listed.synced([ours.write({ round })])
      await vi.advanceTimersByTimeAsync(DEBT_MS + SETTLE_MS)
    }
    expect(listed.open.size).toBe(MAX_STREAMS)
    const honest = createServer()
    peers.set('honest', honest)
    listed.changed()
    await vi.advanceTimersByTimeAsync(REVIEW_MS)
    expect(listed.open.has('honest')).toBe(true)
    honest.push([ours.write({ live: 1 })])
    await vi.advanceTimersByTimeAsync(1_000)
    expect(listed.seen).toHaveLength(1)
    listed.stop()
    vi.useRealTimers()
  })

  it('sends a changed list, and penalises a peer that sends an invalid record', async () => {
    let scope: readonly Avatar[] = [ours.avatar]
    const server = createServer()
    const listed = createListed(() => scope, new Map([['a', server]]))
    listed.start()
    await until(() => listed.nudges() === 1, 'the first list is answered')
    scope = [theirs.avatar]
    listed.changed()
    await until(() => listed.nudges() === 2, 'the second list is answered')
    server.push([ours.write({ b: 1 }), theirs.write({ b: 1 })])
    await until(() => listed.seen.length > 0, 'a record arrives')
    expect(listed.seen.map(({ payload }) => avatarOf(payload))).toEqual([theirs.avatar])
    listed.answer('invalid')
    server.push([theirs.write({ b: 2 })])
    await until(() => listed.penalties.length > 0, 'the peer is penalised')
    expect(listed.penalties).toEqual(['a bad_message'])
    listed.stop()
  })
})

describe('a node that serves followers', () => {
  const list = (avatars: readonly Avatar[]) => encodeFollowFrame({ kind: 'follow', network: 'main', avatars })
  const many = (count: number) =>
    Array.from({ length: count }, (_, at): Avatar => `0x02${at.toString(16).padStart(64, '0')}`)

  it('divides avatars between hosts', async () => {
    const server = createServer(undefined, (peer) => peer.split(' ')[0] ?? '')
    const ask = async (peer: string, avatars: readonly Avatar[]) => {
      const [mine, other] = memoryPipe()
      server.serve(peer, other)
      await mine.send(list(avatars))
      return await mine.receive().then(
        (frame) => frame !== null,
        () => false,
      )
    }
    const full = many(10_000)
    const greedy = await Promise.all(Array.from({ length: 5 }, (_, at) => ask(`greedy ${at}`, full)))
    expect(greedy).toEqual([true, true, false, false, false])
    expect(await ask('modest', many(3))).toBe(true)
  })

  it.each([
    ['no frame', new Uint8Array([1, 2, 3])],
    ['a list that is not ascending', list([...many(2)].toReversed())],
    ['a list with what is no avatar', list([`0x05${'0'.repeat(64)}` as Avatar])],
    ['records', encodeFollowFrame({ kind: 'records', records: [] })],
  ])('penalises %s', async (_, frame) => {
    const server = createServer()
    const [mine, other] = memoryPipe()
    server.serve('rude', other)
    await mine.send(frame)
    await expect(mine.receive()).rejects.toThrow('rules')
    expect(server.penalties).toEqual(['rude bad_message'])
  })
})

it('encodes what it decodes', () => {
  const avatars = [ours.avatar, theirs.avatar].toSorted()
  const frames = [
    { kind: 'follow', network: 'main', avatars },
    { kind: 'following', common: bitsOf(avatars, (avatar) => avatar === ours.avatar) },
    { kind: 'missed' },
  ] as const
  for (const frame of frames) expect(decodeFollowFrame(encodeFollowFrame(frame))).toEqual(frame)
  const bits = bitsOf(avatars, (avatar) => avatar === ours.avatar)
  expect(avatars.filter((__, at) => hasBit(bits, at))).toEqual([ours.avatar])
})
