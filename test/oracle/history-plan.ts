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
  /** Snapshots at one counter, each with a part of its own or none, and with a patch that cites it. */
  | { readonly kind: 'rivals'; readonly rivals: readonly { readonly part: boolean; readonly change: EntryPlan }[] }
)

const pick = fc.nat(63)

/** Counters that leave room for the citing record's own below 2^53. */
const HUGE_COUNTER = Number.MAX_SAFE_INTEGER - 1

const lie: fc.Arbitrary<LiePlan> = fc.record({
  target: fc.oneof(
    { weight: 3, arbitrary: fc.constant('own' as const) },
    { weight: 3, arbitrary: fc.constantFrom('part' as const, 'unknown' as const, 'foreign' as const) },
  ),
  pick: fc.oneof(fc.nat(2), pick),
  counter: fc.oneof(
    { weight: 8, arbitrary: fc.record({ shift: fc.constantFrom(-1, 1, 0, -2, 2, -5) }) },
    { weight: 3, arbitrary: fc.record({ exactly: fc.constantFrom(1, 2) }) },
    { weight: 1, arbitrary: fc.record({ exactly: fc.constantFrom(HUGE_COUNTER, 2 ** 32) }) },
  ),
})

/** @param lieWeight citations with lies among ten without */
function citing(lieWeight: number): fc.Arbitrary<CitePlan> {
  return fc.record({
    how: fc.oneof(
      { weight: 8, arbitrary: fc.constant('tips' as const) },
      { weight: 4, arbitrary: fc.constant('last' as const) },
      { weight: 3, arbitrary: fc.constant('some' as const) },
      { weight: 4, arbitrary: fc.constant('sibling' as const) },
      { weight: 1, arbitrary: fc.constant('none' as const) },
    ),
    picks: fc.array(pick, { minLength: 1, maxLength: 4 }),
    lies: fc.oneof(
      { weight: 10, arbitrary: fc.constant([]) },
      { weight: lieWeight, arbitrary: fc.array(lie, { minLength: 1, maxLength: 2 }) },
    ),
  })
}

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

function steps(maxSteps: number, snapshotWeight: number, lieWeight: number): fc.Arbitrary<readonly StepPlan[]> {
  const common = { cite: citing(lieWeight), createdAt }
  const patch = fc.record({ ...common, kind: fc.constant('patches' as const), changes: fc.tuple(entry) })
  const forks = fc.record({
    ...common,
    kind: fc.constant('patches' as const),
    changes: fc.array(entry, { minLength: 2, maxLength: 18, size: 'max' }),
  })
  const snapshot = fc.record({
    ...common,
    kind: fc.constant('snapshot' as const),
    entries,
    parts: fc.oneof(fc.constant([]), fc.array(part, { minLength: 1, maxLength: 4 })),
  })
  const erasure = fc.record({
    ...common,
    kind: fc.constant('snapshot' as const),
    entries: fc.constant([]),
    parts: fc.constant([]),
  })
  const rivals = fc.record({
    ...common,
    kind: fc.constant('rivals' as const),
    rivals: fc.array(fc.record({ part: fc.boolean(), change: entry }), { minLength: 2, maxLength: 3 }),
  })
  const step: fc.Arbitrary<StepPlan> = fc.oneof(
    { weight: 40, arbitrary: patch },
    { weight: 2, arbitrary: forks },
    { weight: 3 * snapshotWeight, arbitrary: snapshot },
    { weight: snapshotWeight, arbitrary: erasure },
    { weight: snapshotWeight, arbitrary: rivals },
  )
  return fc.array(step, { minLength: 1, maxLength: maxSteps, size: 'max' })
}

/**
 * Plans of up to `maxSteps` steps, each of one record or, for forks of many and snapshots with parts, some more: without
 * snapshots, with one now and then, with many, and with citations that are often false.
 */
export function historyPlan(maxSteps: number): fc.Arbitrary<readonly StepPlan[]> {
  return fc.oneof(
    steps(maxSteps, 0, 1),
    steps(maxSteps, 1, 1),
    steps(maxSteps, 4, 1),
    steps(Math.ceil(maxSteps / 2), 2, 6),
  )
}
