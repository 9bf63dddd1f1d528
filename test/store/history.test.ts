import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { compareCitations } from '../../src/record/order.ts'
import type { Citation, RecordId } from '../../src/record/types.ts'
import { CorruptRowError, StoreError } from '../../src/store/errors.ts'
import type { ExportedRecord, ExportSnapshot } from '../../src/store/types.ts'
import { shuffled } from '../oracle/delivery.ts'
import type { TestRecord } from '../oracle/signing.ts'
import { diskHarness, memoryHarness, verified, type OpenStore, type StoreHarness } from './harness.ts'
import { entry, placeOf, Writer } from './writer.ts'

describe.each([
  ['in memory', memoryHarness],
  ['on disk', diskHarness],
])('a store %s, in order of place', (_, make) => {
  let harness: StoreHarness
  let store: OpenStore
  beforeEach(async () => {
    harness = await make()
    store = await harness.open({ archive: true })
  })
  afterEach(() => harness.remove())

  const inOrder = (records: readonly TestRecord[]): TestRecord[] =>
    records.toSorted((a, b) => compareCitations(placeOf(a), placeOf(b)))
  const commit = (...records: TestRecord[]) => store.commit(verified(records))
  const read = async (readSnapshot: ExportSnapshot, avatar: TestRecord['body']['avatar'], history: boolean) => {
    const found: ExportedRecord[] = []
    for await (const record of readSnapshot.records(avatar, { history })) found.push(record)
    return found
  }
  const asExported = ({ id, body, payload, signature }: TestRecord) => ({
    counter: body.counter,
    id,
    payload: Buffer.from(payload).toString(),
    signature: Buffer.from(signature).toString('hex'),
  })
  const readable = ({ counter, id, payload, signature }: ExportedRecord) => ({
    counter,
    id,
    payload: Buffer.from(payload).toString(),
    signature: Buffer.from(signature).toString('hex'),
  })

  /** Records of one avatar, in the order of arrival: history, a base, forks above it, some that wait. */
  const written = (writer: Writer): { old: TestRecord[]; live: TestRecord[] } => {
    const old = writer.chain(20)
    const part = writer.part(21, [entry({ a: 1 })])
    const base = writer.snapshot([old[19]!], [], [part.id])
    const forks = Array.from({ length: 9 }, (_each, fork) => writer.patch([base], { fork }))
    const waiting = writer.patch([writer.patch([forks[0]!])])
    return { old, live: [part, base, ...forks, waiting] }
  }

  test('pages go through all that is live, or kept, and say how it stands', async () => {
    const writer = new Writer(1)
    const { old, live } = written(writer)
    await commit(...old)
    await commit(...shuffled(live, 3))
    for (const [superseded, expected] of [
      [false, inOrder(live)],
      [true, inOrder([...old, ...live])],
    ] as const) {
      for (const limit of [1, 7, 1_000]) {
        const found: { id: RecordId; status: string }[] = []
        let after: Citation | undefined
        for (;;) {
          const page = await store.history(writer.avatar, {
            superseded,
            limit,
            ...(after === undefined ? {} : { after }),
          })
          if (page.length === 0) break
          expect(page.length).toBeLessThanOrEqual(limit)
          found.push(...page.map(({ id, status }) => ({ id, status })))
          const last = found.at(-1)!.id
          after = placeOf([...old, ...live].find(({ id }) => id === last)!)
        }
        expect(found.map(({ id }) => id)).toEqual(expected.map(({ id }) => id))
        for (const { id, status } of found) expect((await store.record(id))?.status).toBe(status)
      }
    }
    expect(await store.history(new Writer(9).avatar, { superseded: true, limit: 5 })).toEqual([])
  })

  test('a moment shows everything as it was, whatever comes', async () => {
    const [one, other] = [new Writer(1), new Writer(2)]
    const { old, live } = written(one)
    const chain = other.chain(600)
    await commit(...old, ...live)
    for (let from = 0; from < 600; from += 200) await commit(...chain.slice(from, from + 200))
    const before = await Promise.all([one, other].map(({ avatar }) => store.summary(avatar)))
    const readSnapshot = await store.exportSnapshot()
    await commit(one.snapshot([placeOf(inOrder(live).at(-1)!)]), ...new Writer(3).chain(2))
    await store.forget(other.avatar)
    await store.tasksDone()
    const avatars: string[] = []
    for await (const avatar of readSnapshot.avatars()) avatars.push(avatar)
    expect(avatars).toEqual([one.avatar, other.avatar].toSorted())
    expect(await Promise.all([one, other].map(({ avatar }) => readSnapshot.summary(avatar)))).toEqual(before)
    expect((await read(readSnapshot, one.avatar, false)).map(readable)).toEqual(inOrder(live).map(asExported))
    expect((await read(readSnapshot, one.avatar, true)).map(readable)).toEqual(
      inOrder([...old, ...live]).map(asExported),
    )
    expect((await read(readSnapshot, other.avatar, false)).map(readable)).toEqual(chain.map(asExported))
    expect(await read(readSnapshot, new Writer(9).avatar, true)).toEqual([])
    await readSnapshot.close()
    const later = await store.exportSnapshot()
    expect(await read(later, other.avatar, true)).toEqual([])
    expect(await later.summary(other.avatar)).toBeUndefined()
    await later.close()
  })

  test('a row that fails its check is never handed on: it says so, is repaired, and the next moment is whole', async () => {
    const writer = new Writer(1)
    const { old, live } = written(writer)
    await commit(...old, ...live)
    await harness.tamper(async (db) => {
      for await (const [key, value] of db.iterator({ gte: Buffer.from('s'), lt: Buffer.from('t') })) {
        if (!Buffer.from(value).includes(`"fork":4`)) continue
        await db.put(
          key,
          value.map((byte, at) => (at === value.length - 1 ? byte ^ 1 : byte)),
        )
      }
    })
    store = await harness.open({ archive: true })
    const readSnapshot = await store.exportSnapshot()
    const error = await read(readSnapshot, writer.avatar, false).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(StoreError)
    expect(error).toMatchObject({ code: 'unreadable', cause: expect.any(CorruptRowError) })
    expect(String(error)).toMatch(/Read it again/)
    await readSnapshot.close()
    const again = await store.exportSnapshot()
    const rest = inOrder(live).filter(({ body }) => body.type !== 'patch' || body.patch['fork'] !== 4)
    expect((await read(again, writer.avatar, false)).map(readable)).toEqual(rest.map(asExported))
    await again.close()
  })
})
