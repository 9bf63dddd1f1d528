import fc from 'fast-check'
import { expect, test } from 'vitest'

import { findForks } from '../../src/state/forks.ts'
import { compareCitations } from '../../src/record/order.ts'
import type { Citation, RecordBody, RecordId } from '../../src/record/types.ts'
import { foldRecords } from '../../src/state/fold.ts'
import { deliver, delivery } from '../oracle/delivery.ts'
import { history } from '../oracle/history.ts'
import { naiveFold } from '../oracle/naive-fold.ts'
import { PROPERTY_TIMEOUT_MS, propertyRuns } from '../support/runs.ts'
import type { TestRecord } from '../oracle/signing.ts'

/** The groups of concurrent records, by comparing every two of them. */
function naiveForks(records: readonly TestRecord[]): RecordId[][] {
  const avatar = records[0]!.body.avatar
  const { statuses, base } = naiveFold(avatar, records)
  const bodies = new Map<RecordId, RecordBody>(records.map(({ id, body }) => [id, body]))
  const shown: Citation[] = []
  for (const [id, body] of bodies) {
    if (body.type === 'part' || statuses.get(id) !== 'stored') continue
    if (body.type === 'snapshot' && body.counter !== base?.counter) continue
    shown.push({ counter: body.counter, id })
  }
  shown.sort(compareCitations)
  const before = new Map<RecordId, Set<RecordId>>()
  for (const { id } of shown) {
    const body = bodies.get(id)!
    const all = new Set<RecordId>()
    for (const cited of body.type === 'patch' ? body.prev : []) {
      if (bodies.get(cited.id)?.counter !== cited.counter || !before.has(cited.id)) continue
      all.add(cited.id)
      for (const each of before.get(cited.id)!) all.add(each)
    }
    before.set(id, all)
  }
  const groupOf = new Map<RecordId, RecordId[]>(shown.map(({ id }) => [id, [id]]))
  for (const { id: a } of shown) {
    for (const { id: b } of shown) {
      if (a === b || before.get(a)!.has(b) || before.get(b)!.has(a)) continue
      const [one, other] = [groupOf.get(a)!, groupOf.get(b)!]
      if (one === other) continue
      const both = [...one, ...other]
      for (const id of both) groupOf.set(id, both)
    }
  }
  const order = new Map(shown.map(({ id }, index) => [id, index]))
  return [...new Set(groupOf.values())]
    .filter((group) => group.length > 1)
    .map((group) => group.toSorted((a, b) => order.get(a)! - order.get(b)!))
    .toSorted((a, b) => order.get(a[0]!)! - order.get(b[0]!)!)
}

test('forks are the groups of records of which neither cites the other', { timeout: PROPERTY_TIMEOUT_MS }, () => {
  let found = 0
  fc.assert(
    fc.property(history(25), delivery, ({ records, key }, plan) => {
      const arrived = deliver(records, plan).flat()
      fc.pre(arrived.length > 0)
      const { base, tips } = foldRecords(key.avatar, arrived)
      const forks = findForks(new Map(arrived.map((record) => [record.id, record])), base)
      expect(forks.map((fork) => fork.records.map(({ id }) => id))).toEqual(naiveForks(arrived))
      // Several tips lie in the last fork, and no fork is open but the last.
      expect(forks.slice(0, -1).filter(({ open }) => open)).toEqual([])
      if (tips.length > 1) expect(forks.at(-1)).toMatchObject({ open: true })
      for (const { open, ends } of forks) if (!open) expect(ends.length).toBeGreaterThan(0)
      found += forks.length
    }),
    { numRuns: propertyRuns(500, 500) },
  )
  expect(found).toBeGreaterThan(100)
})
