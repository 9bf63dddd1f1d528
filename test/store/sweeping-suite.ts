import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { TestRecord } from '../oracle/signing.ts'
import { allRecords, expectOracle } from './expectations.ts'
import { verified, type OpenOptions, type OpenStore, type StoreHarness } from './harness.ts'
import { expectSynced, streamed } from './sync-expectations.ts'
import { ALICE, entry, Writer } from './writer.ts'
import { claimsOf, contentOf, viewOf } from './read-whole.ts'

/** More than one step of background work, and more than a commit clears away by itself. */
const LONG = 1_700

const lettersOf = (rows: readonly (readonly [string, string])[]): string[] =>
  rows.map(([key]) => Buffer.from(key, 'hex').toString('latin1')[0] as string)

/** Pruning, history and forgetting, on whatever the store keeps its rows in. */
export function sweepingSuite(make: () => Promise<StoreHarness>): void {
  let harness: StoreHarness
  beforeEach(async () => {
    harness = await make()
  })
  afterEach(() => harness.remove())

  const commit = async (store: OpenStore, ...records: TestRecord[]): Promise<(string | undefined)[]> => {
    const statuses: (string | undefined)[] = []
    for (let from = 0; from < records.length; from += 250) {
      const results = await store.commit(verified(records.slice(from, from + 250)))
      statuses.push(...results.map(({ status, code }) => code ?? status))
    }
    return statuses
  }
  const rowsOf = async (letters: string): Promise<number> =>
    lettersOf(await harness.dump()).filter((letter) => letters.includes(letter)).length
  const history = { after: 0, limit: 10_000 }

  test('what a snapshot has superseded is gone, and does not come back', async () => {
    const store = await harness.open()
    const [one, other] = [new Writer(1), new Writer(2)]
    const chain = one.chain(LONG)
    const bystanders = other.chain(5)
    await commit(store, ...chain, ...bystanders)
    const base = one.snapshot([chain.at(-1)!], [entry({ a: 1 })])
    await commit(store, base)
    const all = verified([...chain, base, ...bystanders])
    expect((await streamed(store)).length).toBe(6)
    expect(await store.summary(one.avatar)).toMatchObject({ records: 1, head: LONG + 1 })
    expect(store.totals().records).toBe(6)
    const readSnapshot = await store.sync.readSnapshot('all')
    expect(readSnapshot.size()).toBe(6)
    await readSnapshot.close()
    await store.tasksDone()
    await expectOracle(store, one.avatar, all.slice(0, LONG + 1))
    expect((await allRecords(store, one.avatar)).map(({ id }) => id)).toEqual([base.id])
    expect(await store.record(chain[0]!.id)).toBeUndefined()
    expect(await store.sync.held([Buffer.from(chain[0]!.id.slice(2), 'hex')])).toEqual([false])
    const sizes = [base, ...bystanders].map(({ payload, signature }) => payload.length + signature.length)
    expect(store.totals()).toEqual({ avatars: 2, records: 6, bytes: sizes.reduce((sum, size) => sum + size) })
    expect(await commit(store, chain[0]!, chain[LONG - 1]!)).toEqual(['superseded', 'superseded'])
    expect(await store.record(chain[0]!.id)).toBeUndefined()
    const lasting = await viewOf(store, one.avatar)
    expect(await rowsOf('sbhio')).toBe(6 * 5)
    expect(await rowsOf('ugd')).toBe(0)
    const reopened = await harness.open()
    expect(await viewOf(reopened, one.avatar)).toEqual(lasting)
    expect(await reopened.events({ after: 0, avatar: one.avatar, limit: 10 })).toMatchObject([{ id: base.id }])
  }, 60_000)

  test('writers get their turn while a long history is cleared away', async () => {
    const store = await harness.open({ stepRecords: 20 })
    const [one, other] = [new Writer(1), new Writer(2)]
    const chain = one.chain(400)
    await commit(store, ...chain, one.snapshot([chain.at(-1)!]))
    const order: string[] = []
    const readSnapshot = store.sync.readSnapshot('all').then(async (opened) => {
      order.push('order of sync')
      await opened.close()
    })
    const tasksDone = store.tasksDone().then(() => order.push('swept'))
    await commit(store, other.patch([]))
    order.push('written')
    await Promise.all([readSnapshot, tasksDone])
    expect(order).toEqual(['written', 'order of sync', 'swept'])
  })

  test('a late base, with more above it than below', async () => {
    const store = await harness.open({ stepRecords: 20 })
    const writer = new Writer(1)
    const chain = writer.chain(300)
    const base = writer.snapshot([chain[59]!])
    await commit(store, ...chain, base)
    await expectSynced(store, writer.avatar, verified([...chain, base]))
    const higher = writer.snapshot([chain[259]!])
    await commit(store, higher)
    await expectSynced(store, writer.avatar, verified([...chain, base, higher]))
    await expectOracle(store, writer.avatar, verified([...chain, base, higher]))
  })

  test('one base after the other, while the first is not yet cleared away', async () => {
    const store = await harness.open({ stepRecords: 3 })
    const writer = new Writer(1)
    const given: TestRecord[] = []
    let last: TestRecord[] = []
    for (let round = 0; round < 6; round += 1) {
      const chain = writer.chain(30, last)
      const base = writer.snapshot([chain.at(-1)!], [entry({ round })])
      last = [base]
      given.push(...chain, base)
      await commit(store, ...chain, base)
      expect(await store.summary(writer.avatar)).toMatchObject({ records: 1 })
    }
    await expectSynced(store, writer.avatar, verified(given))
    await expectOracle(store, writer.avatar, verified(given))
    expect(await rowsOf('sbhio')).toBe(5)
  })

  test.each([
    ['pruned', false],
    ['kept as history', true],
  ])('a false citation of a record that is %s is missing, as in a store that never had it', async (_, archive) => {
    const store = await harness.open({ archive })
    const writer = new Writer(1)
    const [root, next] = writer.chain(2)
    await commit(store, root!, next!)
    const base = writer.snapshot([next!])
    const liar = writer.patch([{ counter: 3, id: root!.id }])
    await commit(store, liar, base)
    await store.tasksDone()
    expect(await store.summary(writer.avatar)).toMatchObject({ missing: { total: 1, ids: [root!.id] } })
    expect(await store.sync.held([Buffer.from(root!.id.slice(2), 'hex')])).toEqual([archive])
    await expectOracle(store, writer.avatar, verified([root!, next!, base, liar]))
    const before = await harness.dump()
    await (await harness.open({ archive })).rebuild()
    expect(await harness.dump()).toEqual(before)
  })

  describe('with history', () => {
    const archive: OpenOptions = { archive: true }

    test('what is superseded stays, and what comes superseded is kept once', async () => {
      const store = await harness.open(archive)
      const writer = new Writer(1)
      const [root, next] = writer.chain(2)
      const late = writer.patch([root!])
      const base = writer.snapshot([next!])
      await commit(store, root!, next!, base)
      expect(await commit(store, late, late)).toEqual(['superseded', 'superseded'])
      // Whoever sends it again learns that it has no effect, though it is held.
      expect(await commit(store, late, root!)).toEqual(['superseded', 'superseded'])
      const page = await store.records(writer.avatar, history)
      expect(page?.records.map(({ id, status }) => [id, status])).toEqual([
        [root!.id, 'superseded'],
        [next!.id, 'superseded'],
        [base.id, 'stored'],
        [late.id, 'superseded'],
      ])
      await expectOracle(store, writer.avatar, verified([root!, next!, base, late]))
      await expectSynced(store, writer.avatar, verified([root!, next!, base, late]))
      expect(await store.sync.held([Buffer.from(late.id.slice(2), 'hex')])).toEqual([true])
    })

    test('a store that prunes and one that does not are equal for sync', async () => {
      const writer = new Writer(1)
      const chain = writer.chain(50)
      const records = [...chain, writer.snapshot([chain[39]!]), ...writer.chain(5, [chain[49]!])]
      const seen: unknown[] = []
      for (const options of [{ archive: true }, { archive: false }]) {
        const own = await make()
        const store = await own.open(options)
        await commit(store, ...records)
        await store.tasksDone()
        await commit(store, ...chain)
        const readSnapshot = await store.sync.readSnapshot('all')
        const [sums] = await store.sync.avatarSums([writer.avatar])
        const items = [...(await readSnapshot.items(0, readSnapshot.size()))]
        seen.push([
          sums?.count,
          Buffer.from(sums!.sum).toString('hex'),
          items.map(({ timestamp, id }) => [timestamp, Buffer.from(id).toString('hex')]),
          (await store.summary(writer.avatar))?.digest,
        ])
        await readSnapshot.close()
        await own.remove()
      }
      expect(seen[0]).toEqual(seen[1])
    })

    test('switched off, history goes; switched on, what is left stays', async () => {
      const writer = new Writer(1)
      const chain = writer.chain(30)
      const base = writer.snapshot([chain.at(-1)!])
      await commit(await harness.open(archive), ...chain, base)
      expect(await rowsOf('s')).toBe(31)
      // Without being told, as it was: whoever only looks at the data of an archive must not prune it.
      await (await harness.open()).tasksDone()
      expect(await rowsOf('s')).toBe(31)
      const pruning = await harness.open({ archive: false })
      await pruning.tasksDone()
      await expectOracle(pruning, writer.avatar, verified([...chain, base]))
      expect(await rowsOf('s')).toBe(1)
      const more = writer.chain(4, [base])
      const kept = await harness.open(archive)
      await commit(kept, ...more, writer.snapshot([more.at(-1)!]))
      await kept.tasksDone()
      expect(await rowsOf('s')).toBe(6)
    })
  })

  describe('forgetting', () => {
    test('leaves nothing of an avatar, and all of the others', async () => {
      const options = { archive: true, stepRecords: 7 }
      const [one, other] = [new Writer(1), new Writer(2)]
      const kept = other.chain(9)
      await commit(await harness.open(options), ...kept)
      const before = (await harness.dump()).filter(([key]) => !key.startsWith('66') && !key.startsWith('6d'))
      const store = await harness.open(options)
      const chain = one.chain(40)
      const unseen = one.patch([chain[2]!], { x: 1 }, { platform: 'x', identity: 'y' })
      const base = one.snapshot([chain.at(-1)!], [entry({ a: { b: 1 } })])
      const forks = Array.from({ length: 20 }, (_, fork) => one.patch([base], { fork, a: null }))
      const waiting = one.patch([one.patch([base])])
      await commit(store, ...chain, unseen, base, ...forks, waiting)
      await store.forget(one.avatar)
      expect(store.totals()).toMatchObject({ avatars: 1, records: 9 })
      expect(await store.avatars({ limit: 10 })).toEqual([other.avatar])
      await expectSynced(store, other.avatar, verified(kept))
      const after = (await harness.dump()).filter(([key]) => !key.startsWith('66') && !key.startsWith('6d'))
      expect(after).toEqual(before)
      const again = await harness.open(options)
      expect(await again.events({ after: 0, limit: 1000 })).toHaveLength(9)
      await commit(again, ...other.chain(1, [kept.at(-1)!]))
      // Between the two lie more entries of the avatar that is gone than a page has.
      expect(await again.events({ after: 9, limit: 5 })).toHaveLength(1)
      expect(await commit(again, chain[0]!)).toEqual(['stored'])
      await expectOracle(again, one.avatar, verified([chain[0]!]))
    })

    test('from its first moment on nothing is shown or offered', async () => {
      const store = await harness.open({ stepRecords: 1 })
      const writer = new Writer(1)
      const [root, next] = writer.chain(2)
      const more = Array.from({ length: 20 }, (_, index) => writer.patch([next!], { index }))
      await commit(store, root!, next!, ...more)
      const done = store.forget(writer.avatar)
      while (store.totals().avatars > 0) await new Promise((resolve) => setImmediate(resolve))
      expect(store.totals()).toEqual({ avatars: 0, records: 0, bytes: 0 })
      const ids = [root!, next!].map(({ id }) => Buffer.from(id.slice(2), 'hex'))
      expect(await streamed(store)).toEqual([])
      expect(await store.sync.held(ids)).toEqual([false, false])
      expect(await store.sync.signed(ids)).toEqual([])
      expect(await viewOf(store, writer.avatar)).toBeUndefined()
      expect(await store.summary(writer.avatar)).toBeUndefined()
      expect(await store.record(root!.id)).toBeUndefined()
      expect(await store.records(writer.avatar, history)).toBeUndefined()
      expect(await store.history(writer.avatar, { limit: 9, superseded: true })).toEqual([])
      expect(await contentOf(store, writer.avatar, ALICE.platform, ALICE.identity)).toBeUndefined()
      expect(await claimsOf(store, ALICE.platform, ALICE.identity, 9)).toEqual([])
      expect(await store.events({ after: 0, limit: 9 })).toEqual([])
      // A record that comes meanwhile waits, and then is the first.
      expect(await commit(store, next!)).toEqual(['pending'])
      await done
      expect(store.totals()).toMatchObject({ avatars: 1, records: 1 })
      await expectOracle(store, writer.avatar, verified([next!]))
      expect(await harness.corruptions()).toBe(0)
    })

    test('of an avatar that is not known changes nothing', async () => {
      const store = await harness.open()
      await commit(store, ...new Writer(1).chain(2))
      const before = await harness.dump()
      await (await harness.open()).forget(new Writer(2).avatar)
      expect(await harness.dump()).toEqual(before)
    })

    test('works on rows that fail their check', async () => {
      const writer = new Writer(1)
      const chain = writer.chain(6)
      await commit(await harness.open(), ...chain)
      await harness.tamper(async (db) => {
        for await (const [key, value] of db.iterator()) {
          const letter = String.fromCharCode(key[0] as number)
          if (letter === 's' || ('hovk'.includes(letter) && key.length > 35))
            await db.put(
              key,
              value.map((byte) => byte ^ 1),
            )
        }
      })
      const store = await harness.open()
      await store.forget(writer.avatar)
      expect(store.totals()).toMatchObject({ avatars: 0, records: 0, bytes: 0 })
      expect(await rowsOf('rhiavtkpqugde')).toBe(0)
    })
  })
}
