import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { StoreError } from '../../src/store/errors.ts'
import type { Avatar, VerifiedRecord } from '../../src/record/types.ts'
import { naiveFold } from '../oracle/naive-fold.ts'
import { createDamageHouse, DAMAGES, levelFiles, open, type DamageHouse } from './damage-house.ts'
import { allRecords, expectOracle } from './expectations.ts'
import type { OpenStore } from './harness.ts'

const TRIALS_A_TEST = 20
const FILES = /^(?:[0-9]+\.(?:log|ldb)|MANIFEST-[0-9]+|CURRENT)$/

let house: DamageHouse

beforeAll(async () => {
  house = await createDamageHouse(seeded(7))
})
afterAll(() => house.remove())

/** mulberry32 */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const avatars = (): Avatar[] => [...new Set(house.records.map(({ body }) => body.avatar))]
/** The digest of each avatar that has all its records. */
const whole: Record<Avatar, string> = {}

async function heldBy(store: OpenStore): Promise<VerifiedRecord[]> {
  const ids = new Set<string>()
  for (const avatar of avatars()) for (const { id } of await allRecords(store, avatar as never)) ids.add(id)
  return house.records.filter(({ id }) => ids.has(id))
}

async function filesOf(folder: string): Promise<Map<string, string>> {
  const names = (await readdir(join(folder, 'store'))).filter((name) => FILES.test(name))
  return new Map(
    await Promise.all(names.map(async (name) => [name, await hashOf(join(folder, 'store', name))] as const)),
  )
}

const hashOf = async (path: string): Promise<string> => (await readFile(path)).toString('base64')

test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])(
  'whatever happens to a file: all records are there, or the loss is told, and they can come back (seed %i)',
  async (seed) => {
    const random = seeded(seed * 1_000)
    for (let trial = 0; trial < TRIALS_A_TEST; trial += 1) {
      const kind = random() < 0.5 ? 'closed' : 'killed'
      const folder = await house.copy(kind)
      const names = await levelFiles(folder, FILES)
      const name = names[Math.floor(random() * names.length)]!
      const damages = Object.keys(DAMAGES)
      const damage = damages[Math.floor(random() * damages.length)]!
      await DAMAGES[damage]!(join(folder, 'store', name), random)
      const what = `trial ${trial}: ${name} of a ${kind} store, ${damage}`
      try {
        const isOpened = !(await isRejected(folder))
        expect(isOpened || /^(?:CURRENT|MANIFEST)/.test(name) || damage === 'deleted').toBe(true)
      } catch (error) {
        throw new Error(`${what}: ${String(error)}`, { cause: error })
      }
    }
  },
)

/** Opens the store; checks that it told of all that is lost. Whether it was not opened at all. */
async function isRejected(folder: string): Promise<boolean> {
  const before = await filesOf(folder)
  const store = await open(folder).catch((error: unknown) => error)
  if (!(store instanceof Error)) {
    await expectGrowsBack(folder, store as OpenStore)
    return false
  }
  expect(store).toBeInstanceOf(StoreError)
  expect(store.message).toMatch(/avatar-kv repair/)
  expect(await filesOf(folder)).toEqual(before)
  return true
}

async function expectGrowsBack(folder: string, damaged: OpenStore): Promise<void> {
  let store = damaged
  const held = await heldBy(store)
  const lost = house.records.filter((record) => !held.includes(record))
  expect(store.totals()).toMatchObject({ records: held.length })
  if (lost.length > 0) {
    expect(store.damage()).toMatchObject({ recordsLost: lost.length })
    const { avatar } = (lost[0] as VerifiedRecord).body
    const left = held.filter(({ body }) => body.avatar === avatar)
    await expectOracle(store, avatar, left)
    for (const result of await store.commit(lost)) expect(result.status).not.toBe('duplicate')
  }
  await expectWhole(store)
  const { epoch } = store
  const report = store.damage()
  await store.close()
  store = await open(folder)
  await expectWhole(store)
  // Told once: it is whole again.
  expect([store.epoch, store.damage()]).toEqual([epoch, report])
  await store.close()
}

async function expectWhole(store: OpenStore): Promise<void> {
  expect(await heldBy(store)).toHaveLength(house.records.length)
  for (const avatar of avatars()) {
    whole[avatar] ??= naiveFold(avatar, house.records).digest
    expect((await store.summary(avatar))?.digest).toBe(whole[avatar])
  }
}
