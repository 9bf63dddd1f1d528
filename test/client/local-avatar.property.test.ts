import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LocalAvatar } from '../../src/client/local-avatar.ts'
import { takeIn } from '../../src/client/verify-records.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'
import { comparable } from '../oracle/comparable.ts'
import { deliver, delivery } from '../oracle/delivery.ts'
import { history } from '../oracle/history.ts'
import { naiveFold } from '../oracle/naive-fold.ts'
import { PROPERTY_TIMEOUT_MS, propertyRuns } from '../support/runs.ts'
import type { TestRecord } from '../oracle/signing.ts'

const engine = await selectEngine()
const onStep = (): Promise<void> => Promise.resolve()

/** The local state, which has dropped superseded records, and the oracle's fold of all that arrived. Both must be equal. */
function both(local: LocalAvatar, arrived: readonly TestRecord[]) {
  const { records: live, ...state } = local.snapshot()
  return [comparable({ ...state, live }), comparable(naiveFold(local.avatar, arrived))] as const
}

/** As a node hands it out, once it was decoded. */
const decoded = ({ id, body, payload, signature }: TestRecord) => ({ id, body, payload, signature })

test('any subset, in any order and pages: what the oracle says', { timeout: PROPERTY_TIMEOUT_MS }, async () => {
  await fc.assert(
    fc.asyncProperty(history(30), delivery, async ({ key, records, foreign }, plan) => {
      const local = new LocalAvatar(key.avatar, 'main')
      const arrived: TestRecord[] = []
      for (const page of deliver(records, plan)) {
        arrived.push(...page)
        const { faults } = await takeIn(local, engine, page.map(decoded), onStep)
        expect(faults).toEqual([])
        const [found, expected] = both(local, arrived)
        expect(found).toEqual(expected)
      }
      for (const record of foreign) expect(local.get(record.id)).toBeUndefined()
    }),
    { numRuns: propertyRuns(150) },
  )
})

test('a record with a bad signature is as if it had not come', { timeout: PROPERTY_TIMEOUT_MS }, async () => {
  await fc.assert(
    fc.asyncProperty(history(20), delivery, fc.nat(), async ({ key, records }, plan, pick) => {
      const bad = records[pick % Math.max(1, records.length)]
      const arrived = deliver(records, plan).flat()
      const local = new LocalAvatar(key.avatar, 'main')
      const forged = arrived.map((record) => {
        if (record.id !== bad?.id) return decoded(record)
        const signature = Uint8Array.from(record.signature)
        signature[5] = (signature[5] ?? 0) ^ 1
        return { ...decoded(record), signature }
      })
      const { faults } = await takeIn(local, engine, forged, onStep)
      const [found, expected] = both(
        local,
        arrived.filter(({ id }) => id !== bad?.id),
      )
      expect(found).toEqual(expected)
      // What a base supersedes is passed over unverified.
      expect(faults.length).toBeLessThanOrEqual(1)
    }),
    { numRuns: propertyRuns(100) },
  )
})
