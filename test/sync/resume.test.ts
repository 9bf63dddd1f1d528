import { afterEach, describe, expect, test } from 'vitest'
import { idKey } from '../../src/sync/ids.ts'
import { payloadHead } from '../../src/record/payload-head.ts'
import { streamPair } from './stream-pair.ts'
import { runInitiator } from '../../src/sync/initiator.ts'
import { runResponder } from '../../src/sync/responder.ts'
import { signBody } from '../oracle/signing.ts'
import { entry, Writer } from '../store/writer.ts'
import { NOW_S, openNode, sortedIds, sync, type SyncNode, type SyncNodeOptions } from './sync-node.ts'

const nodes: SyncNode[] = []

async function node(options?: SyncNodeOptions): Promise<SyncNode> {
  const made = await openNode(options)
  nodes.push(made)
  return made
}

afterEach(async () => {
  for (const each of nodes.splice(0)) await each.close()
})

function written(avatars: number, each: number, first = 1) {
  return Array.from({ length: avatars }, (_, at) => new Writer(first + at).chain(each)).flat()
}

/** 20 records of about 40 KB, each a second later than the one before. */
function large(count: number, writer = new Writer(50)) {
  return Array.from({ length: count }, (_, at) => {
    const { body } = writer.patch([], { text: 'x'.repeat(40_000), at })
    return signBody(writer.key, { ...body, created_at: body.created_at + at })
  })
}

describe('a session that breaks', () => {
  test('at any frame: the next one goes on, and what was there stays', async () => {
    const common = written(10, 5)
    const [left, right] = [written(20, 5, 100), written(20, 5, 200)]
    const probe = await Promise.all([node(), node()])
    await probe[0].put([...common, ...left])
    await probe[1].put([...common, ...right])
    const whole = (await sync(probe[0], probe[1])).line.frames.length
    expect(whole).toBeGreaterThan(8)
    for (let cutAtFrame = 0; cutAtFrame < whole; cutAtFrame += 1) {
      const [a, b] = [await node(), await node()]
      await a.put([...common, ...left])
      await b.put([...common, ...right])
      const cut = await sync(a, b, { cutAtFrame })
      expect(cut.mine.error).toMatchObject({ code: 'broken', blame: false })
      const before = (await a.ids()).length
      expect(before).toBeGreaterThanOrEqual(150)
      expect((await sync(b, a)).mine.report?.outcome).toBe('equal')
      expect(await a.ids()).toEqual(await b.ids())
      expect((await a.ids()).length).toBe(250)
    }
  })

  test('in the middle of a bootstrap: it goes on at its mark, though newer records came meanwhile', async () => {
    const records = large(80)
    const [a, b] = [await node(), await node()]
    await b.put(records)
    const cut = await sync(a, b, { cutAtFrame: 12 })
    expect(cut.mine.error?.code).toBe('broken')
    const mark = await a.mark.read()
    expect(mark?.timestamp).toBeGreaterThan(payloadHead(records[10]!.payload)!.createdAt)
    const had = (await a.ids()).length
    expect(had).toBeGreaterThan(20)
    // By gossip.
    await a.put(records.slice(-2))
    const again = await sync(a, b)
    expect(again.mine.report?.outcome).toBe('equal')
    expect(await a.ids()).toEqual(await b.ids())
    // Only frames after the mark were streamed again: at most 8 of 6 records.
    expect(again.parts.progress.recordsIn).toBeLessThan(80 - had + 2 + 8 * 6 + 6)
    expect(again.parts.progress.recordsIn).toBeGreaterThanOrEqual(80 - had - 2)
    expect(await a.mark.read()).toBeNull()
  })

  test('ten times during a bootstrap: equal in the end, and never back at the start', async () => {
    const records = written(60, 30)
    const [a, b] = [await node(), await node()]
    await b.put([...records, ...large(60)])
    let had = 0
    for (let broken = 0; broken < 10; broken += 1) {
      await sync(a, b, { cutAtFrame: 4 })
      const has = (await a.ids()).length
      expect(has).toBeGreaterThanOrEqual(had)
      had = has
    }
    expect(had).toBeGreaterThan(0)
    expect((await sync(a, b)).mine.report?.outcome).toBe('equal')
    expect(await a.ids()).toEqual(await b.ids())
  })

  test('when this node stops: no record is half there, nothing is left behind', async () => {
    const [a, b] = [await node(), await node()]
    await a.put(written(5, 10))
    await b.put(written(30, 10, 100))
    const controller = new AbortController()
    const line = streamPair({
      change(frame, _direction, number) {
        if (number === 4) controller.abort()
        return frame
      },
    })
    const ended = await Promise.allSettled([
      runInitiator(a.parts('b', { signal: controller.signal }), line.streams[0]),
      runResponder(b.parts('a'), line.streams[1]),
    ])
    expect(ended[0]).toMatchObject({ reason: { code: 'stopped' } })
    expect(ended[1]).toMatchObject({ reason: { code: 'broken', blame: false } })
    expect((await sync(a, b)).mine.report?.outcome).toBe('equal')
  })
})

describe('what is refused', () => {
  test('is not asked for again before its time', async () => {
    const writer = new Writer(1)
    const early = writer.patch([])
    const ahead = signBody(writer.key, { ...writer.patch([]).body, created_at: NOW_S + 7_200 })
    const [a, b] = [await node(), await node()]
    b.clock.nowMs += 7_200_000
    await a.put([early, ...written(3, 5, 10)])
    await b.put([early, ahead, ...written(3, 5, 10)])
    const first = await sync(a, b)
    expect(first.mine.report).toEqual({
      outcome: 'equal_except_refused',
      differences: 1,
      refusedHere: 1,
      refusedThere: 0,
    })
    expect(first.parts.progress.recordsIn).toBe(1)
    const second = await sync(a, b)
    expect(second.mine.report?.outcome).toBe('equal_except_refused')
    expect(second.parts.progress.recordsIn).toBe(0)
    // The other way round it is offered once, and then left alone.
    const third = await sync(b, a)
    expect(third.mine.report).toMatchObject({ outcome: 'equal_except_refused', refusedThere: 1 })
    expect((await sync(b, a)).parts.progress.recordsOut).toBe(0)
    a.clock.nowMs += 3_601_000
    expect((await sync(a, b)).mine.report?.outcome).toBe('equal')
    expect(await a.ids()).toEqual(await b.ids())
  })

  test('what is superseded here is not asked for again', async () => {
    const writer = new Writer(1)
    const chain = writer.chain(6)
    const part = writer.part(7, [entry({ a: 1 })])
    const snapshot = writer.snapshot(chain.slice(-1), [], [part.id])
    const [a, b] = [await node(), await node()]
    await a.put([...chain, part, snapshot])
    await b.put(chain)
    // The snapshot has no effect at b, which refuses its part for now.
    b.refusals.forAWhile(keyOf(part.id))
    const first = await sync(b, a)
    expect(first.mine.report).toMatchObject({ outcome: 'equal_except_refused', refusedHere: 1 })
    const again = await sync(a, b)
    expect(again.mine.report?.outcome).toMatch(/^equal/)
    expect((await sync(a, b)).parts.progress.recordsIn).toBe(0)
    expect(await a.ids()).toEqual(sortedIds([part, snapshot]))
  })
})

function keyOf(id: string): string {
  return idKey(Buffer.from(id.slice(2), 'hex'))
}

describe('bounds', () => {
  test('who takes slowly holds the sender back', async () => {
    const [a, b] = [await node({ ingest: { verifyRecords: 4, commitRecords: 4 } }), await node()]
    await b.put(large(120))
    const { mine, line } = await sync(a, b, { windowBytes: 300_000 })
    expect(mine.report?.outcome).toBe('equal')
    // The window, and the one frame that passed it.
    expect(line.mostWaitingBytes()).toBeLessThan(300_000 + 300_000)
  })

  test('a door that is busy is waited for', async () => {
    const [a, b] = [await node({ ingest: { waitingRecords: 24, verifyRecords: 8, commitRecords: 8 } }), await node()]
    await a.put(written(4, 10))
    await b.put(written(20, 10, 100))
    expect((await sync(a, b)).mine.report?.outcome).toBe('equal')
    expect((await a.ids()).length).toBe(240)
  })

  test('both stream at once through small windows', async () => {
    const [a, b] = [await node(), await node()]
    await a.put(large(40, new Writer(60)))
    await b.put(large(40, new Writer(61)))
    const { mine, line } = await sync(a, b, { windowBytes: 1_000 })
    expect(mine.report?.outcome).toBe('equal')
    expect(line.mostWaitingBytes()).toBeLessThan(301_000)
    expect((await a.ids()).length).toBe(80)
  })
})

describe('scopes', () => {
  test('a list and everything: only the avatars of the list, in both directions', async () => {
    const writers = [1, 2, 3, 4].map((seed) => new Writer(seed))
    const chains = writers.map((writer) => writer.chain(6))
    const list = writers.slice(0, 3).map(({ avatar }) => avatar)
    const [host, hub] = [await node({ scope: list }), await node()]
    await host.put([...chains[0]!, ...chains[1]!.slice(0, 2)])
    await hub.put([...chains[0]!, ...chains[2]!, ...chains[3]!])
    const { mine } = await sync(host, hub)
    expect(mine.report).toEqual({ outcome: 'equal', differences: 8, refusedHere: 0, refusedThere: 0 })
    expect(await host.ids()).toEqual(sortedIds([...chains[0]!, ...chains[1]!.slice(0, 2), ...chains[2]!]))
    expect((await hub.ids()).length).toBe(20)
    const equal = await sync(host, hub)
    expect(equal.mine.report).toEqual({ outcome: 'equal', differences: 0, refusedHere: 0, refusedThere: 0 })
    expect(equal.line.frames.length).toBe(2)
    // And called by the hub.
    await hub.put(chains[1]!)
    const back = await sync(hub, host)
    expect(back.mine.report).toEqual({ outcome: 'equal', differences: 4, refusedHere: 0, refusedThere: 0 })
    expect((await host.ids()).length).toBe(18)
    expect((await sync(hub, host)).line.frames.length).toBe(2)
  })

  test('two lists: what is on both', async () => {
    const writers = [1, 2, 3].map((seed) => new Writer(seed))
    const chains = writers.map((writer) => writer.chain(3))
    const [a, b] = [
      await node({ scope: [writers[0]!.avatar, writers[1]!.avatar] }),
      await node({ scope: [writers[2]!.avatar, writers[1]!.avatar] }),
    ]
    await a.put([...chains[0]!, ...chains[1]!])
    await b.put(chains[2]!)
    expect((await sync(b, a)).mine.report).toMatchObject({ outcome: 'equal', differences: 3 })
    expect(await b.ids()).toEqual(sortedIds([...chains[1]!, ...chains[2]!]))
    expect(await a.ids()).toEqual(sortedIds([...chains[0]!, ...chains[1]!]))
  })

  test('records of other avatars are not taken', async () => {
    const chain = new Writer(1).chain(3)
    const other = new Writer(2).chain(3)
    const [host, liar] = [await node({ scope: [new Writer(1).avatar] }), await node()]
    await liar.put([...chain, ...other])
    const line = streamPair()
    const { source, ...rest } = liar.parts('a')
    const lying = { ...rest, source: { ...source, signed: () => Promise.resolve(other) } }
    const [ended] = await Promise.allSettled([
      runInitiator(host.parts('b'), line.streams[0]),
      runResponder(lying, line.streams[1]),
    ])
    expect(ended).toMatchObject({ reason: { code: 'out_of_scope', blame: true } })
    expect(await host.ids()).toEqual([])
  })

  test('a list of nobody', async () => {
    const [host, hub] = [await node({ scope: [] }), await node()]
    await hub.put(new Writer(1).chain(3))
    expect((await sync(host, hub)).mine.report?.outcome).toBe('equal')
    expect((await sync(hub, host)).mine.report?.outcome).toBe('equal')
    expect(await host.ids()).toEqual([])
  })
})
