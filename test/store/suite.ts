import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RecordId } from '../../src/record/types.ts'
import type { ChangeEvent } from '../../src/store/types.ts'
import { shuffled } from '../oracle/delivery.ts'
import type { TestRecord } from '../oracle/signing.ts'
import { commitBatches, expectOracle } from './expectations.ts'
import { verified, type OpenStore, type StoreHarness } from './harness.ts'
import { ALICE, entry, placeOf, Writer } from './writer.ts'
import { claimsOf, contentOf, viewOf } from './read-whole.ts'

const COUNTER_MAX = Number.MAX_SAFE_INTEGER
const PENDING_MAX = 1_024
const UNKNOWN: RecordId = `0x${'ab'.repeat(32)}`

/** What a store must do, whatever it keeps its rows in. */
export function storeSuite(make: () => Promise<StoreHarness>): void {
  let harness: StoreHarness
  let store: OpenStore
  const commit = (...records: TestRecord[]) => store.commit(verified(records))

  beforeEach(async () => {
    harness = await make()
    store = await harness.open()
  })
  afterEach(() => harness.remove())

  test('is empty at first', async () => {
    const { avatar } = new Writer(1)
    expect(store.lastSequence()).toBe(0)
    expect(store.totals()).toEqual({ avatars: 0, records: 0, bytes: 0 })
    expect(store.epoch).toMatch(/^[0-9a-f]{16}$/)
    expect(await store.commit([])).toEqual([])
    expect(await store.summary(avatar)).toBeUndefined()
    expect(await viewOf(store, avatar)).toBeUndefined()
    expect(await contentOf(store, avatar, 'twitter', 'alice')).toBeUndefined()
    expect(await store.record(UNKNOWN)).toBeUndefined()
    expect(await store.records(avatar, { after: 0, limit: 10 })).toBeUndefined()
    expect(await store.avatars({ limit: 10 })).toEqual([])
    expect(await claimsOf(store, 'twitter', 'alice', 10)).toEqual([])
    expect(await store.events({ after: 0, limit: 10 })).toEqual([])
  })

  test('has an epoch of its own, which lasts', async () => {
    const { epoch } = store
    const other = await make()
    expect((await other.open()).epoch).not.toBe(epoch)
    await other.remove()
    expect((await harness.open()).epoch).toBe(epoch)
  })

  describe('what became of a record', () => {
    test('a child before its parent in one batch is visible when the batch is done', async () => {
      const writer = new Writer(1)
      const parent = writer.patch([])
      const child = writer.patch([parent])
      expect(await commit(child, parent)).toEqual([{ status: 'stored' }, { status: 'stored' }])
    })

    test('a part before its snapshot in one batch counts when the batch is done', async () => {
      const writer = new Writer(1)
      const part = writer.part(1, [entry({ a: 1 })])
      expect(await commit(part, writer.snapshot([], [], [part.id]))).toEqual([
        { status: 'stored' },
        { status: 'stored' },
      ])
    })

    test('a child whose parent comes later is pending, and then stored', async () => {
      const writer = new Writer(1)
      const parent = writer.patch([])
      const child = writer.patch([parent])
      expect(await commit(child)).toEqual([{ status: 'pending' }])
      expect(await store.record(child.id)).toMatchObject({ status: 'pending' })
      expect(await commit(parent)).toEqual([{ status: 'stored' }])
      expect(await store.record(child.id)).toMatchObject({ status: 'stored' })
    })

    test('only the parts that the base names count', async () => {
      const writer = new Writer(1)
      const parts = [writer.part(1), writer.part(1)]
      const snapshots = parts.map((part) => writer.snapshot([], [], [part.id]))
      await commit(...parts, ...snapshots)
      const base = (await store.summary(writer.avatar))?.base?.id
      const counts = parts.map((_, index) => (snapshots[index]!.id === base ? 'stored' : 'pending'))
      for (const { id } of snapshots) expect(await store.record(id)).toMatchObject({ status: 'stored' })
      for (const [index, { id }] of parts.entries()) expect((await store.record(id))?.status).toBe(counts[index])
      expect(counts.toSorted()).toEqual(['pending', 'stored'])
      const lone = writer.part(1)
      expect(await commit(lone)).toEqual([{ status: 'pending' }])
      await expectOracle(store, writer.avatar, verified([...parts, ...snapshots, lone]))
    })

    test('a record that comes twice is a duplicate, in one batch or later', async () => {
      const writer = new Writer(1)
      const record = writer.patch([])
      expect(await commit(record, record)).toEqual([{ status: 'stored' }, { status: 'duplicate' }])
      const sequence = store.lastSequence()
      expect(await commit(record)).toEqual([{ status: 'duplicate' }])
      expect(store.lastSequence()).toBe(sequence)
    })

    test('a write below the base is superseded and not kept', async () => {
      const writer = new Writer(1)
      const late = writer.patch([])
      const base = writer.snapshot([writer.patch([])])
      await commit(base)
      const sequence = store.lastSequence()
      expect(await commit(late)).toEqual([{ status: 'superseded' }])
      expect(await store.record(late.id)).toBeUndefined()
      expect(store.lastSequence()).toBe(sequence)
      expect(store.totals()).toMatchObject({ avatars: 1, records: 1 })
    })

    test('1,024 may be pending; one more is refused, and taken when the gap has healed', async () => {
      const writer = new Writer(1)
      const root = writer.patch([])
      const waiting = Array.from({ length: PENDING_MAX }, (_, index) => writer.patch([root], { index }))
      expect(new Set((await commit(...waiting)).map(({ status }) => status))).toEqual(new Set(['pending']))
      const extra = writer.patch([root])
      const visible = writer.patch([])
      const before = await viewOf(store, writer.avatar)
      expect(await commit(extra)).toEqual([{ status: 'refused', code: 'too_many_pending' }])
      expect(await store.record(extra.id)).toBeUndefined()
      expect(await viewOf(store, writer.avatar)).toEqual(before)
      expect(await commit(visible)).toEqual([{ status: 'stored' }])
      store = await harness.open()
      expect(await commit(extra)).toEqual([{ status: 'refused', code: 'too_many_pending' }])
      expect(await commit(root)).toEqual([{ status: 'stored' }])
      expect(await commit(extra)).toEqual([{ status: 'stored' }])
      await expectOracle(store, writer.avatar, verified([...waiting, visible, root, extra]))
    })
  })

  test('counters up to 2^53 − 1, in order across every power of two', async () => {
    const writer = new Writer(1)
    const at = (counter: number) => writer.snapshot([{ counter: counter - 1, id: UNKNOWN }])
    const counters = [2 ** 8, 2 ** 16, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 40, 2 ** 52, COUNTER_MAX - 1]
    const snapshots = counters.map(at)
    const given = verified([
      ...snapshots,
      ...snapshots.map((snapshot) => writer.patch([snapshot], { [snapshot.id]: 1 })),
    ])
    for (const record of given) {
      await commitBatches(store, writer.avatar, [[record]])
      await expectOracle(store, writer.avatar, given.slice(0, given.indexOf(record) + 1))
    }
    expect(await store.summary(writer.avatar)).toMatchObject({ head: COUNTER_MAX, base: placeOf(snapshots.at(-1)!) })
    const beyond = verified([writer.patch([{ counter: COUNTER_MAX - 1, id: UNKNOWN }])])
    await commitBatches(store, writer.avatar, [beyond])
    store = await harness.open()
    await expectOracle(store, writer.avatar, [...given, ...beyond])
    await store.rebuild()
    await expectOracle(store, writer.avatar, [...given, ...beyond])
  })

  describe('by identity', () => {
    test('avatars that claim it, ascending, with what they hold there', async () => {
      const writers = [1, 2, 3, 4, 5].map((seed) => new Writer(seed))
      await commit(...writers.map((writer, index) => writer.patch([], { index })))
      await commit(new Writer(6).patch([], { other: 1 }, { platform: 'twitter', identity: 'alice2' }))
      const expected = writers
        .map(({ avatar }, index) => ({ avatar, json: JSON.stringify({ index }) }))
        .sort((left, right) => (left.avatar < right.avatar ? -1 : 1))
      expect(await claimsOf(store, 'twitter', 'alice', 100)).toEqual(expected)
      expect(await claimsOf(store, 'twitter', 'alice', 2)).toEqual(expected.slice(0, 2))
      expect(await claimsOf(store, 'twitter', 'Alice', 100)).toEqual([])
      expect(await claimsOf(store, 'twitte', 'ralice', 100)).toEqual([])
    })

    test('not after an erasure, nor while the record is pending', async () => {
      const writer = new Writer(1)
      const first = writer.patch([], { a: 1 })
      await commit(first, writer.snapshot([first]))
      expect(await claimsOf(store, 'twitter', 'alice', 100)).toEqual([])
      expect(await contentOf(store, writer.avatar, 'twitter', 'alice')).toBeUndefined()
      const other = new Writer(2)
      await commit(other.patch([other.patch([])], { a: 1 }))
      expect(await claimsOf(store, 'twitter', 'alice', 100)).toEqual([])
      expect(await viewOf(store, other.avatar)).toMatchObject({ namespaces: [] })
    })

    test('a namespace that holds {} exists', async () => {
      const writer = new Writer(1)
      await commit(writer.patch([], { a: null }))
      expect(await claimsOf(store, 'twitter', 'alice', 100)).toEqual([{ avatar: writer.avatar, json: '{}' }])
      expect(await contentOf(store, writer.avatar, 'twitter', 'alice')).toBe('{}')
    })
  })

  test('avatars page by page', async () => {
    const writers = Array.from({ length: 9 }, (_, seed) => new Writer(seed))
    await commit(...writers.map((writer) => writer.patch([])))
    const expected = writers.map(({ avatar }) => avatar).sort()
    const first = await store.avatars({ limit: 4 })
    const second = await store.avatars({ after: first.at(-1)!, limit: 4 })
    const third = await store.avatars({ after: second.at(-1)!, limit: 4 })
    expect([first.length, second.length, third.length]).toEqual([4, 4, 1])
    expect([...first, ...second, ...third]).toEqual(expected)
    expect(await store.avatars({ after: expected.at(-1)!, limit: 4 })).toEqual([])
    expect(store.totals()).toMatchObject({ avatars: 9, records: 9 })
  })

  test('records page by page in order of arrival, with the digest', async () => {
    const writer = new Writer(1)
    const chain = shuffled(writer.chain(25), 7)
    for (const record of chain) await commit(record, new Writer(2).patch([], { n: record.id }))
    const digest = (await store.summary(writer.avatar))?.digest
    const ids: RecordId[] = []
    let after = 0
    for (let turn = 0; turn < 4; turn += 1) {
      const page = await store.records(writer.avatar, { after, limit: 8 })
      expect(page?.digest).toBe(digest)
      ids.push(...(page?.records ?? []).map(({ id }) => id))
      after = page?.records.at(-1)?.sequence ?? after
    }
    expect(ids).toEqual(chain.map(({ id }) => id))
    expect(await store.records(writer.avatar, { after, limit: 8 })).toEqual({ records: [], digest })
    expect(await store.records(writer.avatar, { after: COUNTER_MAX, limit: 8 })).toMatchObject({ records: [] })
  })

  describe('the change feed', () => {
    test('entries after a sequence, of all avatars or of one', async () => {
      const [one, other] = [new Writer(1), new Writer(2)]
      const told: ChangeEvent[] = []
      store.onCommit((events) => told.push(...events))
      const [first, ...chain] = one.chain(4)
      const stranger = other.patch([])
      await commit(first!, stranger)
      for (const record of chain) await commit(record)
      expect(told.map(({ id }) => id)).toEqual([first, stranger, ...chain].map((record) => record!.id))
      expect(told.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5])
      const ids = async (options: Parameters<typeof store.events>[0]) => {
        const events = await store.events(options)
        return events === 'reset' ? events : events.map(({ id }) => id)
      }
      expect(await ids({ after: 0, limit: 100 })).toEqual(told.map(({ id }) => id))
      expect(await ids({ after: 2, limit: 2 })).toEqual(chain.slice(0, 2).map(({ id }) => id))
      expect(await ids({ after: 1, avatar: one.avatar, limit: 100 })).toEqual(chain.map(({ id }) => id))
      expect(await ids({ after: 0, avatar: other.avatar, limit: 100 })).toEqual([stranger.id])
      expect(await ids({ after: 5, limit: 100 })).toEqual([])
      expect(await ids({ after: 6, limit: 100 })).toBe('reset')
      expect(await ids({ after: 6, avatar: one.avatar, limit: 100 })).toBe('reset')
      store = await harness.open()
      expect(await ids({ after: 0, limit: 100 })).toEqual(told.map(({ id }) => id))
    })

    test('head and digest are those of the moment of delivery', async () => {
      const writer = new Writer(1)
      const chain = writer.chain(3)
      const told: ChangeEvent[] = []
      store.onCommit((events) => told.push(...events))
      for (const record of chain) {
        await commit(record)
        const summary = await store.summary(writer.avatar)
        expect(told.at(-1)).toEqual({
          sequence: store.lastSequence(),
          kind: 'record',
          avatar: writer.avatar,
          id: record.id,
          counter: record.body.counter,
          head: summary?.head,
          digest: summary?.digest,
        })
      }
      const { head, digest } = (await store.summary(writer.avatar))!
      const later = await store.events({ after: 0, limit: 10 })
      expect(later).toHaveLength(3)
      expect(later).toEqual(told.map((event) => ({ ...event, head, digest })))
    })

    test('a write that a snapshot supersedes unseen is told', async () => {
      const writer = new Writer(1)
      const [root, seen, next] = writer.chain(3)
      const unseen = writer.patch([root!], { unseen: true })
      const waiting = writer.patch([{ counter: 1, id: UNKNOWN }])
      await commit(root!, seen!, next!, unseen, waiting)
      const told: ChangeEvent[] = []
      store.onCommit((events) => told.push(...events))
      const base = writer.snapshot([next!])
      await commit(base)
      expect(told[0]).toMatchObject({ kind: 'record', id: base.id })
      const superseded = told.slice(1).map(({ kind, id }) => [kind, id])
      expect(superseded).toHaveLength(2)
      expect(superseded).toEqual(
        expect.arrayContaining([
          ['superseded', unseen.id],
          ['superseded', waiting.id],
        ]),
      )
      expect(await store.events({ after: 5, avatar: writer.avatar, limit: 10 })).toEqual(told)
      expect(await store.events({ after: 5, limit: 10 })).toEqual(told)
      expect(store.lastSequence()).toBe(told.at(-1)?.sequence)
    })

    test('a commit that changes nothing tells nothing, and who has left hears nothing', async () => {
      const writer = new Writer(1)
      const [first, second] = writer.chain(2)
      const calls: number[] = []
      const leave = store.onCommit((events) => calls.push(events.length))
      await commit(first!)
      await commit(first!)
      expect(calls).toEqual([1])
      leave()
      await commit(second!)
      expect(calls).toEqual([1])
    })

    test('a listener that throws harms neither the commit nor other listeners', async () => {
      const writer = new Writer(1)
      const heard: number[] = []
      store.onCommit(() => {
        throw new Error('a broken listener')
      })
      store.onCommit((events) => heard.push(events.length))
      expect(await commit(writer.patch([]))).toEqual([{ status: 'stored' }])
      expect(heard).toEqual([1])
    })

    test('a page ends after 4 MiB of records, and pages together have every entry once', async () => {
      store = await harness.open({ archive: true })
      const [one, other] = [new Writer(1), new Writer(2)]
      const long = 'x'.repeat(200_000)
      const first = Array.from({ length: 30 }, (_, at) => one.patch([], { [`k${at}`]: long }))
      await commit(...first)
      const seen = other.chain(2)
      const unseen = other.patch([seen[0]!], { unseen: true })
      await commit(...seen, unseen)
      await commit(other.snapshot([seen[1]!], []))
      for (const avatar of [undefined, one.avatar, other.avatar]) {
        const pages: ChangeEvent[][] = []
        for (let after = 0; ;) {
          const page = await store.events({ after, limit: 100, ...(avatar === undefined ? {} : { avatar }) })
          if (page === 'reset') throw new Error('reset')
          if (page.length === 0) break
          pages.push(page)
          after = page.at(-1)!.sequence
        }
        const mostEntries = harness.readsPayloadsForEvents ? 22 : 100
        expect(Math.max(...pages.map((page) => page.length))).toBeLessThanOrEqual(mostEntries)
        const sequences = pages.flat().map(({ sequence }) => sequence)
        expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b))
        if (avatar !== undefined) continue
        expect(sequences).toEqual(Array.from({ length: store.lastSequence() }, (_, at) => at + 1))
        expect(pages.flat().filter(({ kind }) => kind === 'superseded')).toMatchObject([{ id: unseen.id }])
      }
    })

    test('what the feed no longer has is a reset', async () => {
      const kept = 100
      store = await harness.open({ feedEntries: kept })
      const writer = new Writer(1)
      const chain = writer.chain(11_000)
      for (let from = 0; from < chain.length; from += 1_000) await commit(...chain.slice(from, from + 1_000))
      expect(await store.events({ after: 0, limit: 10 })).toBe('reset')
      const last = store.lastSequence()
      const oldest = async () => {
        const events = await store.events({ after: last - kept, limit: kept })
        return events === 'reset' ? events : events.length
      }
      expect(await oldest()).toBe(kept)
      store = await harness.open({ feedEntries: kept })
      expect(await store.events({ after: 0, limit: 10 })).toBe('reset')
      expect(await oldest()).toBe(kept)
    }, 60_000)
  })

  test('a schema that is not known is refused, and the data left as it is', async () => {
    const writer = new Writer(1)
    await commit(writer.patch([], { a: 1 }))
    await harness.setLayout('newer')
    const before = await harness.dump()
    await expect(harness.open()).rejects.toMatchObject({ name: 'StoreError', code: 'schema_newer' })
    await expect(harness.open()).rejects.toThrow(/upgrade/i)
    expect(await harness.dump()).toEqual(before)
    await harness.setLayout('older')
    store = await harness.open()
    expect(await contentOf(store, writer.avatar, ALICE.platform, ALICE.identity)).toBe('{"a":1}')
  })

  test('the data of another network is refused', async () => {
    await expect(harness.open({ network: 'test' })).rejects.toMatchObject({ name: 'StoreError', code: 'wrong_network' })
    await expect(harness.open()).resolves.toBeDefined()
  })

  test('reads while a commit is under way see it whole or not at all', async () => {
    const writer = new Writer(1)
    const [root, ...chain] = writer.chain(40)
    await commit(root!)
    const committing = commit(...chain)
    for (let turn = 0; turn < 50; turn += 1) {
      const view = await viewOf(store, writer.avatar)
      expect([1, 40]).toContain(view?.summary.head)
      expect(view?.namespaces[0]?.json).toBe(view?.summary.head === 1 ? '{"k0":0}' : '{"k0":39,"k1":37,"k2":38}')
    }
    await committing
    expect(await store.summary(writer.avatar)).toMatchObject({ head: 40, records: 40 })
  })
}
