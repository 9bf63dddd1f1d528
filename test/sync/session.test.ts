import { afterEach, describe, expect, test } from 'vitest'
import type { TestRecord } from '../oracle/signing.ts'
import { signBody } from '../oracle/signing.ts'
import type { SessionParts } from '../../src/sync/session.ts'
import { sameBytes } from '../../src/negentropy/turn.ts'
import { Writer } from '../store/writer.ts'
import { fetch, openNode, sortedIds, sync, type SyncNode, type SyncNodeOptions } from './sync-node.ts'

const nodes: SyncNode[] = []

async function node(options?: SyncNodeOptions): Promise<SyncNode> {
  const made = await openNode(options)
  nodes.push(made)
  return made
}

afterEach(async () => {
  for (const each of nodes.splice(0)) await each.close()
})

/** Records of several avatars, `each` of one. */
function written(avatars: number, each: number, first = 1) {
  return Array.from({ length: avatars }, (_, at) => new Writer(first + at).chain(each)).flat()
}

/** A chain whose created_at falls while the counter grows, with `size` bytes of content each. */
function backwards(writer: Writer, length: number, size: number): TestRecord[] {
  const records: TestRecord[] = []
  for (let at = 0; at < length; at++) {
    const last = records.at(-1)
    const patch = { text: String(at % 10).repeat(size) }
    const { body } = writer.patch(last === undefined ? [] : [last], patch)
    records.push(signBody(writer.key, { ...body, created_at: 1_790_000_000 - at }))
  }
  return records
}

describe('two nodes that reconcile', () => {
  test('equal stores: one round trip, under 400 bytes in all', async () => {
    const records = written(40, 10)
    const [a, b] = [await node(), await node()]
    await a.put(records)
    await b.put([...records].reverse())
    const { mine, theirs, line } = await sync(a, b)
    expect(mine.report).toEqual({ outcome: 'equal', differences: 0, refusedHere: 0, refusedThere: 0 })
    expect(theirs.report).toEqual({ purpose: 'reconcile', isEqual: true, refused: null })
    expect(line.frames.map(({ direction }) => direction)).toEqual(['out', 'back'])
    expect(line.frames.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(100)
  })

  test('a chain that is dated backwards is taken in one session, though little of it fits into what is held back', async () => {
    const records = backwards(new Writer(1), 2_400, 12_000)
    const [a, b] = [await node(), await node()]
    await b.put(records)
    const { mine, parts } = await sync(a, b)
    expect(mine.report).toMatchObject({ outcome: 'equal', refusedHere: 0 })
    expect(await a.ids()).toEqual(await b.ids())
    // Once all of it, and then what was dropped, less each time.
    expect(parts.progress.recordsIn).toBeLessThan(3 * records.length)
  })

  test('what was refused by a policy that changed meanwhile is asked for again', async () => {
    const [a, b] = [await node(), await node()]
    const records = written(1, 3)
    await b.put(records)
    const refuse = (isChanged: boolean): SessionParts['ingest'] => ({
      async submit(submitted) {
        if (isChanged) a.refusals.clear()
        return submitted.map(({ payload }) => {
          const id = records.find((each) => sameBytes(each.payload, payload))?.id ?? null
          return { id, status: 'refused', code: 'not_hosted', message: 'Not kept here.' }
        })
      },
    })
    const changed = await sync(a, b, {}, { ingest: refuse(true) })
    expect(changed.mine.report).toMatchObject({ outcome: 'equal_except_refused', refusedHere: 3 })
    const refused = await sync(a, b, {}, { ingest: refuse(false) })
    expect(refused.parts.progress.recordsIn).toBe(3)
    const blocked = await sync(a, b)
    expect(blocked.parts.progress.recordsIn).toBe(0)
  })

  test('two empty stores are equal', async () => {
    const { mine } = await sync(await node(), await node())
    expect(mine.report?.outcome).toBe('equal')
  })

  test('an empty one takes all by a bulk stream, without ids', async () => {
    const records = written(30, 20)
    const [a, b] = [await node(), await node()]
    await b.put(records)
    const { mine, theirs, line, parts } = await sync(a, b)
    expect(mine).toEqual({ report: { outcome: 'equal', differences: 600, refusedHere: 0, refusedThere: 0 } })
    expect(theirs.report?.isEqual).toBe(true)
    expect(await a.ids()).toEqual(await b.ids())
    expect(parts.progress).toMatchObject({ recordsIn: 600, accepted: 600, recordsOut: 0 })
    const sent = line.frames.filter(({ direction }) => direction === 'out').reduce((sum, { bytes }) => sum + bytes, 0)
    expect(sent).toBeLessThan(200)
    expect(await a.mark.read()).toBeNull()
  })

  test('a full one that calls an empty one sends it few records at once, of many it lets itself be called', async () => {
    const [a, b, c] = [await node(), await node(), await node()]
    await a.put(written(3, 10))
    const small = await sync(a, b)
    expect(small.mine.report).toEqual({ outcome: 'equal', differences: 30, refusedHere: 0, refusedThere: 0 })
    expect(small.theirs.report?.isEqual).toBe(true)
    await a.put(written(40, 30, 10))
    const large = await sync(a, c)
    expect(large.mine.error).toMatchObject({ code: 'refused', refusal: 'reversed', blame: false })
    expect(large.theirs.report?.refused).toBe('reversed')
    expect((await sync(c, a)).mine.report?.outcome).toBe('equal')
  })

  test('disjoint stores exchange all, in one session', async () => {
    const [a, b] = [await node(), await node()]
    await a.put(written(20, 40))
    await b.put(written(20, 35, 100))
    const { mine, parts } = await sync(a, b)
    expect(mine).toEqual({ report: { outcome: 'equal', differences: 1_500, refusedHere: 0, refusedThere: 0 } })
    expect(parts.progress).toMatchObject({ recordsIn: 700, recordsOut: 800 })
    expect(await a.ids()).toEqual(await b.ids())
    expect((await a.ids()).length).toBe(1_500)
  })

  test('a few among many: few bytes, few round trips, and a second session finds nothing', async () => {
    const common = written(100, 30)
    const [a, b] = [await node(), await node()]
    await a.put([...common, ...written(1, 6, 200)])
    await b.put([...common, ...written(1, 4, 300)])
    const { mine, line } = await sync(a, b)
    expect(mine.report).toEqual({ outcome: 'equal', differences: 10, refusedHere: 0, refusedThere: 0 })
    const records = 10 * 600
    expect(line.frames.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(records + 12_000)
    const turns = line.frames.filter(
      ({ direction }, at) => direction === 'out' && line.frames[at - 1]?.direction !== 'out',
    )
    expect(turns.length).toBeLessThanOrEqual(6)
    const again = await sync(b, a)
    expect(again.mine.report?.differences).toBe(0)
    expect(again.line.frames.length).toBe(2)
  })

  test('a chain that is longer than what may be pending arrives whole, whatever order its ids have', async () => {
    const chain = new Writer(1).chain(3_000)
    const [a, b, c] = [await node(), await node(), await node()]
    await a.put(chain)
    await b.put(chain.slice(0, 1_200))
    await c.put(chain.slice(0, 1_200))
    expect((await sync(b, a)).mine.report?.outcome).toBe('equal')
    expect(await b.ids()).toEqual(sortedIds(chain))
    expect((await sync(a, c)).mine.report?.outcome).toBe('equal')
    expect(await c.ids()).toEqual(sortedIds(chain))
  })

  test('a snapshot on one side ends what the other still shows', async () => {
    const writer = new Writer(1)
    const chain = writer.chain(50)
    const snapshot = writer.snapshot(chain.slice(-1))
    const [a, b] = [await node(), await node()]
    await a.put([...chain, snapshot])
    await b.put(chain)
    const { mine } = await sync(b, a)
    expect(mine.report?.outcome).toBe('equal')
    expect(await b.ids()).toEqual([snapshot.id])
    expect(await a.ids()).toEqual([snapshot.id])
  })

  test('two that bring the same at once: both are honest, and all is equal', async () => {
    const common = written(50, 10)
    const news = written(70, 30, 100)
    const [a, b, c] = [await node(), await node(), await node()]
    await a.put([...common, ...news])
    await b.put(common)
    await c.put([...common, ...news])
    const both = await Promise.all([sync(a, b), sync(c, b)])
    expect(both.map(({ mine }) => mine.report?.outcome)).toEqual(['equal', 'equal'])
    expect(both.map(({ theirs }) => theirs.report?.isEqual)).toEqual([true, true])
    expect((await b.ids()).length).toBe(2_600)
  })

  test('ids that are missing are fetched alone', async () => {
    const chain = new Writer(1).chain(5)
    const [a, b] = [await node(), await node()]
    await b.put(chain)
    const stranger = new Writer(9).patch([])
    expect(await fetch(a, b, [chain[1]!, chain[3]!, stranger])).toEqual({ report: { missing: 1 } })
    expect(await a.ids()).toEqual(sortedIds([chain[1]!, chain[3]!]))
  })
})
