import fc from 'fast-check'
import { expect, test } from 'vitest'
import { privateKeySigner } from '../../src/client/signers.ts'
import { verifyRecord } from '../../src/record/verify.ts'
import type { VerifiedRecord } from '../../src/record/types.ts'
import type { Replica } from '../../src/replica/types.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'
import { deliver, delivery, type Delivery } from '../oracle/delivery.ts'
import { history, type History } from '../oracle/history.ts'
import { naiveFold } from '../oracle/naive-fold.ts'
import { PROPERTY_TIMEOUT_MS, propertyRuns } from '../support/runs.ts'
import { comparableView } from '../store/expectations.ts'
import { verified } from '../store/harness.ts'
import { expectOracle, viewOf } from './expectations.ts'
import { give, replicaHarness, type ReplicaHarness } from './harness.ts'

/*
 * What must hold of a node's store (test/store/store-properties.ts) must hold of a replica: the same histories, the same
 * deliveries, the same oracle. What a replica has not is left out: sequences, the change feed, claims of accounts, sync.
 */

const RUNS = 60
const options = { timeout: PROPERTY_TIMEOUT_MS }
const engine = await selectEngine()

async function holds(run: (harness: ReplicaHarness) => Promise<void>): Promise<void> {
  const harness = replicaHarness()
  try {
    await run(harness)
  } finally {
    await harness.close()
  }
}

test('shows what the oracle says, whatever arrives, however', options, async () => {
  await fc.assert(
    fc.asyncProperty(history(30), delivery, ({ key, records }, plan) =>
      holds(async (harness) => {
        const replica = await harness.open()
        const given: VerifiedRecord[] = []
        for (const batch of deliver(records, plan)) {
          const before = new Set(given.map(({ id }) => id))
          const result = await give(replica, batch)
          given.push(...verified(batch))
          await expectOracle(replica, key.avatar, given)
          expect(result).toMatchObject({ records: batch.length, invalid: 0, skipped: 0 })
          expect(result.added + result.duplicate + result.superseded).toBe(batch.length)
          expect(result.added).toBeLessThanOrEqual(batch.filter(({ id }) => !before.has(id)).length)
        }
        expect(harness.events.filter(({ type }) => type === 'damaged')).toEqual([])
      }),
    ),
    { numRuns: propertyRuns(RUNS) },
  )
})

test('goes on after being closed and opened at any batch', options, async () => {
  await fc.assert(
    fc.asyncProperty(history(20), delivery, fc.nat(7), ({ key, records }, plan, every) =>
      holds(async (harness) => {
        let replica = await harness.open()
        const batches = deliver(records, plan)
        for (const [turn, batch] of batches.entries()) {
          await give(replica, batch)
          if (turn % (every + 1) !== every) continue
          const before = comparableView(viewOf(replica, key.avatar))
          replica = await harness.open()
          expect(comparableView(viewOf(replica, key.avatar))).toEqual(before)
        }
        await expectOracle(replica, key.avatar, verified(batches.flat()))
      }),
    ),
    { numRuns: propertyRuns(RUNS) },
  )
})

test('rows are those of what counts: opened anew, nothing is left to be taken away', options, async () => {
  await fc.assert(
    fc.asyncProperty(history(30), delivery, ({ key, records }, plan) =>
      holds(async (harness) => {
        const replica = await harness.open()
        const given = deliver(records, plan)
        for (const batch of given) await give(replica, batch)
        const rows = await harness.dump()
        await harness.open()
        expect(await harness.dump()).toEqual(rows)
        const { live } = naiveFold(key.avatar, verified(given.flat()))
        expect(rows.filter(([row]) => row.startsWith('r/'))).toHaveLength(live)
      }),
    ),
    { numRuns: propertyRuns(RUNS) },
  )
})

test('two avatars in the same batches do not touch one another', options, async () => {
  await fc.assert(
    fc.asyncProperty(history(12, 1), history(12, 2), delivery, (one, other, plan) =>
      holds(async (harness) => {
        const replica = await harness.open()
        const given = deliver([...one.records, ...one.foreign, ...other.records], plan)
        for (const batch of given) await give(replica, batch)
        const all = verified(given.flat())
        for (const { key } of [one, other]) {
          const mine = all.filter(({ body }) => body.avatar === key.avatar)
          await expectOracle(replica, key.avatar, mine)
        }
      }),
    ),
    { numRuns: propertyRuns(RUNS / 2) },
  )
})

test('replicas that got the same records in other orders agree', options, async () => {
  const arrange = async (harness: ReplicaHarness, { records, key }: History, plan: Delivery) => {
    const replica = await harness.open()
    for (const batch of deliver(records, { ...plan, withheld: [] })) await give(replica, batch)
    return comparableView(viewOf(replica, key.avatar))
  }
  await fc.assert(
    fc.asyncProperty(history(30), delivery, delivery, (written, one, other) =>
      holds((left) =>
        holds(async (right) => {
          const [a, b] = [await arrange(left, written, one), await arrange(right, written, other)]
          expect(a).toEqual(b)
        }),
      ),
    ),
    { numRuns: propertyRuns(RUNS / 2) },
  )
})

/** Generated counters go up to 2^53 − 1, and none may be above the time at which it is written. */
const NOW_SECONDS = 2 ** 52

/** What happens to a replica between two looks at it. */
const step = fc.oneof(
  { weight: 3, arbitrary: fc.constant('give' as const) },
  { weight: 2, arbitrary: fc.constant('put' as const) },
  { weight: 1, arbitrary: fc.constant('open' as const) },
)

test('own writes that wait and records that arrive make the state that the oracle makes of both', options, async () => {
  const now = (): number => NOW_SECONDS * 1000
  const ownRecords = (replica: Replica): VerifiedRecord[] =>
    replica.waiting().map(({ payload, signature }) => {
      const bytes = { payload: Buffer.from(payload), signature: Buffer.from(signature.slice(2), 'hex') }
      return verifyRecord(engine, 'main', bytes, { recoveryByte: false })
    })
  await fc.assert(
    fc.asyncProperty(
      history(16),
      delivery,
      fc.array(step, { minLength: 4, maxLength: 24 }),
      ({ key, records }, plan, steps) =>
        holds(async (harness) => {
          const signer = privateKeySigner(key.secretKey)
          let replica = await harness.open({ avatars: [key.avatar], now })
          let written = 0
          const queue = deliver(records, plan)
          const given: VerifiedRecord[] = []
          for (const [turn, what] of steps.entries()) {
            if (what === 'give') {
              const batch = queue.shift() ?? []
              await give(replica, batch)
              given.push(...verified(batch))
            } else if (what === 'open') replica = await harness.open({ now })
            else if (replica.state(key.avatar).head < NOW_SECONDS) {
              await replica.put({ signer, patch: { own: turn } })
              written += 1
              // Whatever a snapshot stands for, what was just written is what is read.
              expect(replica.get(key.avatar)).toMatchObject({ own: turn })
            }
            const all = [...given, ...ownRecords(replica)]
            if (all.length > 0) {
              const fold = naiveFold(key.avatar, all)
              expect(replica.state(key.avatar).digest).toBe(fold.digest)
              expect(replica.state(key.avatar).pending).toBe(fold.pending)
            }
          }
          expect(replica.waiting()).toHaveLength(written)
        }),
    ),
    { numRuns: propertyRuns(RUNS / 2) },
  )
})
