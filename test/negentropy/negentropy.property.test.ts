import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { createMemoryIndex, type Item, type NegentropyOptions } from '../../src/negentropy/negentropy.ts'
import { propertyRuns } from '../support/runs.ts'
import { difference, numbersFrom, randomFrom, randomItems, runSession, slowly } from './sets.ts'

/** How timestamps lie: all one, few, as they come, at the very end of the scale. */
const SPREADS = {
  one: () => 1_700_000_000,
  few: (at: number) => at % 3,
  many: (at: number) => 1_700_000_000 + at * 7,
  greatest: (at: number) => Number.MAX_SAFE_INTEGER - (at % 5),
}

const plan = fc.record({
  seed: fc.integer(),
  common: fc.oneof(fc.nat(40), fc.nat(1500)),
  mine: fc.oneof(fc.nat(3), fc.nat(40), fc.nat(400)),
  theirs: fc.oneof(fc.nat(3), fc.nat(40), fc.nat(400)),
  spread: fc.constantFrom(...(Object.keys(SPREADS) as (keyof typeof SPREADS)[])),
  frame: fc.constantFrom(0, 4096, 4097, 10_000),
  theirFrame: fc.constantFrom(0, 4096, 4097, 10_000),
  atOnce: fc.constantFrom(32, 50, 100_000),
  moved: fc.boolean(),
  slow: fc.boolean(),
})

function shuffled(items: Item[], next: () => number): Item[] {
  return items
    .map((item) => ({ item, key: next() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item)
}

describe('two sides', () => {
  test('find exactly the symmetric difference, whatever the sets and the limits', async () => {
    await fc.assert(
      fc.asyncProperty(plan, async (p) => {
        const next = numbersFrom(p.seed)
        const all = shuffled(randomItems(p.common + p.mine + p.theirs, p.seed, SPREADS[p.spread]), next)
        const mine = all.slice(0, p.common + p.mine)
        const theirs = [...all.slice(0, p.common), ...all.slice(p.common + p.mine)]
        const options = (frame: number, seed: number): NegentropyOptions => ({
          frameSizeLimit: frame,
          maxHavePerMessage: p.atOnce,
          ...(p.moved ? { random: randomFrom(seed) } : {}),
        })
        const index = (items: Item[]) => (p.slow ? slowly(createMemoryIndex(items)) : createMemoryIndex(items))

        const result = await runSession(
          index(mine),
          index(theirs),
          options(p.frame, p.seed + 1),
          options(p.theirFrame, p.seed + 2),
        )
        expect(result.have).toEqual(difference(mine, theirs))
        expect(result.need).toEqual(difference(theirs, mine))
        for (const [at, bytes] of result.bytes.entries()) {
          const frame = at % 2 === 0 ? p.frame : p.theirFrame
          if (frame > 0) expect(bytes).toBeLessThanOrEqual(frame)
        }
        if (p.mine + p.theirs === 0) expect(result.rounds).toBe(1)
      }),
      { numRuns: propertyRuns(150) },
    )
  })

  test('find a difference of few among many within few rounds and bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.integer({ min: 1, max: 5 }), async (seed, few) => {
        const all = randomItems(20_000, seed, SPREADS.many)
        const next = numbersFrom(seed)
        const gone = new Set(Array.from({ length: few }, () => next() % all.length))
        const index = createMemoryIndex(all)
        const lacking = createMemoryIndex(all.filter((_, at) => !gone.has(at)))
        const result = await runSession(index, lacking, { random: randomFrom(seed) })
        expect(result.have.length).toBe(gone.size)
        expect(result.need).toEqual([])
        // 20,000 / 15^3 < 32: two splits by each side at most, then the lists.
        expect(result.rounds).toBeLessThanOrEqual(3)
        expect(Math.max(...result.bytes)).toBeLessThan(few * 32 * 40)
      }),
      { numRuns: propertyRuns(10) },
    )
  })
})
