import fc from 'fast-check'
import { expect, test } from 'vitest'
import { foldRecords } from '../../src/state/fold.ts'
import { comparable } from '../oracle/comparable.ts'
import { deliver, delivery, shuffled } from '../oracle/delivery.ts'
import { history } from '../oracle/history.ts'
import { naiveFold } from '../oracle/naive-fold.ts'
import { PROPERTY_TIMEOUT_MS, propertyRuns } from '../support/runs.ts'

test('any subset, in any order, however often: what the oracle says', { timeout: PROPERTY_TIMEOUT_MS }, () => {
  fc.assert(
    fc.property(history(30), delivery, ({ key, records }, plan) => {
      const arrived = deliver(records, plan).flat()
      expect(comparable(foldRecords(key.avatar, arrived))).toEqual(comparable(naiveFold(key.avatar, arrived)))
    }),
    { numRuns: propertyRuns(400) },
  )
})

test('folding changes no record', { timeout: PROPERTY_TIMEOUT_MS }, () => {
  fc.assert(
    fc.property(history(15), ({ key, records }) => {
      const before = JSON.stringify(records.map((record) => record.body))
      foldRecords(key.avatar, records)
      expect(JSON.stringify(records.map((record) => record.body))).toBe(before)
    }),
    { numRuns: propertyRuns(50) },
  )
})

test('a digest tells sets apart by what they show, and only by that', { timeout: PROPERTY_TIMEOUT_MS }, () => {
  fc.assert(
    fc.property(history(15), delivery, delivery, ({ key, records }, one, other) => {
      const left = comparable(foldRecords(key.avatar, deliver(records, one).flat()))
      const right = comparable(foldRecords(key.avatar, deliver(records, other).flat()))
      const shown = ({ base, tips, head, namespaces }: typeof left) => ({ base, tips, head, namespaces })
      if (left.digest === right.digest) expect(shown(left)).toEqual(shown(right))
      else expect([left.base, left.tips]).not.toEqual([right.base, right.tips])
    }),
    { numRuns: propertyRuns(150) },
  )
})

test('a subset closed under citation shows nothing pending', { timeout: PROPERTY_TIMEOUT_MS }, () => {
  fc.assert(
    fc.property(history(20), delivery, ({ key, records }, plan) => {
      const arrived = deliver(records, plan).flat()
      const { statuses } = naiveFold(key.avatar, arrived)
      const stored = arrived.filter((record) => statuses.get(record.id) === 'stored')
      const named = new Set(stored.flatMap(({ body }) => (body.type === 'snapshot' ? body.parts : [])))
      const counting = arrived.filter((record) => stored.includes(record) || named.has(record.id))
      const fold = foldRecords(key.avatar, shuffled(counting, plan.orderSeed))
      expect({ pending: fold.pending, missing: fold.missing }).toEqual({ pending: 0, missing: [] })
      expect(fold.digest).toBe(naiveFold(key.avatar, arrived).digest)
    }),
    { numRuns: propertyRuns(100) },
  )
})
