import fc from 'fast-check'
import { expect, test } from 'vitest'
import { etagOfSummary } from '../../src/http/answers/etag.ts'
import type { VerifiedRecord } from '../../src/record/types.ts'
import { deliver, delivery, type Delivery } from '../oracle/delivery.ts'
import { history, type History } from '../oracle/history.ts'
import { PROPERTY_TIMEOUT_MS, propertyRuns } from '../support/runs.ts'
import { commitBatches, comparableView, expectOracle, expectResultsOfNow } from './expectations.ts'
import { verified, type OpenOptions, type StoreHarness } from './harness.ts'
import { expectSynced } from './sync-expectations.ts'
import { viewOf } from './read-whole.ts'

/** What must hold for every history and delivery, on whatever the store keeps its rows in. */
export function storeProperties(make: () => Promise<StoreHarness>, standardRuns: number, opened: OpenOptions): void {
  const options = { timeout: PROPERTY_TIMEOUT_MS }
  const holds = async (run: (harness: StoreHarness) => Promise<void>): Promise<void> => {
    const harness = await make()
    try {
      await run(harness)
    } finally {
      await harness.remove()
    }
  }

  test('shows what the oracle says, whatever arrives, however', options, async () => {
    await fc.assert(
      fc.asyncProperty(history(30), delivery, ({ key, records }, plan) =>
        holds(async (harness) => {
          const store = await harness.open(opened)
          const batches = deliver(records, plan).map(verified)
          await commitBatches(store, key.avatar, batches)
          await expectOracle(store, key.avatar, batches.flat())
          expect(await harness.corruptions()).toBe(0)
        }),
      ),
      { numRuns: propertyRuns(standardRuns) },
    )
  })

  test('sync sees the live records and no others, at every moment', options, async () => {
    await fc.assert(
      fc.asyncProperty(history(30), delivery, ({ key, records }, plan) =>
        holds(async (harness) => {
          const store = await harness.open(opened)
          const given: VerifiedRecord[] = []
          for (const batch of deliver(records, plan).map(verified)) {
            await store.commit(batch)
            given.push(...batch)
            await expectSynced(store, key.avatar, given)
          }
          await store.tasksDone()
          await expectSynced(store, key.avatar, given)
          expect(await harness.corruptions()).toBe(0)
        }),
      ),
      { numRuns: propertyRuns(standardRuns) },
    )
  })

  test('the results of a batch say how its records stand after it', options, async () => {
    await fc.assert(
      fc.asyncProperty(history(12), delivery, ({ records }, plan) =>
        holds(async (harness) => {
          const store = await harness.open(opened)
          for (const batch of deliver(records, plan).map(verified)) await expectResultsOfNow(store, batch)
        }),
      ),
      { numRuns: propertyRuns(standardRuns) },
    )
  })

  test('goes on after being closed and opened at any batch', options, async () => {
    await fc.assert(
      fc.asyncProperty(history(20), delivery, fc.nat(7), ({ key, records }, plan, every) =>
        holds(async (harness) => {
          let store = await harness.open(opened)
          const batches = deliver(records, plan).map(verified)
          for (const [turn, batch] of batches.entries()) {
            await commitBatches(store, key.avatar, [batch])
            if (turn % (every + 1) !== every) continue
            await store.tasksDone()
            const before = [store.epoch, store.lastSequence(), store.totals(), await viewOf(store, key.avatar)]
            store = await harness.open(opened)
            expect([store.epoch, store.lastSequence(), store.totals(), await viewOf(store, key.avatar)]).toEqual(before)
          }
          await expectOracle(store, key.avatar, batches.flat())
        }),
      ),
      { numRuns: propertyRuns(standardRuns / 2) },
    )
  })

  test('rebuilding from the records alone gives every row byte for byte', options, async () => {
    await fc.assert(
      fc.asyncProperty(history(30), delivery, fc.boolean(), ({ key, records }, plan, all) =>
        holds(async (harness) => {
          let store = await harness.open(opened)
          const batches = deliver(records, plan).map(verified)
          await commitBatches(store, key.avatar, batches)
          await store.tasksDone()
          const before = await harness.dump()
          store = await harness.open(opened)
          await store.rebuild(...(all ? [] : [key.avatar]))
          await expectOracle(store, key.avatar, batches.flat())
          expect(await harness.dump()).toEqual(before)
        }),
      ),
      { numRuns: propertyRuns(standardRuns) },
    )
  })

  test('two avatars in the same batches do not touch one another', options, async () => {
    await fc.assert(
      fc.asyncProperty(history(12, 1), history(12, 2), delivery, (one, other, plan) =>
        holds(async (harness) => {
          const store = await harness.open(opened)
          const given = deliver([...one.records, ...one.foreign, ...other.records], plan).map(verified)
          for (const batch of given) await store.commit(batch)
          for (const avatar of [one.key.avatar, other.key.avatar]) {
            await expectOracle(
              store,
              avatar,
              given.flat().filter(({ body }) => body.avatar === avatar),
            )
          }
          const avatars = new Set(given.flat().map(({ body }) => body.avatar))
          expect(await store.avatars({ limit: 10 })).toEqual([...avatars].sort())
          const summaries = await Promise.all([...avatars].map((avatar) => store.summary(avatar)))
          const live = summaries.reduce((sum, summary) => sum + (summary?.records ?? NaN), 0)
          expect(store.totals()).toMatchObject({ avatars: avatars.size, records: live })
        }),
      ),
      { numRuns: propertyRuns(standardRuns / 2) },
    )
  })

  test(
    'stores agree that got the same records in other orders, one with history and one without',
    options,
    async () => {
      const arrange = async (store: StoreHarness, { records, key }: History, plan: Delivery, archive: boolean) => {
        const target = await store.open({ ...opened, archive })
        for (const batch of deliver(records, { ...plan, withheld: [] })) await target.commit(verified(batch))
        await target.tasksDone()
        const view = await viewOf(target, key.avatar)
        if (view === undefined) throw new Error('an avatar with records has a view')
        return { ...comparableView(view), namespaces: view.namespaces, etag: etagOfSummary(view.summary) }
      }
      await fc.assert(
        fc.asyncProperty(history(30), delivery, delivery, (written, one, other) =>
          holds((left) =>
            holds(async (right) => {
              expect(await arrange(left, written, one, true)).toEqual(await arrange(right, written, other, false))
            }),
          ),
        ),
        { numRuns: propertyRuns(standardRuns / 2) },
      )
    },
  )
}
