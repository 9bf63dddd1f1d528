import fc from 'fast-check'
import { expect, test } from 'vitest'

import { findContradictions } from '../../src/receipt/contradictions.ts'
import type { Receipt } from '../../src/receipt/receipt.ts'
import { deliver, delivery } from '../oracle/delivery.ts'
import { history } from '../oracle/history.ts'
import { naiveFold } from '../oracle/naive-fold.ts'
import { PROPERTY_TIMEOUT_MS, propertyRuns } from '../support/runs.ts'
import type { TestRecord } from '../oracle/signing.ts'

const AVATAR_OF = (records: readonly TestRecord[]) => records[0]!.body.avatar

/** What a node that holds these records states. */
function stated(records: readonly TestRecord[], peer_id: string, time: number): Receipt {
  const avatar = AVATAR_OF(records)
  const { head, tips, live, digest } = naiveFold(avatar, records)
  const id = tips.at(-1)?.id ?? null
  return { avatar, network: 'main', head, id, records: live, digest, time, peer_id, signature: '0x' }
}

test('nodes that only gain records never contradict themselves or each other', { timeout: PROPERTY_TIMEOUT_MS }, () => {
  fc.assert(
    fc.property(history(25), delivery, delivery, ({ records }, one, other) => {
      const receipts: Receipt[] = []
      for (const [peer, plan] of [one, other].entries()) {
        const held: TestRecord[] = []
        for (const [time, batch] of deliver(records, plan).entries()) {
          held.push(...batch)
          receipts.push(stated(held, `peer ${peer}`, time))
        }
      }
      expect(findContradictions(receipts)).toEqual([])
    }),
    { numRuns: propertyRuns(300) },
  )
})

test('a node that lost its newest visible record is found out', { timeout: PROPERTY_TIMEOUT_MS }, () => {
  fc.assert(
    fc.property(history(15), ({ records, key }) => {
      const before = stated(records, 'peer', 1)
      fc.pre(before.id !== null)
      const less = records.filter(({ id }) => id !== before.id)
      const { head, tips, live, digest } = naiveFold(key.avatar, less)
      const after = { ...before, head, id: tips.at(-1)?.id ?? null, records: live, digest, time: 2 }
      expect(findContradictions([after, before])).toMatchObject([{ rule: 'place_fell', receipts: [before, after] }])
    }),
    { numRuns: propertyRuns(100) },
  )
})
