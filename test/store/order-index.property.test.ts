import fc from 'fast-check'
import { MemoryLevel } from 'memory-level'
import { expect, test } from 'vitest'
import { orderKey, idText } from '../../src/store/keys.ts'
import { OrderIndex } from '../../src/store/order-index.ts'
import { createMemoryIndex } from '../../src/negentropy/memory-index.ts'
import type { Bound, Item, RangeIndex } from '../../src/negentropy/types.ts'
import { yieldToEventLoop } from '../../src/platform/yield.ts'
import type { SyncSnapshot } from '../../src/store/types.ts'
import { PROPERTY_TIMEOUT_MS, propertyRuns } from '../support/runs.ts'

/** Spreads a number over an id, so that ids are in no order of making. */
function idOf(seed: number): Uint8Array {
  const id = new Uint8Array(32)
  let state = (seed + 1) * 0x9e3779b1
  for (let at = 0; at < 32; at += 1) {
    state = Math.imul(state ^ (state >>> 15), 0x85ebca6b) + at
    id[at] = state >>> 24
  }
  return id
}

type Step = {
  readonly add: number
  readonly remove: number
  readonly times: number
  /** Begins to count all rows before the commit, which then does not wait, or waits for some turns of the event loop. */
  readonly begin: number | undefined
}

const steps = fc.array(
  fc.record({
    add: fc.nat(900),
    remove: fc.nat(700),
    times: fc.constantFrom(1, 3, 50, 100_000),
    begin: fc.option(fc.nat(12), { nil: undefined }),
  }),
  { minLength: 1, maxLength: 6 },
)

test('pages of any history of commits agree with an index of the same records', { timeout: PROPERTY_TIMEOUT_MS }, () =>
  fc.assert(
    fc.asyncProperty(
      steps,
      fc.array(fc.nat(), { minLength: 6, maxLength: 6 }),
      fc.boolean(),
      async (plan, at, reload) => {
        const db = new MemoryLevel<Uint8Array, Uint8Array>({ keyEncoding: 'view', valueEncoding: 'view' })
        await db.open()
        const index = new OrderIndex(db)
        index.begin()
        const live = await play(db, index, plan)
        if (reload) index.begin()
        const readSnapshot = await opened(index)
        await agree(readSnapshot, createMemoryIndex(live), at)
        await readSnapshot.close()
        await db.close()
      },
    ),
    { numRuns: propertyRuns(25) },
  ),
)

async function opened(index: OrderIndex): Promise<SyncSnapshot> {
  for (;;) {
    await index.ready()
    const readSnapshot = await index.at()
    if (readSnapshot !== undefined) return readSnapshot
  }
}

async function play(
  db: MemoryLevel<Uint8Array, Uint8Array>,
  index: OrderIndex,
  plan: readonly Step[],
): Promise<Item[]> {
  const live: Item[] = []
  let made = 0
  for (const { add, remove, times, begin } of plan) {
    if (begin !== undefined) index.begin()
    for (let turn = 0; turn < (begin ?? 0); turn += 1) await yieldToEventLoop()
    const added: Item[] = []
    for (let count = 0; count < add; count += 1, made += 1) {
      added.push({ timestamp: 1_790_000_000 + ((Math.imul(made, 7919) >>> 0) % times), id: idOf(made) })
    }
    live.push(...added)
    const removed = live.splice(Math.floor(live.length / 3), remove)
    for (const item of added) await db.put(orderKey(item.timestamp, idText(item.id)), new Uint8Array(0))
    for (const item of removed) await db.del(orderKey(item.timestamp, idText(item.id)))
    await index.apply(added, removed)
  }
  return live
}

async function agree(actual: RangeIndex, expected: RangeIndex, at: readonly number[]): Promise<void> {
  const size = expected.size()
  expect(actual.size()).toBe(size)
  const ranks = [...at.map((each) => each % (size + 1)), 0, size].sort((a, b) => a - b)
  for (const [index, begin] of ranks.entries()) {
    for (const end of ranks.slice(index)) {
      expect(await actual.sum(begin, end)).toEqual(await expected.sum(begin, end))
    }
    const end = Math.min(size, begin + 700)
    const items = [...(await expected.items(begin, end))]
    expect([...(await actual.items(begin, end))].map(plain)).toEqual(items.map(plain))
    for (const bound of boundsNear(items[0])) {
      expect(await actual.lowerBound(0, size, bound)).toBe(await expected.lowerBound(0, size, bound))
      expect(await actual.lowerBound(begin, end, bound)).toBe(await expected.lowerBound(begin, end, bound))
    }
  }
}

const plain = ({ timestamp, id }: Item): [number, string] => [timestamp, idText(id)]

function boundsNear(item: Item | undefined): Bound[] {
  const ends: Bound[] = [
    { timestamp: 0, id: new Uint8Array(0) },
    { timestamp: Infinity, id: new Uint8Array(0) },
  ]
  if (item === undefined) return ends
  return [
    ...ends,
    item,
    { timestamp: item.timestamp, id: item.id.subarray(0, 2) },
    { ...item, timestamp: item.timestamp + 1 },
  ]
}
