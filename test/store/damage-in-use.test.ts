import { open as openFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import type { Avatar } from '../../src/record/types.ts'
import { naiveFold } from '../oracle/naive-fold.ts'
import { createDamageHouse, DAMAGES, levelFiles, open, TABLE, type DamageHouse } from './damage-house.ts'
import { allRecords } from './expectations.ts'
import { WAIT } from '../support/until.ts'

let house: DamageHouse

beforeAll(async () => {
  house = await createDamageHouse(Math.random)
})
afterAll(() => house.remove())

/** Overwrites the first half of every table, in place: LevelDB has them open. */
async function overwriteTables(folder: string): Promise<void> {
  for (const name of await levelFiles(folder, TABLE)) {
    const path = join(folder, 'store', name)
    const bytes = Math.floor((await stat(path)).size / 2)
    const file = await openFile(path, 'r+')
    await file.write(Buffer.alloc(bytes, 0xff), 0, bytes, 0)
    await file.close()
  }
}

const avatars = (): Avatar[] => [...new Set(house.records.map(({ body }) => body.avatar))]

test('damage that LevelDB reports while the store is in use: no read fails for it, the loss is told, and writes go on', async () => {
  const folder = await house.copy('closed')
  const store = await open(folder)
  const { epoch } = store
  await overwriteTables(folder)
  const held = new Set<string>()
  for (const avatar of avatars()) for (const { id } of await allRecords(store, avatar)) held.add(id)
  expect(held.size).toBeLessThan(house.records.length)
  expect(store.damage()).toMatchObject({ recordsLost: house.records.length - held.size })
  expect(store.epoch).not.toBe(epoch)
  await store.commit(house.records.filter(({ id }) => !held.has(id)))
  for (const avatar of avatars()) {
    expect((await store.summary(avatar))?.digest).toBe(naiveFold(avatar, house.records).digest)
  }
  await store.close()
  const again = await open(folder)
  expect(again.totals().records).toBe(house.records.length)
  await again.close()
})

test('a write that meets damage fails once and says so; the next one is taken', async () => {
  const folder = await house.copy('closed')
  const store = await open(folder)
  await overwriteTables(folder)
  const outcome = await store.commit(house.records).catch((error: unknown) => error)
  expect(outcome).toMatchObject({ code: 'damaged', message: expect.stringMatching(/found damage.*Try again/) })
  expect((await store.commit(house.records)).map(({ status }) => status)).toContain('stored')
  expect(store.totals().records).toBe(house.records.length)
  await store.close()
})

test('damage that nothing reads is found in the background, where tables were not checked before the opening', async () => {
  const folder = await house.copy('closed')
  const paths = (await levelFiles(folder, TABLE)).map((name) => join(folder, 'store', name))
  const tables = await Promise.all(paths.map(async (path) => ({ path, bytes: (await stat(path)).size })))
  // Of the largest, a byte of its rows: at the end of a small one there is little but its index.
  await DAMAGES['flipped']!(tables.toSorted((a, b) => b.bytes - a.bytes)[0]!.path, () => 0.2)
  const store = await open(folder, { checkedBytes: 0 })
  expect(store.damage()).toBeUndefined()
  await vi.waitFor(() => expect(store.damage()?.recordsLost).toBeTypeOf('number'), WAIT)
  await vi.waitFor(async () => expect(await store.avatars({ limit: 10 })).toHaveLength(avatars().length), WAIT)
  await store.commit(house.records)
  expect(store.totals().records).toBe(house.records.length)
  await store.close()
})
