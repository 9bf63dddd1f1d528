import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { VerifiedRecord } from '../../src/record/types.ts'
import type { Quotas } from '../../src/store/types.ts'
import { deliver, delivery } from '../oracle/delivery.ts'
import { history } from '../oracle/history.ts'
import { naiveFold } from '../oracle/naive-fold.ts'
import { PROPERTY_TIMEOUT_MS, propertyRuns } from '../support/runs.ts'
import { allRecords, comparableView, expectedView } from './expectations.ts'
import { memoryHarness, verified, type OpenStore } from './harness.ts'
import { viewOf } from './read-whole.ts'

const bytesOf = ({ payload, signature }: VerifiedRecord): number => payload.length + signature.length

/** Some small enough to be full at once; 0 is no limit. */
const quotas: fc.Arbitrary<Quotas> = fc.record({
  avatarBytes: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 9_000 })),
  avatarRecords: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 20 })),
  totalBytes: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 12_000 })),
  totalRecords: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 24 })),
})

interface Look {
  readonly records: readonly VerifiedRecord[]
  /** Live ones. */
  readonly live: readonly VerifiedRecord[]
  readonly base: string | undefined
}

/** What a store holds of an avatar; that what it shows of it is what the oracle makes of just that. */
async function look(
  store: OpenStore,
  avatar: VerifiedRecord['body']['avatar'],
  given: readonly VerifiedRecord[],
): Promise<Look> {
  const byId = new Map<string, VerifiedRecord>(given.map((record) => [record.id, record]))
  const records = (await allRecords(store, avatar)).map(({ id }) => byId.get(id)!)
  const fold = naiveFold(avatar, records)
  const view = await viewOf(store, avatar)
  if (view === undefined) expect(records).toEqual([])
  else expect(comparableView(view)).toEqual(expectedView(avatar, fold, records))
  // Closed under citation: all that is cited by what is shown, and not stood for by the base, is held.
  const base = fold.base?.counter ?? 0
  const held = new Set<string>(records.map(({ id }) => id))
  for (const { id, body } of records) {
    if (body.type !== 'patch' || fold.statuses.get(id) !== 'stored') continue
    for (const cited of body.prev) if (cited.counter >= base) expect(held).toContain(cited.id)
  }
  const live = records.filter(({ id }) => fold.statuses.get(id) !== 'superseded')
  return { records, live, base: fold.base?.id }
}

const total = (records: readonly VerifiedRecord[]): { records: number; bytes: number } => ({
  records: records.length,
  bytes: records.reduce((sum, record) => sum + bytesOf(record), 0),
})

test(
  'whatever is refused, what is shown is what the records held make, and quotas hold',
  { timeout: PROPERTY_TIMEOUT_MS },
  async () => {
    await fc.assert(
      fc.asyncProperty(history(30), delivery, quotas, fc.boolean(), async ({ key, records }, plan, limits, archive) => {
        const harness = await memoryHarness()
        const store = await harness.open({ quotas: limits, archive, stepRecords: 2 })
        const given: VerifiedRecord[] = []
        let before: Look = { records: [], live: [], base: undefined }
        let wasOverQuota = false
        for (const batch of deliver(records, plan).map(verified)) {
          given.push(...batch)
          const results = await store.commit(batch)
          await store.tasksDone()
          const now = await look(store, key.avatar, given)
          const held = new Set(now.records.map(({ id }) => id))
          results.forEach(({ status }, at) => {
            const { id } = batch[at] as VerifiedRecord
            if (status === 'stored' || status === 'pending') expect(held).toContain(id)
            if (status === 'refused') expect(held).not.toContain(id)
          })
          const [live, kept] = [total(now.live), total(now.records)]
          expect(store.totals()).toMatchObject({ records: live.records, bytes: kept.bytes })
          const grown = now.live.filter(({ id }) => !before.live.some((other) => other.id === id))
          const isOverQuota =
            (limits.avatarBytes > 0 && live.bytes > limits.avatarBytes) ||
            (limits.avatarRecords > 0 && live.records > limits.avatarRecords) ||
            (limits.totalBytes > 0 && live.bytes > limits.totalBytes) ||
            (limits.totalRecords > 0 && live.records > limits.totalRecords)
          // Beyond a quota no patch gets in while nothing has made room for it, and history has gone.
          const hasSameBase = now.base === before.base
          if (isOverQuota && wasOverQuota && hasSameBase) {
            expect(grown.filter(({ body }) => body.type === 'patch')).toEqual([])
          }
          if (isOverQuota && archive) expect(kept.records).toBe(live.records)
          wasOverQuota = isOverQuota
          before = now
        }
        expect(await harness.corruptions()).toBe(0)
        const rows = await harness.dump()
        await (await harness.open({ quotas: limits, archive })).rebuild()
        expect(await harness.dump()).toEqual(rows)
        await harness.remove()
      }),
      { numRuns: propertyRuns(60) },
    )
  },
)

test('the same batch in any order comes to the same', { timeout: PROPERTY_TIMEOUT_MS }, async () => {
  await fc.assert(
    fc.asyncProperty(
      history(16, 1),
      history(8, 2),
      delivery,
      delivery,
      fc.nat(10),
      quotas,
      async (one, other, plan, again, split, limits) => {
        const first = verified(one.records.slice(0, split))
        const rest = [...one.records.slice(split), ...other.records]
        const outcomes: unknown[] = []
        for (const each of [plan, again]) {
          const harness = await memoryHarness()
          const store = await harness.open({ quotas: limits })
          await store.commit(first)
          const batch = verified(deliver(rest, { ...each, withheld: [], again: [], batchSizes: [1_000] })[0] ?? [])
          const results = await store.commit(batch)
          await store.tasksDone()
          outcomes.push([
            batch.map(({ id }, at) => `${id} ${results[at]?.code ?? results[at]?.status}`).toSorted(),
            store.totals(),
            (await store.summary(one.key.avatar))?.digest,
            (await store.summary(other.key.avatar))?.digest,
          ])
          await harness.remove()
        }
        const isTight = (outcomes as [string[]][]).some(([results]) => results.some((text) => text.includes('quota')))
        // Where there is room for all, a record that a snapshot of the same batch supersedes may come before it or after.
        if (isTight) expect(outcomes[0]).toEqual(outcomes[1])
        else
          expect((outcomes as unknown[][]).map((each) => each.slice(1))[0]).toEqual(
            (outcomes as unknown[][]).map((each) => each.slice(1))[1],
          )
      },
    ),
    { numRuns: propertyRuns(60) },
  )
})
