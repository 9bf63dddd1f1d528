import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { ArchiveFold } from '../../src/archive/fold.ts'
import { nodePlatform } from '../../src/archive/node.ts'
import { delivery, deliver } from '../oracle/delivery.ts'
import { history } from '../oracle/history.ts'
import { naiveFold } from '../oracle/naive-fold.ts'
import { PROPERTY_TIMEOUT_MS, propertyRuns } from '../support/runs.ts'
import type { TestRecord } from '../oracle/signing.ts'

const byPlace = (a: TestRecord, b: TestRecord) => a.body.counter - b.body.counter || (a.id < b.id ? -1 : 1)

describe('the fold over the records of an avatar', () => {
  it(
    'says what the oracle says of them, with superseded ones and without',
    () => {
      fc.assert(
        fc.property(history(24), delivery, fc.boolean(), ({ key, records }, plan, withHistory) => {
          const held = new Map(
            deliver(records, plan)
              .flat()
              .map((record) => [record.id, record]),
          )
          const all = [...held.values()].sort(byPlace)
          const whole = naiveFold(key.avatar, all)
          const live = all.filter(({ id }) => whole.statuses.get(id) !== 'superseded')
          const fold = new ArchiveFold(nodePlatform)
          for (const { id, body } of withHistory ? all : live) fold.add(id, body)
          expect(fold.result()).toEqual({
            head: whole.head,
            tips: whole.tips.slice(-16),
            tips_total: whole.tips.length,
            base: whole.base,
            digest: whole.digest,
            pending: whole.pending,
            missing: { total: whole.missing.length, ids: whole.missing.slice(0, 100) },
            live: whole.live,
          })
        }),
        { numRuns: propertyRuns(1_000) },
      )
    },
    PROPERTY_TIMEOUT_MS,
  )
})
