import fc from 'fast-check'

/** How records come to a node: what is kept back, what comes twice, in which order, and cut into which batches. */
export interface Delivery {
  readonly withheld: readonly number[]
  readonly again: readonly number[]
  /** 0 keeps the order of writing. */
  readonly orderSeed: number
  readonly batchSizes: readonly number[]
}

const index = fc.nat(31)

export const delivery: fc.Arbitrary<Delivery> = fc.record({
  withheld: fc.oneof(
    { weight: 1, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(index, { minLength: 1, maxLength: 3 }) },
    { weight: 1, arbitrary: fc.array(index, { maxLength: 24, size: 'max' }) },
  ),
  again: fc.array(index, { maxLength: 5 }),
  orderSeed: fc.oneof(fc.constant(0), fc.nat()),
  batchSizes: fc.oneof(
    fc.constant([1]),
    fc.constant([1000]),
    fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 6 }),
  ),
})

/** The batches in which `items` arrive; every item not withheld is in at least one. */
export function deliver<T>(items: readonly T[], plan: Delivery): T[][] {
  const withheld = new Set(plan.withheld)
  const sent = items.filter((_, position) => !withheld.has(position))
  const again = plan.again.map((pick) => sent[pick % sent.length]).filter((item) => item !== undefined)
  const queue = shuffled([...sent, ...again], plan.orderSeed)
  const batches: T[][] = []
  for (let turn = 0; queue.length > 0; turn += 1) {
    batches.push(queue.splice(0, plan.batchSizes[turn % plan.batchSizes.length] ?? 1))
  }
  return batches
}

/** A copy in an order that the seed decides (Fisher and Yates, on mulberry32); seed 0 leaves it as it is. */
export function shuffled<T>(items: readonly T[], seed: number): T[] {
  const result = [...items]
  if (seed === 0) return result
  let state = seed >>> 0
  const below = (limit: number): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
  }
  for (let last = result.length - 1; last > 0; last -= 1) {
    const other = below(last + 1)
    const moved = result[last] as T
    result[last] = result[other] as T
    result[other] = moved
  }
  return result
}
