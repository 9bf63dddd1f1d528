import { createWriter } from '../support/writer.ts'
import type { Writer } from '../support/writer.ts'
import { median } from './report.ts'
import type { Bench } from './report.ts'
import { createStoreFixture } from './store-fixture.ts'
import type { StoreFixture } from './store-fixture.ts'

const KEYS = 10_000
const KEY_BYTES = 1_024
const KEYS_PER_PATCH = 200
const WRITES = 500

export const wide: Bench = {
  name: 'wide',
  about: `a patch of one byte in a namespace with 10 MB under other keys, beside one with none`,
  async run() {
    const fixture = await createStoreFixture()
    try {
      await inTurn(fixture, [createWriter('wide warm-up')])
      const full = createWriter('wide full')
      for (let start = 0; start < KEYS; start += KEYS_PER_PATCH) {
        const members = Array.from({ length: KEYS_PER_PATCH }, (_, index) => [
          `key${start + index}`,
          'x'.repeat(KEY_BYTES),
        ])
        await fixture.commit(fixture.verify([full.write(Object.fromEntries(members))]))
      }
      const [beside = Number.NaN, alone = Number.NaN] = await inTurn(fixture, [full, createWriter('wide empty')])
      return [
        { measure: 'beside nothing', value: alone * 1000, unit: 'µs/commit' },
        { measure: 'beside 10 MB', value: beside * 1000, unit: 'µs/commit' },
        { measure: 'ratio', value: beside / alone, unit: 'ratio' },
      ]
    } finally {
      await fixture.close()
    }
  },
}

/** Median milliseconds of a commit of one patch of one byte, for writers that take turns. */
async function inTurn(fixture: StoreFixture, writers: readonly Writer[]): Promise<number[]> {
  const taken: number[][] = writers.map(() => [])
  for (let count = 0; count < WRITES; count++) {
    for (const [index, writer] of writers.entries()) {
      taken[index]?.push(await fixture.commit(fixture.verify([writer.write({ one: count % 10 })])))
    }
  }
  return taken.map(median)
}
