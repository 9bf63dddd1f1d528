import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Level } from 'level'
import { expect, test } from 'vitest'
import { decodeSummary, encodeSummary } from '../../src/store/rows.ts'
import { seal, unseal } from '../../src/store/seal.ts'
import { filesToSalvage, salvageFile } from '../../src/store/salvage.ts'
import { createStore, openStore } from '../../src/store/store.ts'
import type { TestRecord } from '../oracle/signing.ts'
import type { ChangeEvent } from '../../src/store/types.ts'
import type { VerifiedRecord } from '../../src/record/types.ts'
import { expectOracle } from './expectations.ts'
import { memoryHarness, silentComponents, verified, type OpenStore } from './harness.ts'
import { tableOf, text, toFirstLayout, toThirdLayout } from './older-layout.ts'
import { entry, Writer } from './writer.ts'

const SUMMARY_KEY_BYTES = 35
const hex = (value: string): string => Buffer.from(value).toString('hex')

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
  await harness.tamper(async (db) => {
    await toThirdLayout(db)
    await toFirstLayout(db)
  })
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

/** A store with history, a pruned record, forks, a pending record and an incomplete snapshot. */
async function written(archive: boolean, further = 0) {
  const author = new Writer(4)
  const first = author.chain(4)
  const unseen = author.patch([first[0]!], { unseen: true })
  const part = author.part(5, [entry({ p: 1 })])
  const base = author.snapshot([first[3]!], [entry({ a: 1 })], [part.id])
  const forks = [author.patch([base], { b: 1 }), author.patch([base], { b: 2 })]
  const waiting = author.patch([author.patch([forks[0]!])])
  const all = verified([...first, unseen, part, base, ...forks, waiting])
  const many = verified(new Writer(5).chain(further))
  const harness = await memoryHarness()
  const store = await harness.open({ archive })
  const told: ChangeEvent[] = []
  store.onCommit((events) => told.push(...events))
  for (const record of [...all, ...bystanders]) await store.commit([record])
  await store.commit(many)
  await store.tasksDone()
  return { harness, author, all, told, epoch: store.epoch, events: await eventsOf(store, author.avatar) }
}

async function eventsOf(store: OpenStore, avatar: VerifiedRecord['body']['avatar']) {
  return [await store.events({ after: 0, limit: 100 }), await store.events({ after: 0, avatar, limit: 100 })]
}

test.each([true, false])('the third layout becomes exactly what is written now (archive: %s)', async (archive) => {
  const { harness, epoch, author, told, events } = await written(archive)
  const before = await harness.dump()
  await harness.tamper((db) => toThirdLayout(db, told))
  const store = await harness.open({ archive })
  expect(store.epoch).toBe(epoch)
  expect(await eventsOf(store, author.avatar)).toEqual(events)
  expect(await harness.corruptions()).toBe(0)
  expect(await harness.dump()).toEqual(before)
  await harness.remove()
})

test('the floor of the feed stays', async () => {
  const { harness } = await written(true)
  await harness.tamper(async (db) => {
    await toThirdLayout(db)
    for await (const [key] of db.iterator({ ...tableOf('f'), limit: 3 })) await db.del(key)
  })
  const store = await harness.open({ archive: true })
  expect(await store.events({ after: 2, limit: 10 })).toBe('reset')
  expect(await store.events({ after: 3, limit: 1 })).toMatchObject([{ sequence: 4 }])
  await harness.remove()
})

test('a conversion that is interrupted at any write resumes', async () => {
  // More records than one step converts.
  const { harness } = await written(true, 1_100)
  const before = await harness.dump()
  let writes = 0
  let isWhole = false
  for (let limit = 0; !isWhole; limit += 1) {
    await harness.tamper(async (db) => {
      await db.clear()
      for (const [key, value] of before) await db.put(Buffer.from(key, 'hex'), Buffer.from(value, 'hex'))
      await toThirdLayout(db)
      await toFirstLayout(db)
    })
    writes = 0
    await harness.tamper(async (db) => {
      const batch = db.batch.bind(db)
      const failing = (): ReturnType<typeof db.batch> => {
        if (writes === limit) throw new Error('power loss')
        writes += 1
        return batch()
      }
      db.batch = failing as typeof db.batch
      const opening = createStore({ ...silentComponents, db }, { network: 'main', archive: true })
      isWhole = await opening.then(
        (store) => store.close().then(() => true),
        (error: unknown) => !String(error).includes('power loss'),
      )
      db.batch = batch
      await db.open()
    })
    await harness.open({ archive: true })
    expect(await harness.dump()).toEqual(before)
    expect(await harness.corruptions()).toBe(0)
  }
  expect(writes).toBeGreaterThan(7)
  await harness.remove()
})

test('a damaged record of the third layout moves to quarantine, and its avatar is rebuilt', async () => {
  const { harness, author, all } = await written(true)
  await harness.tamper(async (db) => {
    await toThirdLayout(db)
    for await (const [key, value] of db.iterator(tableOf('r'))) {
      if (!Buffer.from(value).includes(Buffer.from(all.at(-2)!.id.slice(2), 'hex'))) continue
      if (value[13] === Buffer.from(all.at(-2)!.id.slice(2), 'hex')[0])
        await db.put(
          key,
          Uint8Array.from(value, (byte, at) => (at === 120 ? byte ^ 1 : byte)),
        )
    }
  })
  const store = await harness.open({ archive: true })
  await expectOracle(
    store,
    author.avatar,
    all.filter((record) => record !== all.at(-2)),
  )
  expect(store.totals()).toMatchObject({ avatars: 2, records: all.length - 6 + bystanders.length })
  expect((await harness.dump()).filter(([key]) => key.startsWith(hex('x')))).toHaveLength(1)
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
    await toThirdLayout(db)
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

test('repair reads records of every layout from the files', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'avatar-kv-layout-'))
  const location = join(folder, 'store')
  const store = await openStore(silentComponents, { location, network: 'main' })
  const stored = new Writer(6).chain(3)
  await store.commit(verified(stored))
  await store.close()
  const ids = async (): Promise<Set<string>> => {
    const found = await Promise.all((await filesToSalvage(location)).map(salvageFile))
    return new Set(found.flatMap((file) => verified([...file.records] as TestRecord[]).map(({ id }) => id)))
  }
  const all = new Set(stored.map(({ id }) => id))
  expect(await ids()).toEqual(all)
  const db = new Level<Uint8Array, Uint8Array>(location, { keyEncoding: 'view', valueEncoding: 'view' })
  await db.open()
  await toThirdLayout(db)
  await db.close()
  for (const path of await filesToSalvage(location)) if (path.endsWith('.ldb')) await rm(path)
  // Only the log is left, with rows of layout 3.
  expect(await ids()).toEqual(all)
  await rm(folder, { recursive: true })
})
