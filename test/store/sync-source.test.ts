import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Bound } from '../../src/negentropy/types.ts'
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

describe('the moment of a list of avatars', () => {
  test('keeps no writer waiting, and is as it was when it was asked for', async () => {
    const store = await harness.open()
    const writer = new Writer(1)
    const records = verified(writer.chain(1_500))
    for (let at = 0; at < records.length; at += 500) await store.commit(records.slice(at, at + 500))
    const ended: string[] = []
    const asked = Array.from({ length: 4 }, async () => {
      const readSnapshot = await store.sync.readSnapshot([writer.avatar, writer.avatar])
      ended.push('moment')
      return readSnapshot
    })
    const commit = store.commit(verified([writer.patch([], { late: true })])).then(() => ended.push('commit'))
    const readSnapshots = await Promise.all(asked)
    await commit
    expect(ended[0]).toBe('commit')
    expect(readSnapshots.map((readSnapshot) => readSnapshot.size())).toEqual([1_500, 1_500, 1_500, 1_500])
    expect((await store.sync.readSnapshot([writer.avatar])).size()).toBe(1_501)
  })

  test('has nothing of an avatar that is being forgotten, or is not known', async () => {
    const store = await harness.open({ stepRecords: 10 })
    const [gone, stays, unknown] = [new Writer(1), new Writer(2), new Writer(3)]
    await store.commit(verified([...gone.chain(100), ...stays.chain(5)]))
    const forgotten = store.forget(gone.avatar)
    while ((await store.summary(gone.avatar)) !== undefined) await new Promise((resolve) => setImmediate(resolve))
    const readSnapshot = await store.sync.readSnapshot([gone.avatar, stays.avatar, unknown.avatar])
    const [sum] = await store.sync.avatarSums([stays.avatar])
    expect(readSnapshot.size()).toBe(5)
    expect(Buffer.from(await readSnapshot.sum(0, 5))).toEqual(Buffer.from(sum!.sum))
    await forgotten
  })
})
