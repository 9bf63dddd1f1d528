import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import type { RecordId } from '../../src/record/types.ts'
import type { TestRecord } from '../oracle/signing.ts'
import { until } from '../support/until.ts'
import { diskHarness, memoryHarness, verified, type OpenStore, type StoreHarness } from './harness.ts'
import { entry, Writer } from './writer.ts'

const ARCHIVE = { archive: true, keepsErased: false } as const

describe.each([
  ['in memory', memoryHarness],
  ['on disk', diskHarness],
])('a store %s that keeps history', (_, make) => {
  let harness: StoreHarness
  let store: OpenStore
  beforeEach(async () => {
    harness = await make()
    store = await harness.open(ARCHIVE)
  })
  afterEach(() => harness.remove())

  const commit = (...records: TestRecord[]) => store.commit(verified(records))
  /** All ids that the store hands out: by pages, in order of arrival, in an archive with history, and to peers. */
  async function handedOut({ avatar }: Writer, all: readonly TestRecord[]): Promise<Set<RecordId>> {
    const ids = new Set<RecordId>()
    for (const { id } of await store.history(avatar, { limit: 1_000, superseded: true })) ids.add(id)
    const arrived = await store.records(avatar, { after: 0, limit: 1_000, stepBytes: 1_000_000 })
    for (const { id } of arrived?.records ?? []) ids.add(id)
    const readSnapshot = await store.exportSnapshot()
    for await (const { id } of readSnapshot.records(avatar, { history: true })) ids.add(id)
    await readSnapshot.close()
    const signed = await store.sync.signed(all.map(({ id }) => Buffer.from(id.slice(2), 'hex')))
    for (const { payload } of signed) {
      ids.add(all.find((record) => Buffer.from(record.payload).equals(Buffer.from(payload)))!.id)
    }
    return ids
  }

  function written() {
    const writer = new Writer(1)
    const old = writer.chain(20)
    const compacted = writer.snapshot([old[19]!], [entry({ a: 1 })])
    const erasure = writer.snapshot([compacted], [])
    return { writer, old, compacted, erasure, all: [...old, compacted, erasure] }
  }

  test('drops the history of an avatar whose owner erases it, and keeps that of others', async () => {
    const { writer, old, compacted, erasure, all } = written()
    const other = new Writer(2)
    const others = other.chain(3)
    const otherBase = other.snapshot([others[2]!], [entry({ b: 1 })])
    await commit(...old, ...others)
    await commit(compacted, otherBase)
    expect((await handedOut(writer, all)).size).toBe(21)
    await commit(erasure)
    await until(async () => (await handedOut(writer, all)).size === 1, 'the history is gone')
    expect([...(await handedOut(writer, all))]).toEqual([erasure.id])
    expect((await handedOut(other, [...others, otherBase])).size).toBe(4)
    expect(store.totals().records).toBe(2)
    // What comes again, or late, is not kept either.
    const results = await commit(old[3]!)
    expect(results).toMatchObject([{ status: 'superseded' }])
    expect((await handedOut(writer, all)).size).toBe(1)
    // What the owner writes afterwards has a history of its own.
    const next = writer.patch([erasure])
    await commit(next)
    const later = writer.snapshot([next], [entry({ again: true })])
    await commit(later)
    expect(await handedOut(writer, [...all, next, later])).toEqual(new Set([erasure.id, next.id, later.id]))
  })

  test('with parts, or with contents, a snapshot is no erasure', async () => {
    const { writer, old } = written()
    await commit(...old)
    const part = writer.part(22, [entry({ a: 1 })])
    const base = writer.snapshot([old[19]!], [], [part.id])
    await commit(base, part)
    expect((await handedOut(writer, [...old, part, base])).size).toBe(22)
  })

  test('keeps all of it if the operator says so; once the operator no longer does, it goes at the next start', async () => {
    const { writer, old, compacted, erasure, all } = written()
    store = await harness.open({ archive: true, keepsErased: true })
    await commit(...old)
    await commit(compacted)
    await commit(erasure)
    expect((await handedOut(writer, all)).size).toBe(22)
    store = await harness.open({ archive: true })
    expect((await handedOut(writer, all)).size).toBe(22)
    store = await harness.open(ARCHIVE)
    await until(async () => (await handedOut(writer, all)).size === 1, 'the history is gone')
  })
})
