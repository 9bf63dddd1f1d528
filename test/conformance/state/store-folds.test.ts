import { expect, test } from 'vitest'
import { deliver, shuffled } from '../../oracle/delivery.ts'
import { foldVectors } from '../../oracle/vectors.ts'
import { comparableView, expectedView, expectOracle } from '../../store/expectations.ts'
import { memoryHarness, verified } from '../../store/harness.ts'
import { naiveFold } from '../../oracle/naive-fold.ts'
import { viewOf } from '../../store/read-whole.ts'

/** Opening a store takes longer than folding: each order is spread over the batches of one store of its own. */
const ORDERS = 200

test.each(foldVectors())('$name, record by record through the store, in 200 orders', async (vector) => {
  const { avatar, expected } = vector
  const records = verified(vector.records)
  for (let seed = 0; seed < ORDERS; seed += 1) {
    const plan = {
      withheld: [],
      again: [seed, seed >> 3],
      orderSeed: seed,
      batchSizes: [1 + (seed % 4), 1 + (seed % 3)],
    }
    const harness = await memoryHarness()
    try {
      const store = await harness.open()
      for (const batch of deliver(shuffled(records, seed * 7), plan)) await store.commit(batch)
      const view = await viewOf(store, avatar)
      if (records.length === 0) {
        expect(view).toBeUndefined()
        continue
      }
      if (view === undefined) throw new Error('an avatar with records has a view')
      const fold = { ...naiveFold(avatar, vector.records), ...expected }
      expect(comparableView(view)).toEqual(
        expectedView(
          avatar,
          { ...fold, tips: [...fold.tips], missing: [...fold.missing], namespaces: [...fold.namespaces] },
          records,
        ),
      )
      if (seed % 20 === 0) await expectOracle(store, avatar, records)
    } finally {
      await harness.remove()
    }
  }
})
