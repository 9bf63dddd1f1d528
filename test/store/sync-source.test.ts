import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Bound } from '../../src/sync/negentropy/types.ts'
import { idKey, orderKey } from '../../src/store/keys.ts'
import { memoryHarness, verified, type StoreHarness } from './harness.ts'
import { Writer } from './writer.ts'

let harness: StoreHarness
beforeEach(async () => {
  harness = await memoryHarness()
})
afterEach(() => harness.remove())

const START: Bound = { timestamp: 0, id: new Uint8Array(0) }

test.each([1, 2, 3, 100])('a broken row of no record is passed over, %i records at a time', async (limit) => {
  const records = verified(new Writer(1).chain(7))
  const lost = records[2]!
  const store = await harness.open()
  await store.commit(records)
  await harness.tamper(async (db) => {
    await db.del(idKey(lost.id))
    await db.put(orderKey(lost.body.created_at, lost.id), new Uint8Array(45))
  })
  const { sync } = await harness.open()
  const found: string[] = []
  let turns = 0
  for (let from: Bound | null = START; from !== null && turns < 20; turns += 1) {
    const part = await sync.from(from, { records: limit, bytes: 1_000_000 })
    found.push(...part.records.map(({ payload }) => Buffer.from(payload).toString()))
    from = part.next
  }
  expect(turns).toBeLessThan(20)
  const others = records.filter((record) => record !== lost).map(({ payload }) => Buffer.from(payload).toString())
  expect(found.toSorted()).toEqual(others.toSorted())
})
