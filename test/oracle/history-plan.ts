import fc from 'fast-check'
import type { JsonObject } from '../../src/record/types.ts'
import { jsonObject } from './json-values.ts'

/*
 * Plans of histories: small numbers and choices that shrink well. history.ts turns a plan into signed records; numbers
 * named `pick` choose among what there is by then, round and round.
 */

/** A citation that is not what an honest client with all records would make. */
export interface LiePlan {
  readonly target: 'own' | 'part' | 'unknown' | 'foreign'
  readonly pick: number
  readonly counter: { readonly shift: number } | { readonly exactly: number }
}

export interface CitePlan {
  readonly how: 'tips' | 'last' | 'some' | 'none' | 'sibling'
  readonly picks: readonly number[]
  readonly lies: readonly LiePlan[]
}

export interface EntryPlan {
  readonly namespace: number
  readonly content: JsonObject
}

export interface PartPlan {
  readonly how: 'new' | 'wrong counter' | 'shared' | 'any part' | 'any record' | 'unknown' | 'foreign'
  readonly pick: number
  readonly entries: readonly EntryPlan[]
}

export type StepPlan = { readonly cite: CitePlan; readonly createdAt: number } & (
  | { readonly kind: 'patches'; readonly changes: readonly EntryPlan[] }
  | { readonly kind: 'snapshot'; readonly entries: readonly EntryPlan[]; readonly parts: readonly PartPlan[] }
)

const pick = fc.nat(63)

/** Counters that leave room for the citing record's own below 2^53. */
const HUGE_COUNTER = Number.MAX_SAFE_INTEGER - 1

const lie: fc.Arbitrary<LiePlan> = fc.record({
  target: fc.constantFrom('own', 'part', 'unknown', 'foreign'),
  pick,
  counter: fc.oneof(
    { weight: 8, arbitrary: fc.record({ shift: fc.constantFrom(0, 1, -1, 2, -2, -5) }) },
    { weight: 4, arbitrary: fc.record({ exactly: fc.constantFrom(1, 2) }) },
    { weight: 1, arbitrary: fc.record({ exactly: fc.constantFrom(HUGE_COUNTER, 2 ** 32) }) },
  ),
})

const cite: fc.Arbitrary<CitePlan> = fc.record({
  how: fc.oneof(
    { weight: 8, arbitrary: fc.constant('tips' as const) },
    { weight: 4, arbitrary: fc.constant('last' as const) },
    { weight: 3, arbitrary: fc.constant('some' as const) },
    { weight: 4, arbitrary: fc.constant('sibling' as const) },
    { weight: 1, arbitrary: fc.constant('none' as const) },
  ),
  picks: fc.array(pick, { minLength: 1, maxLength: 4 }),
  lies: fc.oneof({ weight: 10, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.array(lie, { maxLength: 2 }) }),
})

const namespace = fc.oneof({ weight: 4, arbitrary: fc.nat(1) }, { weight: 1, arbitrary: pick })
const entry: fc.Arbitrary<EntryPlan> = fc.record({ namespace, content: jsonObject })
const entries = fc.array(entry, { maxLength: 3 })

const part: fc.Arbitrary<PartPlan> = fc.record({
  how: fc.oneof(
    { weight: 10, arbitrary: fc.constant('new' as const) },
    { weight: 4, arbitrary: fc.constant('shared' as const) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('wrong counter', 'any part', 'any record', 'unknown', 'foreign'),
    },
  ),
  pick,
  entries,
})

/** Seconds after the tests' epoch; beyond what `history.ts` knows as a time: exactly the counter, or the greatest time. */
const createdAt = fc.oneof({ weight: 6, arbitrary: fc.nat(99) }, { weight: 1, arbitrary: fc.constantFrom(100, 101) })

const patch: fc.Arbitrary<StepPlan> = fc.record({
  kind: fc.constant('patches' as const),
  cite,
  createdAt,
  changes: fc.tuple(entry),
})

const forks: fc.Arbitrary<StepPlan> = fc.record({
  kind: fc.constant('patches' as const),
  cite,
  createdAt,
  changes: fc.array(entry, { minLength: 2, maxLength: 18, size: 'max' }),
})

const snapshot: fc.Arbitrary<StepPlan> = fc.record({
  kind: fc.constant('snapshot' as const),
  cite,
  createdAt,
  entries,
  parts: fc.oneof(fc.constant([]), fc.array(part, { minLength: 1, maxLength: 4 })),
})

const erasure: fc.Arbitrary<StepPlan> = fc.record({
  kind: fc.constant('snapshot' as const),
  cite,
  createdAt,
  entries: fc.constant([]),
  parts: fc.constant([]),
})

function steps(maxSteps: number, snapshotWeight: number): fc.Arbitrary<readonly StepPlan[]> {
  const step = fc.oneof(
    { weight: 40, arbitrary: patch },
    { weight: 2, arbitrary: forks },
    { weight: 3 * snapshotWeight, arbitrary: snapshot },
    { weight: snapshotWeight, arbitrary: erasure },
  )
  return fc.array(step, { minLength: 1, maxLength: maxSteps, size: 'max' })
}

/**
 * Plans of up to `maxSteps` steps, each of one record or, for forks of many and snapshots with parts, some more; a third
 * of them without snapshots, a third with one now and then, a third with many.
 */
export function historyPlan(maxSteps: number): fc.Arbitrary<readonly StepPlan[]> {
  return fc.oneof(steps(maxSteps, 0), steps(maxSteps, 1), steps(maxSteps, 4))
}
