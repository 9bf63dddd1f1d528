import { expect, test } from 'vitest'
import { decodeSummary, encodeSummary } from '../../src/store/rows.ts'
import { seal, startRow, unseal } from '../../src/store/seal.ts'
import { expectOracle } from './expectations.ts'
import { memoryHarness, verified, type RawDb } from './harness.ts'
import { entry, Writer } from './writer.ts'

/* Data as the first layout had it: summaries and totals that do not count history, all of which was kept. */

const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const SUMMARY_KEY_BYTES = 35

async function toFirstLayout(db: RawDb, done = Infinity): Promise<void> {
  let changed = 0
  for await (const [key, row] of db.iterator({ gte: text('v'), lt: text('w') })) {
    if (key.length !== SUMMARY_KEY_BYTES || changed >= done) continue
    changed += 1
    const content = unseal(key, row)!
    const { keptRecords, keptBytes } = decodeSummary(content)
    const counts = startRow(16).varint(keptRecords).varint(keptBytes).finish().length - 4
    await db.put(key, seal(key, startRow(512).bytes(content.subarray(0, -counts)).finish()))
  }
  const totals = text('mtotals')
  await db.put(totals, seal(totals, startRow(24).u64(9).u64(2).u64(5).finish()))
  await db.del(text('marchive'))
  await db.put(text('mschema'), text('1'))
}

const [one, other] = [new Writer(1), new Writer(2)]
const chain = one.chain(6)
const records = verified([...chain, one.snapshot([chain[4]!], [entry({ a: 1 })])])
const bystanders = verified(other.chain(3))

test.each([
  ['history is counted, and kept where it shall be', true],
  ['history is counted, and pruned', false],
])('older data: %s', async (_, archive) => {
  const harness = await memoryHarness()
  const store = await harness.open({ archive: true })
  for (const record of [...records, ...bystanders]) await store.commit([record])
  await harness.tamper((db) => toFirstLayout(db))
  const opened = await harness.open({ archive })
  await opened.tasksDone()
  await expectOracle(opened, one.avatar, records)
  await expectOracle(opened, other.avatar, bystanders)
  const kept = archive ? [...records, ...bystanders] : [records.at(-1)!, records.at(-2)!, ...bystanders]
  const bytes = kept.reduce((sum, { payload, signature }) => sum + payload.length + signature.length, 0)
  expect(opened.totals()).toEqual({ avatars: 2, records: 5, bytes })
  expect(await harness.corruptions()).toBe(0)
  const before = await harness.dump()
  await (await harness.open({ archive })).rebuild()
  expect(await harness.dump()).toEqual(before)
  await harness.remove()
})

test('where the node ended in the middle, the rest follows', async () => {
  const harness = await memoryHarness()
  const store = await harness.open({ archive: true })
  for (const record of [...records, ...bystanders]) await store.commit([record])
  const before = await harness.dump()
  await harness.tamper((db) => toFirstLayout(db, 1))
  await harness.open({ archive: true })
  expect(await harness.dump()).toEqual(before)
  await harness.remove()
})

/* Data of the second layout: the same rows, but a superseded record that the node kept was not missing. */

test('what is missing is told by the rule of now, before anything else is written', async () => {
  const author = new Writer(3)
  const old = author.patch([])
  const base = author.snapshot([old], [entry({ a: 1 })])
  const naming = author.patch([{ counter: 5, id: old.id }, base])
  const all = verified([old, base, naming])
  const harness = await memoryHarness()
  const store = await harness.open({ archive: true })
  for (const record of [...all, ...bystanders]) await store.commit([record])
  const before = await harness.dump()
  const totals = store.totals()
  let changed = 0
  await harness.tamper(async (db) => {
    for await (const [key, row] of db.iterator({ gte: text('v'), lt: text('w') })) {
      if (key.length !== SUMMARY_KEY_BYTES) continue
      const summary = decodeSummary(unseal(key, row)!)
      if (summary.missing.total === 0) continue
      changed += 1
      await db.put(key, seal(key, encodeSummary({ ...summary, missing: { total: 0, ids: [] } })))
    }
    await db.put(text('mschema'), text('2'))
  })
  expect(changed).toBe(1)
  const opened = await harness.open({ archive: true })
  expect((await opened.summary(author.avatar))?.missing).toEqual({ total: 1, ids: [old.id] })
  expect(opened.totals()).toEqual(totals)
  expect(await harness.corruptions()).toBe(0)
  expect(await harness.dump()).toEqual(before)
  await harness.remove()
})
