import { describe, expect, test } from 'vitest'
import { KEPT_SEEDS } from './kept-seeds.ts'
import { MUTATIONS } from './mutations.ts'
import { expectSeedSound, expectSound, SEEDS_TIMEOUT_MS } from './seeds.ts'
import { simulate } from './simulate.ts'

describe('simulated worlds', () => {
  test('seeds 1 to 250', { timeout: SEEDS_TIMEOUT_MS }, () => expectSound(1, 251))

  test.each(KEPT_SEEDS)('seed $seed: $found', ({ seed }) => expectSeedSound(seed))

  test('what kept seeds had found can be planted again', () => {
    const names = MUTATIONS.map(({ name }) => name)
    const named = KEPT_SEEDS.flatMap(({ mutation }) => mutation ?? [])
    expect(names).toEqual(expect.arrayContaining(named))
    expect(new Set(names).size).toBe(names.length)
  })

  test('one seed, one world', async () => {
    for (const seed of [2, 3, 5]) {
      const lines: string[] = []
      const first = await simulate(seed, (line) => lines.push(line))
      const second = await simulate(seed)
      expect(second).toEqual(first)
      expect(lines.length).toBeGreaterThan(first.events)
    }
    expect((await simulate(7)).hash).not.toBe((await simulate(8)).hash)
  })
})
