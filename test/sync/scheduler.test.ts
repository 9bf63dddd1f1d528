import { afterEach, describe, expect, test } from 'vitest'
import { watchGaps } from '../../src/sync/gap-watch.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { Writer } from '../store/writer.ts'
import { until } from '../support/until.ts'
import { areEqual, SyncNet } from './sync-net.ts'
import type { NetNode } from './sync-net.ts'

const net = new SyncNet()

afterEach(() => net.close())

function written(avatars: number, each: number, first = 1) {
  return Array.from({ length: avatars }, (_, at) => new Writer(first + at).chain(each)).flat()
}

/** Longer than any test takes. */
const NEVER = { intervalMs: 3_600_000 }

/** Whether a node whose interval is that has nothing to do until then: not for a moment either, while it reads its store. */
async function rests({ sync, delaysMs }: NetNode): Promise<boolean> {
  for (let turn = 0; turn < 100; turn += 1) {
    const isIdle = sync.peers().every(({ state }) => state === 'idle')
    if (!isIdle || delaysMs().some((delayMs) => delayMs < 600_000)) return false
    await new Promise((resolve) => setImmediate(resolve))
  }
  return true
}

describe('when', () => {
  test('two nodes that connect: one session makes both equal, and both know', async () => {
    const [a, b] = [await net.add('a', { limits: NEVER }), await net.add('b', { limits: NEVER })]
    await a.node.put(written(5, 4))
    await b.node.put(written(5, 4, 100))
    net.connect(a, b)
    await until(() => areEqual(a, b), 'equal')
    await until(() => b.sync.peers()[0]?.last !== null, 'b knows')
    expect(a.sync.peers()).toMatchObject([
      {
        peer_id: 'b',
        state: 'idle',
        role: null,
        progress: null,
        last: { outcome: 'equal', differences: 40, refused_here: 0, refused_there: 0, role: 'initiator' },
        sessions: 1,
        failures: 0,
        error: null,
        records_in: 20,
        records_out: 20,
      },
    ])
    expect(b.sync.peers()).toMatchObject([{ peer_id: 'a', last: { outcome: 'equal', role: 'responder' } }])
    expect([...a.transport.lines, ...b.transport.lines].length).toBe(1)
  })

  test('a host whose peers open sessions and say nothing leaves places for others', async () => {
    const limits = { ...NEVER, inbound: 4, openMs: 60_000, stallMs: 60_000 }
    const node = await net.add('z', { limits })
    await node.node.put(written(3, 3))
    const silent = await Promise.all(
      ['evil-1', 'evil-2', 'evil-3', 'evil-4'].map((name) => net.add(name, { limits: NEVER })),
    )
    const answers: Promise<unknown>[] = []
    for (const peer of silent) {
      net.connect(peer, node)
      // A stream on which nothing is ever sent.
      answers.push((await peer.transport.open('z')).receive().catch((error: unknown) => error))
    }
    // A quarter of four sessions is one; the others are refused at once.
    await Promise.all(answers.slice(1))
    const good = await net.add('good', { limits: NEVER })
    net.connect(good, node)
    await until(() => areEqual(good, node), 'equal')
  })

  test('a line of three, on the timer', async () => {
    const [a, b, c] = [await net.add('a'), await net.add('b'), await net.add('c')]
    net.connect(a, b)
    net.connect(b, c)
    await a.node.put(written(3, 3))
    await c.node.put(written(3, 3, 50))
    await until(() => areEqual(a, b, c), 'equal')
    expect((await b.node.ids()).length).toBe(18)
    // And then they rest: sessions go on, and move nothing.
    const sessions = b.sync.peers().map((peer) => peer.sessions)
    const moved = b.sync.peers().map((peer) => peer.records_in + peer.records_out)
    await until(() => b.sync.peers().every((peer, at) => peer.sessions >= sessions[at]! + 2), 'two more sessions')
    expect(b.sync.peers().map((peer) => peer.records_in + peer.records_out)).toEqual(moved)
  })

  test('an empty node joins several full ones: one of them at a time brings all', async () => {
    const records = written(60, 40)
    const full = [await net.add('a'), await net.add('b'), await net.add('d')]
    for (const { node } of full) await node.put(records)
    const fresh = await net.add('c')
    for (const each of full) net.connect(each, fresh)
    await until(() => areEqual(fresh, full[0]!), 'equal', 30_000)
    const brought = fresh.sync.peers().reduce((sum, peer) => sum + peer.records_in, 0)
    // Once, or twice where the machine is so slow that the first peer loses its turn; never three times.
    expect(brought).toBeLessThan(records.length * 2.5)
  })

  test('both open at once: the smaller id goes on, and nothing failed', async () => {
    const [a, b] = [await net.add('a', { limits: NEVER }), await net.add('b', { limits: NEVER })]
    await a.node.put(written(2, 2))
    await b.node.put(written(2, 2, 20))
    let open = (): void => {}
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    a.transport.gate = gate
    b.transport.gate = gate
    net.connect(a, b)
    await until(() => [a, b].every(({ sync }) => sync.peers()[0]?.state === 'opening'), 'both open')
    open()
    await until(() => areEqual(a, b), 'equal')
    await until(() => a.sync.peers()[0]?.state === 'idle' && b.sync.peers()[0]?.state === 'idle', 'rest')
    const tries = [...a.transport.lines, ...b.transport.lines].map(({ to, line }) => [to, line.frames.length > 2])
    expect(tries).toEqual([
      ['b', true],
      ['a', false],
    ])
    expect(a.sync.peers()).toMatchObject([{ failures: 0, error: null, last: { role: 'initiator', outcome: 'equal' } }])
    expect(b.sync.peers()).toMatchObject([{ failures: 0, error: null, last: { role: 'responder', outcome: 'equal' } }])
    expect([...a.transport.penalties, ...b.transport.penalties]).toEqual([])
  })

  test('a nudge does not wait for the timer', async () => {
    const [a, b] = [await net.add('a', { limits: NEVER }), await net.add('b', { limits: NEVER })]
    net.connect(a, b)
    await until(() => b.sync.peers()[0]?.last !== null, 'first session')
    await a.node.put(written(2, 2))
    b.sync.nudge()
    await until(() => areEqual(a, b), 'equal')
  })

  test('what newly goes missing is asked for, of one peer after the other, and once', async () => {
    const chain = new Writer(1).chain(4)
    const [a, b, c] = [
      await net.add('a', { limits: NEVER }),
      await net.add('b', { limits: NEVER }),
      await net.add('c', { limits: NEVER }),
    ]
    net.connect(a, b)
    net.connect(a, c)
    await until(() => a.sync.peers().every(({ last }) => last !== null), 'first sessions')
    await c.node.put(chain.slice(1))
    const environment = systemEnvironment()
    const told: string[] = []
    const end = watchGaps({ store: a.node.store, environment }, (ids) => {
      told.push(...ids)
      a.sync.missing(ids)
    })
    await a.node.put(chain.slice(3))
    // 3 cites 2, which cites 1, which cites 0, that nobody has: each is a gap that is new.
    await until(async () => (await a.node.ids()).length === 3, 'three of four')
    await until(async () => (await a.node.store.summary(new Writer(1).avatar))?.missing.ids[0] === chain[0]!.id, 'gap')
    await until(async () => told.includes(chain[0]!.id) && (await rests(a)), 'both peers were asked for it')
    const asked = a.transport.lines.length
    a.sync.missing([chain[0]!.id])
    expect(await rests(a)).toBe(true)
    expect(a.transport.lines.length).toBe(asked)
    end()
    expect(a.transport.penalties).toEqual([])
  })

  test('a peer that fails is left alone longer and longer, and the others are not', async () => {
    const often = { limits: { intervalMs: 100 } }
    const [a, bad, good] = [await net.add('a', often), await net.add('bad'), await net.add('good')]
    a.transport.behaviour.set('bad', { cutAtFrame: 0 })
    net.connect(a, bad)
    net.connect(a, good)
    bad.sync.stop()
    await until(() => (a.sync.peers()[0]?.failures ?? 0) >= 4, 'failures')
    await good.node.put(written(2, 2))
    await until(() => areEqual(a, good), 'equal')
    expect(a.sync.peers()).toMatchObject([{ state: 'backing_off', error: 'broken' }, { failures: 0 }])
    // It waits for the bad one: eight times as long as after the first failure, within a quarter.
    expect(Math.max(...a.delaysMs())).toBeGreaterThan(500)
  })

  test('a peer of another network is refused, and not called again and again', async () => {
    const [a, b] = [await net.add('a'), await net.add('b', { network: 'test' })]
    net.connect(a, b)
    await until(() => a.sync.peers()[0]?.error === 'wrong_network', 'refused')
    expect(a.transport.lines.length).toBe(1)
    expect(Math.min(...a.delaysMs())).toBeGreaterThan(60_000)
    expect(a.transport.penalties).toEqual([])
  })

  test('peers that stall do not keep others waiting', async () => {
    const limits = { outbound: 2, turnMs: 300, stallMs: 4_000, openMs: 4_000 }
    const a = await net.add('a', { limits })
    const silent = await Promise.all(['s1', 's2', 's3'].map((name) => net.add(name, { limits: NEVER })))
    const good = await net.add('z', { limits: NEVER })
    // Its own call on connect never leaves.
    good.transport.gate = new Promise(() => {})
    for (const each of silent) {
      a.transport.behaviour.set(each.transport.localPeer, {
        change: (frame, direction) => (direction === 'back' ? null : frame),
      })
      net.connect(a, each)
    }
    await good.node.put(written(2, 3))
    net.connect(a, good)
    await until(() => areEqual(a, good), 'equal')
    expect((await a.node.ids()).length).toBe(6)
  })

  /** Connects peers whose answers never arrive. */
  async function connectSilent(to: NetNode, names: readonly string[]): Promise<void> {
    for (const name of names) {
      to.transport.behaviour.set(name, { change: (frame, direction) => (direction === 'back' ? null : frame) })
      const peer = await net.add(name, { limits: NEVER })
      // One way: its own calls fail.
      to.transport.meet(peer.transport)
    }
  }
  const calls = (node: NetNode): string[] => node.transport.lines.map(({ to }) => to)

  test('a peer of a host that has no session is called before the many that wait of others', async () => {
    const limits = { outbound: 2, turnMs: 1_500, stallMs: 60_000, openMs: 60_000, backoffMs: 60_000 }
    const a = await net.add('a', { limits })
    const good = await net.add('z', { limits: NEVER })
    await connectSilent(a, ['x-1', 'y-1'])
    await until(() => calls(a).length === 2, 'both places are taken')
    await connectSilent(
      a,
      [2, 3, 4, 5].flatMap((at) => [`x-${at}`, `y-${at}`]),
    )
    const waiting = (): number => a.sync.peers().filter(({ state }) => state === 'waiting').length
    await until(() => waiting() + calls(a).length >= 10, 'all others wait')
    const before = calls(a).length
    net.connect(a, good)
    await until(() => calls(a).includes('z'), 'it is called')
    // One for each place that may have become free before it waited.
    expect(calls(a).indexOf('z')).toBeLessThanOrEqual(before + 2)
  })

  test('a host that has its share takes no turn from another one', async () => {
    const limits = { outbound: 4, turnMs: 300, stallMs: 60_000, openMs: 60_000, backoffMs: 60_000 }
    const a = await net.add('a', { limits })
    await connectSilent(a, ['k-1', 'k-2', 'h-1', 'h-2'])
    await until(() => calls(a).length === 4, 'all places are taken')
    await connectSilent(a, ['h-3', 'h-4'])
    await until(() => calls(a).length === 6, 'the others of the host have had their turn')
    const kept = a.sync.peers().filter(({ peer_id }) => peer_id.startsWith('k-'))
    expect(kept).toMatchObject([
      { role: 'initiator', failures: 0 },
      { role: 'initiator', failures: 0 },
    ])
  })

  test('what breaks goes on after a reconnect', async () => {
    const [a, b] = [await net.add('a', { limits: NEVER }), await net.add('b', { limits: NEVER })]
    await b.node.put(written(40, 30))
    a.transport.behaviour.set('b', {
      change(frame, _direction, number) {
        if (number === 4) queueMicrotask(() => net.disconnect(a, b))
        return frame
      },
    })
    net.connect(a, b)
    await until(() => a.sync.peers().length === 0, 'disconnected')
    a.transport.behaviour.clear()
    net.connect(a, b)
    await until(() => areEqual(a, b), 'equal')
    expect((await a.node.ids()).length).toBe(1_200)
  })

  test('what peers do, good or bad, causes no log line at info or above', async () => {
    const [a, b, bad] = [await net.add('a'), await net.add('b'), await net.add('c')]
    await b.node.put(written(2, 3))
    a.transport.behaviour.set('c', { change: (frame, direction) => (direction === 'back' ? Uint8Array.of(8) : frame) })
    net.connect(a, b)
    net.connect(a, bad)
    await until(() => areEqual(a, b), 'equal')
    await until(() => a.transport.penalties.length >= 2, 'one broke the rules twice')
    expect(a.log.filter(({ level }) => Number(level) >= 30)).toEqual([])
  })

  test('a long session with a peer that the operator named tells how far it is; with any other it does not', async () => {
    const [a, b] = [await net.add('a', { limits: { progressMs: 20 } }), await net.add('b')]
    a.transport.configured.add('b')
    const c = await net.add('c', { limits: { progressMs: 20 } })
    await b.node.put(written(40, 30))
    net.connect(a, b)
    await until(() => areEqual(a, b), 'equal')
    expect(a.log).toContainEqual(
      expect.objectContaining({ level: 30, msg: 'sync goes on', peer: 'b', phase: 'bootstrapping', total: 1_200 }),
    )
    net.connect(c, b)
    await until(() => areEqual(c, b), 'equal')
    const said = c.log.filter(({ msg }) => msg === 'sync goes on')
    expect(new Set(said.map(({ level }) => level))).toEqual(new Set([20]))
  })
})

describe('a node that takes no records now', () => {
  test.each([0, 6])(
    'asks for none and still sends its %i avatars; peers keep their score; room brings the rest',
    async (avatars) => {
      let isClosed = false
      const a = await net.add('a', { isClosed: () => isClosed, limits: { intervalMs: 100 } })
      const b = await net.add('b', { limits: { intervalMs: 100 } })
      await a.node.put(written(avatars, 2))
      await b.node.put(written(600, 2, 100))
      isClosed = true
      net.connect(a, b)
      await until(() => b.node.store.totals().avatars === 600 + avatars, 'b has the records of a')
      const opened = a.transport.lines.length
      await until(() => a.transport.lines.length > opened + 2, 'a asked again')
      expect(a.node.store.totals().avatars).toBe(avatars)
      isClosed = false
      a.sync.policyChanged()
      a.sync.nudge()
      await until(() => areEqual(a, b), 'equal')
      expect([a.transport.penalties, b.transport.penalties]).toEqual([[], []])
    },
  )
})
