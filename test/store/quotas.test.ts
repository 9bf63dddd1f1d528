import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Quotas } from '../../src/store/types.ts'
import type { TestRecord } from '../oracle/signing.ts'
import { allRecords, expectOracle } from './expectations.ts'
import { memoryHarness, verified, type OpenStore, type StoreHarness } from './harness.ts'
import { entry, placeOf, Writer } from './writer.ts'
import { viewOf } from './read-whole.ts'

const NONE: Quotas = { avatarBytes: 0, avatarRecords: 0, totalBytes: 0, totalRecords: 0 }
const sizeOf = ({ payload, signature }: TestRecord): number => payload.length + signature.length
const sum = (records: readonly TestRecord[]): number => records.reduce((bytes, record) => bytes + sizeOf(record), 0)

let harness: StoreHarness
beforeEach(async () => {
  harness = await memoryHarness()
})
afterEach(() => harness.remove())

const open = (quotas: Partial<Quotas>, archive = false): Promise<OpenStore> =>
  harness.open({ quotas: { ...NONE, ...quotas }, archive })
const results = (store: OpenStore, ...records: TestRecord[]) => store.commit(verified(records))
const statuses = async (store: OpenStore, ...records: TestRecord[]): Promise<string[]> =>
  (await results(store, ...records)).map(({ status, code }) => code ?? status)
const stored = (count: number, status = 'stored'): string[] => Array<string>(count).fill(status)

describe('what there is no room for', () => {
  test('is refused, says how much of how much is used, and changes nothing', async () => {
    const writer = new Writer(1)
    const chain = writer.chain(4)
    const bytes = sum(chain.slice(0, 3))
    const store = await open({ avatarRecords: 3, avatarBytes: bytes + 10 })
    expect(await statuses(store, ...chain.slice(0, 3))).toEqual(stored(3))
    const before = await viewOf(store, writer.avatar)
    const sequence = store.lastSequence()
    expect(await results(store, chain[3]!)).toEqual([
      { status: 'refused', code: 'avatar_quota', quota: { unit: 'bytes', used: bytes, limit: bytes + 10 } },
    ])
    expect(await viewOf(store, writer.avatar)).toEqual(before)
    expect(store.lastSequence()).toBe(sequence)
    expect(await store.record(chain[3]!.id)).toBeUndefined()
    const more = await open({ avatarRecords: 3 })
    expect(await results(more, chain[3]!)).toEqual([
      { status: 'refused', code: 'avatar_quota', quota: { unit: 'records', used: 3, limit: 3 } },
    ])
    const enough = await open({ avatarRecords: 4, avatarBytes: sum(chain) })
    expect(await statuses(enough, chain[3]!, chain[0]!)).toEqual(['stored', 'duplicate'])
    await expectOracle(enough, writer.avatar, verified(chain))
  })

  test('in all is refused to every avatar, and one alone leaves others room', async () => {
    const [one, other] = [new Writer(1), new Writer(2)]
    const store = await open({ avatarRecords: 3, totalRecords: 5 })
    const [chain, others] = [one.chain(4), other.chain(4)]
    expect(await statuses(store, ...chain)).toEqual([...stored(3), 'avatar_quota'])
    expect(await statuses(store, ...others)).toEqual(
      [...stored(2), 'node_quota', 'avatar_quota'].slice(0, 3).concat('node_quota'),
    )
    const full = await results(store, others[3]!)
    expect(full).toEqual([{ status: 'refused', code: 'node_quota', quota: { unit: 'records', used: 5, limit: 5 } }])
    expect(await statuses(store, one.snapshot([chain[2]!]))).toEqual(['stored'])
    expect(await statuses(store, others[2]!)).toEqual(['stored'])
    expect(store.totals().records).toBe(4)
    const bytes = await open({ totalBytes: 10 })
    expect(await statuses(bytes, others[3]!)).toEqual(['node_quota'])
  })

  test('does not depend on the order within a batch', async () => {
    const [one, other] = [new Writer(1), new Writer(2)]
    const chain = one.chain(6)
    const others = other.chain(3)
    const base = one.snapshot([chain[1]!])
    const batch = [...chain, ...others, base]
    const outcomes = new Set<string>()
    for (const order of [batch, batch.toReversed(), batch.toSorted((a, b) => (a.id < b.id ? -1 : 1))]) {
      const own = await memoryHarness()
      const store = await own.open({ quotas: { ...NONE, avatarRecords: 4, totalRecords: 6 } })
      const told = await results(store, ...order)
      await store.tasksDone()
      const kept = await Promise.all([one, other].map(({ avatar }) => allRecords(store, avatar)))
      outcomes.add(
        JSON.stringify([
          order.map(({ id }, at) => [id, told[at]?.code ?? told[at]?.status]).toSorted(),
          kept.map((records) => records.map(({ id }) => id).toSorted()),
        ]),
      )
      await own.remove()
    }
    expect(outcomes.size).toBe(1)
  })
})

describe('a snapshot that frees more than it takes', () => {
  test('gets in where nothing else does', async () => {
    const writer = new Writer(1)
    const chain = writer.chain(3)
    const store = await open({ avatarRecords: 3, avatarBytes: sum(chain), totalRecords: 3, totalBytes: sum(chain) })
    await statuses(store, ...chain)
    expect(await statuses(store, writer.patch([chain[2]!]))).toEqual(['avatar_quota'])
    const base = writer.snapshot([chain[2]!], [entry({ a: 1 })])
    expect(await statuses(store, base)).toEqual(['stored'])
    await expectOracle(store, writer.avatar, verified([...chain, base]))
    expect(await statuses(store, writer.patch([base]))).toEqual(['stored'])
  })

  test('one that takes as much as it frees does not', async () => {
    const writer = new Writer(1)
    const chain = writer.chain(2)
    const store = await open({ avatarBytes: sum(chain) })
    await statuses(store, ...chain)
    const text = (length: number): TestRecord => writer.snapshot([chain[1]!], [entry({ a: 'x'.repeat(length) })])
    const exact = sum(chain) - sizeOf(text(0))
    expect(await statuses(store, text(exact))).toEqual(['avatar_quota'])
    expect(await statuses(store, text(exact - 1))).toEqual(['stored'])
  })

  test('nor one that stands below the base', async () => {
    const writer = new Writer(1)
    const chain = writer.chain(6)
    const store = await open({ avatarRecords: 4 })
    const base = writer.snapshot([chain[1]!])
    await statuses(store, ...chain.slice(0, 2), base)
    await statuses(store, ...writer.chain(3, [base]))
    expect(await statuses(store, writer.snapshot([chain[0]!]))).toEqual(['superseded'])
    // At the base's own counter it frees nothing, whatever its id.
    const rivals = [1, 2, 3, 4].map((n) => writer.snapshot([chain[1]!], [entry({ n })]))
    expect(await statuses(store, ...rivals)).toEqual(stored(4, 'avatar_quota'))
  })

  test('erases what only waits, too', async () => {
    const writer = new Writer(1)
    const parts = [1, 2, 3].map((n) => writer.part(1, [entry({ n })]))
    const waiting = writer.patch([writer.patch([])])
    const store = await open({ avatarRecords: 4 })
    expect(await statuses(store, ...parts, waiting)).toEqual(stored(4, 'pending'))
    const above = { counter: 7, id: `0x${'cd'.repeat(32)}` } as const
    expect(await statuses(store, writer.snapshot([above]))).toEqual(['stored'])
    await store.tasksDone()
    expect(store.totals().records).toBe(1)
  })

  describe('in parts', () => {
    const wide = (n: number, bytes = 300) => [entry({ [`m${n}`]: 'x'.repeat(bytes) })]

    test('the snapshot, then its parts, one by one or all at once', async () => {
      for (const [at, together] of [false, true].entries()) {
        const writer = new Writer(10 + at)
        const chain = writer.chain(12)
        const store = await open({ avatarBytes: sum(chain), avatarRecords: 12 })
        await statuses(store, ...chain)
        const parts = [1, 2, 3].map((n) => writer.part(13, wide(n)))
        const base = writer.snapshot(
          [chain[11]!],
          [],
          parts.map(({ id }) => id),
        )
        if (together) {
          expect(await statuses(store, ...parts, base)).toEqual(stored(4))
        } else {
          expect(await statuses(store, parts[0]!)).toEqual(['avatar_quota'])
          expect(await statuses(store, base)).toEqual(['pending'])
          expect(await statuses(store, parts[0]!)).toEqual(['pending'])
          // What it has taken so far is not forgotten.
          const later = await open({ avatarBytes: sum(chain), avatarRecords: 12 })
          expect(await statuses(later, parts[2]!)).toEqual(['pending'])
          expect(await statuses(later, parts[1]!)).toEqual(['stored'])
        }
        const now = await open({ avatarBytes: sum(chain), avatarRecords: 12 })
        await expectOracle(now, writer.avatar, verified([...chain, base, ...parts]))
        expect((await now.summary(writer.avatar))?.records).toBe(4)
        await now.forget(writer.avatar)
      }
    })

    test('parts are let in as long as all that came of them is less than what goes', async () => {
      const writer = new Writer(1)
      const chain = writer.chain(6)
      const store = await open({ avatarBytes: sum(chain) })
      await statuses(store, ...chain)
      const parts = [1, 2, 3, 4, 5].map((n) => writer.part(7, wide(n)))
      const base = writer.snapshot(
        [chain[5]!],
        [],
        parts.map(({ id }) => id),
      )
      const told = await statuses(store, base, ...parts)
      const fits = Math.ceil((sum(chain) - sizeOf(base)) / sizeOf(parts[0]!)) - 1
      expect(fits).toBeGreaterThan(0)
      expect(fits).toBeLessThan(5)
      expect(told.filter((status) => status === 'pending')).toHaveLength(1 + fits)
      expect(told.filter((status) => status === 'avatar_quota')).toHaveLength(5 - fits)
      const more = writer.patch([chain[5]!], { late: 'y'.repeat(2_000) })
      const roomy = await open({})
      await statuses(roomy, more)
      // It is above what the snapshot frees, and so no credit.
      const again = await open({ avatarBytes: sum(chain) })
      expect(await statuses(again, ...parts)).toEqual(expect.arrayContaining(['avatar_quota']))
    })

    test('what came since, below it, is credit', async () => {
      const writer = new Writer(1)
      const chain = writer.chain(3)
      const store = await open({ avatarBytes: sum(chain) })
      await statuses(store, ...chain)
      const parts = [1, 2].map((n) => writer.part(4, wide(n, 600)))
      const base = writer.snapshot(
        [chain[2]!],
        [],
        parts.map(({ id }) => id),
      )
      expect(await statuses(store, base, ...parts)).toEqual(['pending', 'avatar_quota', 'avatar_quota'])
      const fork = writer.patch([chain[0]!], { fork: 'z'.repeat(3_000) })
      await statuses(await open({}), fork)
      const again = await open({ avatarBytes: sum(chain) })
      expect(await statuses(again, ...parts)).toEqual(['stored', 'stored'])
      await expectOracle(again, writer.avatar, verified([...chain, fork, base, ...parts]))
    })

    test('as many records as are named must be freed', async () => {
      const writer = new Writer(1)
      const chain = writer.chain(3)
      const store = await open({ avatarRecords: 3 })
      await statuses(store, ...chain)
      const parts = [1, 2, 3].map((n) => writer.part(4, wide(n, 1)))
      const ids = parts.map(({ id }) => id)
      expect(await statuses(store, writer.snapshot([chain[2]!], [], ids))).toEqual(['avatar_quota'])
      expect(await statuses(store, writer.snapshot([chain[2]!], [], ids.slice(0, 2)))).toEqual(['avatar_quota'])
      const two = writer.snapshot([chain[2]!], [], ids.slice(0, 1))
      expect(await statuses(store, two, ...parts)).toEqual(
        ['stored', 'stored', ...stored(2, 'avatar_quota')].map((s) => s),
      )
    })

    test('a writer may begin anew, but not for ever', async () => {
      const writer = new Writer(1)
      const chain = writer.chain(8)
      const store = await open({ avatarRecords: 8 })
      await statuses(store, ...chain)
      const attempts = [1, 2, 3, 4, 5].map((n) => writer.snapshot([chain[7]!], [], [writer.part(9, wide(n, 1)).id]))
      expect(await statuses(store, ...attempts)).toEqual(
        expect.arrayContaining([...stored(4, 'pending'), 'avatar_quota']),
      )
      expect((await store.summary(writer.avatar))?.records).toBe(12)
      // A complete one frees all of them once it stands above.
      expect(await statuses(store, writer.snapshot([placeOf(attempts[0]!)]))).toEqual(['stored'])
      await store.tasksDone()
      expect(store.totals().records).toBe(1)
    })

    test('attempts that wait are no credit for others', async () => {
      const writer = new Writer(1)
      const chain = writer.chain(4)
      const store = await open({ avatarBytes: sum(chain) })
      await statuses(store, ...chain)
      const part = writer.part(5, wide(1, 400))
      const first = writer.snapshot([chain[3]!], [], [part.id, writer.part(5, wide(9)).id])
      expect(await statuses(store, first, part)).toEqual(['pending', 'pending'])
      const parts = [1, 2, 3, 4].map((n) => writer.part(6, wide(n, 400)))
      const second = writer.snapshot(
        [placeOf(first)],
        [],
        parts.map(({ id }) => id),
      )
      const told = await statuses(store, second, ...parts)
      const taken = sum([second, ...parts.filter((_, at) => told[at + 1] === 'pending')])
      expect(taken).toBeLessThan(sum(chain))
      expect(told).toContain('avatar_quota')
    })
  })
})

describe('history and quotas', () => {
  test('history goes where what is live needs its room, the oldest first', async () => {
    const writer = new Writer(1)
    const chain = writer.chain(6)
    const store = await open({ avatarRecords: 8 }, true)
    const base = writer.snapshot([chain[5]!])
    expect(await statuses(store, ...chain, base)).toEqual([...stored(6, 'superseded'), 'stored'])
    const more = writer.chain(4, [base])
    expect(await statuses(store, ...more)).toEqual(stored(4))
    await store.tasksDone()
    expect((await allRecords(store, writer.avatar)).map(({ id }) => id)).toEqual(
      [...chain.slice(3), base, ...more].map(({ id }) => id),
    )
    expect(await statuses(store, chain[0]!)).toEqual(['superseded'])
    expect(await store.record(chain[0]!.id)).toBeUndefined()
    const rest = writer.chain(4, [more[3]!])
    expect(await statuses(store, ...rest)).toEqual([...stored(3), 'avatar_quota'])
    await store.tasksDone()
    expect((await allRecords(store, writer.avatar)).map(({ status }) => status)).toEqual(stored(8))
    await expectOracle(store, writer.avatar, verified([...chain, base, ...more, ...rest.slice(0, 3)]))
  })

  test('and that of any avatar where all of them together need it', async () => {
    const writers = [1, 2, 3].map((seed) => new Writer(seed))
    const store = await open({ totalRecords: 10 }, true)
    for (const writer of writers.slice(0, 2)) {
      const chain = writer.chain(3)
      await statuses(store, ...chain, writer.snapshot([chain[2]!]))
    }
    const chain = writers[2]!.chain(9)
    expect(await statuses(store, ...chain)).toEqual([...stored(8), 'node_quota'])
    await store.tasksDone()
    expect(store.totals().records).toBe(10)
    for (const writer of writers) {
      expect((await allRecords(store, writer.avatar)).filter(({ status }) => status === 'superseded')).toEqual([])
    }
  })

  test('two stores with equal quotas, one of which keeps history, admit the same', async () => {
    const writer = new Writer(1)
    const chain = writer.chain(7)
    const base = writer.snapshot([chain[4]!])
    const late = writer.patch([chain[1]!])
    const batches = [chain.slice(0, 5), [chain[5]!], [base], [late, chain[6]!], writer.chain(6, [base])]
    const told: unknown[] = []
    for (const archive of [false, true]) {
      const own = await memoryHarness()
      const store = await own.open({ archive, quotas: { ...NONE, avatarRecords: 5 } })
      const each: string[][] = []
      for (const batch of batches) {
        each.push(await statuses(store, ...batch))
        await store.tasksDone()
      }
      const summary = await store.summary(writer.avatar)
      told.push([each, summary?.digest, summary?.records, summary?.bytes])
      await own.remove()
    }
    expect(told[0]).toEqual(told[1])
  })
})
