import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { VerifiedRecord } from '../../src/record/types.ts'
import { StoreError } from '../../src/store/errors.ts'
import type { StoreTotals } from '../../src/store/types.ts'
import { HOSTILE_KEYS } from '../oracle/json-values.ts'
import { allRecords, expectOracle } from './expectations.ts'
import { verified, type OpenStore, type RawDb, type StoreHarness } from './harness.ts'
import { entry, Writer } from './writer.ts'
import { contentOf } from './read-whole.ts'

type Row = readonly [key: string, value: string]

/** Rows that a store of these tests must have, by the first letter of their key. */
const RECORD_ROWS = 's'
const FEED_ROWS = ['f', 'e'] as const
const DERIVED_ROWS = ['b', 'h', 'i', 'o', 'a', 'v', 't', 'k', 'p', 'q'] as const

/** Rows whose loss other rows tell of: counts and checks of a view, the digest over the tips, the number that wait. */
const LOST_ROWS = ['v', 'k', 'p'] as const

const DAMAGES: readonly [title: string, damage: (value: Buffer) => Buffer][] = [
  ['the first bit flipped', (value) => flipped(value, 0)],
  ['a bit in the middle flipped', (value) => flipped(value, Math.floor(value.length / 2))],
  ['the last bit flipped', (value) => flipped(value, value.length - 1)],
  ['the last byte lost', (value) => value.subarray(0, -1)],
  ['no bytes', () => Buffer.alloc(0)],
  ['other bytes', (value) => Buffer.alloc(value.length + 3, 0xa5)],
]

/** That no broken row is ever served, and that all that follows from records comes back. */
export function corruptionSuite(make: () => Promise<StoreHarness>, rowsOfEachKind: number): void {
  let harness: StoreHarness
  let sample: Sample
  let pristine: Row[]
  // With history, so that there is more to be broken.
  const open = (): Promise<OpenStore> => harness.open({ archive: true })

  beforeEach(async () => {
    harness = await make()
    sample = writeSample()
    const store = await open()
    for (const batch of sample.batches) await store.commit(batch)
    pristine = await harness.dump()
  })
  afterEach(() => harness.remove())

  const restore = (changed: Row) =>
    harness.tamper(async (db) => {
      await putAll(db, pristine)
      await db.put(Buffer.from(changed[0], 'hex'), Buffer.from(changed[1], 'hex'))
    })

  /** A few rows of one kind, from all over it. */
  const some = (letter: string): Row[] => {
    const rows = pristine.filter(([key]) => key.startsWith(Buffer.from(letter).toString('hex')))
    const step = Math.max(1, Math.floor(rows.length / rowsOfEachKind))
    return rows.filter((_, index) => index % step === 0).slice(0, rowsOfEachKind)
  }

  test('the sample has rows of every kind', () => {
    for (const letter of [RECORD_ROWS, ...FEED_ROWS, ...DERIVED_ROWS, 'm']) expect(some(letter)).not.toEqual([])
  })

  describe.each(DAMAGES)('%s', (_title, damage) => {
    test.each(DERIVED_ROWS)(
      'in derived rows (%s): all reads are right, and rebuilding repairs all rows',
      async (letter) => {
        for (const [key, value] of some(letter)) {
          await restore([key, damage(Buffer.from(value, 'hex')).toString('hex')])
          const store = await open()
          for (const avatar of sample.avatars) await expectOracle(store, avatar, sample.of(avatar))
          expect(store.totals()).toEqual(sample.totals)
          await store.commit(sample.late)
          for (const avatar of sample.avatars)
            await expectOracle(store, avatar, [...sample.of(avatar), ...sample.lateOf(avatar)])

          await restore([key, damage(Buffer.from(value, 'hex')).toString('hex')])
          expect(await (await open()).rebuild()).toMatchObject({ quarantined: 0 })
          expect(withoutGarbage(await harness.dump())).toEqual(withoutGarbage(pristine))
        }
      },
    )

    test('in record rows: the record is gone and counted, and the rest stands by itself', async () => {
      for (const [key, value] of some(RECORD_ROWS)) {
        await restore([key, damage(Buffer.from(value, 'hex')).toString('hex')])
        const before = await harness.corruptions()
        const store = await open()
        const held: VerifiedRecord[] = []
        for (const avatar of sample.avatars) {
          const ids = new Set((await allRecords(store, avatar)).map(({ id }) => id))
          held.push(...sample.of(avatar).filter(({ id }) => ids.has(id)))
        }
        expect(held).toHaveLength(sample.all.length - 1)
        expect(await harness.corruptions()).toBeGreaterThan(before)
        for (const avatar of sample.avatars)
          await expectOracle(
            store,
            avatar,
            held.filter(({ body }) => body.avatar === avatar),
          )
        const lost = sample.all.filter((record) => !held.includes(record))
        expect(await store.record(lost[0]!.id)).toBeUndefined()
        const rows = await harness.dump()
        const quarantined = rows.filter(([each]) => each.startsWith(Buffer.from('x').toString('hex')))
        expect(quarantined.map(([each, row]) => [each.endsWith(key.slice(2)), row])).toEqual([
          [true, damage(Buffer.from(value, 'hex')).toString('hex')],
        ])

        const reopened = await open()
        await reopened.commit(lost)
        for (const avatar of sample.avatars) {
          const given = [...held, ...lost].filter(({ body }) => body.avatar === avatar)
          await expectOracle(reopened, avatar, given)
        }
      }
    })

    test.each(FEED_ROWS)('in the feed (%s): no wrong entry, and state untouched', async (letter) => {
      for (const [key, value] of some(letter)) {
        await harness.tamper((db) => putAll(db, pristine))
        const good = await sampleEvents(await open(), sample)
        await restore([key, damage(Buffer.from(value, 'hex')).toString('hex')])
        const store = await open()
        const events = await sampleEvents(store, sample)
        for (const [index, list] of events.entries()) {
          if (list !== 'reset') expect(good[index]).toEqual(expect.arrayContaining(list))
        }
        for (const avatar of sample.avatars) await expectOracle(store, avatar, sample.of(avatar))
      }
    })

    test('in what the store says of itself: a clear refusal, or the truth', async () => {
      for (const [key, value] of pristine.filter(([each]) => each.startsWith(Buffer.from('m').toString('hex')))) {
        await restore([key, damage(Buffer.from(value, 'hex')).toString('hex')])
        const store = await open().catch((error: unknown) => error)
        if (store instanceof Error) {
          expect(store).toBeInstanceOf(StoreError)
          continue
        }
        const opened = store as OpenStore
        expect(opened.epoch).toMatch(/^[0-9a-f]{16}$/)
        expect(opened.totals()).toEqual(sample.totals)
        for (const avatar of sample.avatars) await expectOracle(opened, avatar, sample.of(avatar))
        await opened.commit(sample.late)
        for (const avatar of sample.avatars)
          await expectOracle(opened, avatar, [...sample.of(avatar), ...sample.lateOf(avatar)])
      }
    })
  })

  test('a row of another key is not taken for one of this', async () => {
    const members = pristine.filter(([key, value]) => key.startsWith('76') && value.length > 0)
    for (const [index, [key]] of members.slice(0, -1).entries()) {
      await restore([key, members[index + 1]![1]])
      const store = await open()
      for (const avatar of sample.avatars) await expectOracle(store, avatar, sample.of(avatar))
    }
  })

  describe('a lost row', () => {
    const lose = (row: Row) =>
      harness.tamper(async (db) => {
        await putAll(db, pristine)
        await db.del(Buffer.from(row[0], 'hex'))
      })

    test.each(LOST_ROWS)('of %s: reads are right all the same', async (letter) => {
      for (const row of some(letter)) {
        await lose(row)
        const store = await open()
        for (const avatar of sample.avatars) await expectOracle(store, avatar, sample.of(avatar))
      }
    })

    test.each(LOST_ROWS)('of %s: writes build on what is true all the same', async (letter) => {
      for (const row of some(letter)) {
        await lose(row)
        const store = await open()
        await store.commit(sample.late)
        for (const avatar of sample.avatars) {
          await expectOracle(store, avatar, [...sample.of(avatar), ...sample.lateOf(avatar)])
        }
      }
    })

    test('of b: a rebuild finds the record all the same', async () => {
      for (const row of some('b')) {
        await lose(row)
        const store = await open()
        expect(await store.rebuild(sample.avatars[0])).toMatchObject({ quarantined: 0 })
        expect(await store.rebuild(sample.avatars[1])).toMatchObject({ quarantined: 0 })
        expect(await harness.dump()).toEqual(pristine)
      }
    })

    test('of b and h: a rebuild of all finds the record from all records', async () => {
      const lost = pristine.filter(([key]) => key.startsWith('62') || key.startsWith('68'))
      await harness.tamper((db) => db.batch(lost.map(([key]) => ({ type: 'del', key: Buffer.from(key, 'hex') }))))
      expect(await (await open()).rebuild()).toEqual({ records: sample.all.length, quarantined: 0 })
      expect(await harness.dump()).toEqual(pristine)
    })

    test('of b, and its record is damaged: a rebuild of all moves it to quarantine', async () => {
      for (const [key, value] of some('s')) {
        const arrival = pristine.find(([each]) => each.startsWith('62') && each.endsWith(key.slice(2))) as Row
        await lose(arrival)
        await harness.tamper((db) => db.put(Buffer.from(key, 'hex'), flipped(Buffer.from(value, 'hex'), 100)))
        const store = await open()
        expect(await store.rebuild()).toEqual({ records: sample.all.length - 1, quarantined: 1 })
        expect((await store.events({ after: 0, limit: 1_000 })).length).toBeGreaterThan(0)
        const left = (await harness.dump()).filter(([each]) => each === key || each.startsWith('78'))
        expect(left.map(([each]) => each.endsWith(key))).toEqual([true])
        expect(left[0]![0].startsWith('78')).toBe(true)
      }
    })

    test('of s: every read that names the record notices, and the avatar is rebuilt without it', async () => {
      for (const [at, row] of some('s').entries()) {
        const record = sample.all.find(({ id }) => row[1].includes(id.slice(2)))!
        const rest = sample.of(record.body.avatar).filter((each) => each !== record)
        const ways: ((store: OpenStore) => Promise<unknown>)[] = [
          (store) => store.record(record.id),
          (store) => store.sync.signed([Buffer.from(record.id.slice(2), 'hex')]),
          (store) => store.sync.from({ timestamp: 0, id: new Uint8Array(0) }, { records: 1_000, bytes: 1_000_000 }),
          (store) => store.records(record.body.avatar, { after: 0, limit: 100 }),
          (store) => store.history(record.body.avatar, { limit: 100, superseded: true }),
        ]
        const isLive = pristine.some(([key]) => key.startsWith('6f') && key.endsWith(record.id.slice(2)))
        for (const [number, read] of ways.entries()) {
          if (number === 2 && !isLive) continue
          await lose(row)
          const store = await open()
          await read(store)
          expect(await store.sync.held([Buffer.from(record.id.slice(2), 'hex')]), `${at} ${number}`).toEqual([false])
          await expectOracle(store, record.body.avatar, rest)
          expect((await store.commit([record]))[0]?.status).not.toBe('duplicate')
        }
      }
    })

    test('of a namespace that a base then takes away: its claim is in nobody’s way', async () => {
      const where = { platform: 'lost', identity: 'claim' }
      const author = new Writer(3)
      const first = author.patch([], {}, where)
      const erasing = author.snapshot([first], [])
      const again = author.patch([erasing], { again: true }, where)
      const records = verified([first, erasing, again])
      await (await open()).commit(records.slice(0, 1))
      const view = `${Buffer.from('v').toString('hex')}${author.avatar.slice(2)}01`
      const lost = (await harness.dump()).filter(([key]) => key.startsWith(view))
      expect(lost).not.toEqual([])
      await harness.tamper((db) => db.batch(lost.map(([key]) => ({ type: 'del', key: Buffer.from(key, 'hex') }))))
      const store = await open()
      await store.commit(records.slice(1, 2))
      expect(await contentOf(store, author.avatar, where.platform, where.identity)).toBeUndefined()
      expect(await store.commit(records.slice(2))).toMatchObject([{ status: 'stored' }])
      await expectOracle(store, author.avatar, records)
    })
  })
}

interface Sample {
  readonly batches: readonly (readonly VerifiedRecord[])[]
  readonly all: readonly VerifiedRecord[]
  readonly avatars: readonly VerifiedRecord['body']['avatar'][]
  readonly totals: StoreTotals
  /** Records that reach far back: late forks beside and under what was written and deleted. */
  readonly late: readonly VerifiedRecord[]
  of(avatar: string): VerifiedRecord[]
  lateOf(avatar: string): VerifiedRecord[]
}

function writeSample(): Sample {
  const [one, two] = [new Writer(1), new Writer(2)]
  const old = one.chain(3)
  const unseen = one.patch([old[0]!], { unseen: true })
  const part = one.part(4, [entry({ a: { b: 1 }, gone: 1 }), entry({ n: 1 }, { platform: 'x', identity: 'é' })])
  const base = one.snapshot([old[2]!], [entry({ a: { c: 2 }, base: true })], [part.id])
  const hostile = one.patch([base], Object.fromEntries(HOSTILE_KEYS.map((key, index) => [key, { index }])))
  const deletes = one.patch([hostile], { gone: null, a: { b: null }, [HOSTILE_KEYS[0]]: null })
  const forks = Array.from({ length: 20 }, (_, fork) => one.patch([deletes], { fork, [`f${fork % 4}`]: fork }))
  const waiting = one.patch([one.patch([forks[0]!])], { waiting: true })
  const incomplete = one.snapshot([forks[1]!], [], [`0x${'cd'.repeat(32)}`])
  const chain = two.chain(6)
  const batches = [[...old, unseen], [part, base], [hostile, deletes, ...chain], forks, [waiting, incomplete]]
  const late = [
    one.patch([base], { gone: 2, a: { b: 3, d: 4 }, fork: null, [HOSTILE_KEYS[0]]: { late: 1 } }),
    one.patch([hostile], { gone: { again: 1 }, f1: null }),
    one.patch(forks.slice(0, 16), { merged: true }),
    two.patch([chain[2]!], { k0: null, k1: { deep: 1 } }),
  ]
  const verifiedBatches = batches.map(verified)
  const verifiedLate = verified(late)
  const all = verifiedBatches.flat()
  const by = (records: readonly VerifiedRecord[], avatar: string) =>
    records.filter(({ body }) => body.avatar === avatar)
  return {
    batches: verifiedBatches,
    all,
    avatars: [one.avatar, two.avatar],
    totals: {
      avatars: 2,
      records: all.length - old.length - 1,
      bytes: all.reduce((sum, { payload, signature }) => sum + payload.length + signature.length, 0),
    },
    late: verifiedLate,
    of: (avatar) => by(all, avatar),
    lateOf: (avatar) => by(verifiedLate, avatar),
  }
}

async function sampleEvents(store: OpenStore, { avatars }: Sample) {
  const lists = [await store.events({ after: 0, limit: 1000 })]
  for (const avatar of avatars) lists.push(await store.events({ after: 0, avatar, limit: 1000 }))
  return lists
}

async function putAll(db: RawDb, rows: readonly Row[]): Promise<void> {
  await db.clear()
  await db.batch(
    rows.map(([key, value]) => ({ type: 'put', key: Buffer.from(key, 'hex'), value: Buffer.from(value, 'hex') })),
  )
}

/** Rows without a value say all by being there: whatever stands in one is nothing to repair. */
function withoutGarbage(rows: readonly Row[]): Row[] {
  const empty = new Set(['a', 'b', 'k', 'q'].map((letter) => Buffer.from(letter).toString('hex')))
  return rows.map(([key, value]) => [key, empty.has(key.slice(0, 2)) ? '' : value])
}

function flipped(value: Buffer, at: number): Buffer {
  const copy = Buffer.from(value)
  if (copy.length > 0) copy[at] = (copy[at] as number) ^ 1
  return copy
}
