import type { SignedRecord } from '../../src/record/types.ts'
import { presign } from './presign.ts'
import { median } from './report.ts'
import type { Bench } from './report.ts'
import { createStoreFixture } from './store-fixture.ts'
import type { StoreFixture } from './store-fixture.ts'

const LENGTH = 100_000
/** Records a commit, and the commits whose median is taken at either end. */
const BATCH = 10
const SAMPLES = 300
const FAST_BATCH = 500

export const chain: Bench = {
  name: 'chain',
  about: `one avatar's patch ${LENGTH.toLocaleString('en')} beside its patch 10: commits of ${BATCH}, medians of ${SAMPLES}`,
  async run() {
    const fixture = await createStoreFixture()
    try {
      const spec = { avatars: 1, payloadBytes: 460, keys: 100 }
      const warmUp = await presign({ ...spec, name: 'chain warm-up', perAvatar: BATCH * SAMPLES })
      const records = await presign({ ...spec, name: 'chain', perAvatar: LENGTH })
      await commitEach(fixture, warmUp)

      const sampled = BATCH * SAMPLES
      const early = await commitEach(fixture, records.slice(0, sampled))
      for (let start = sampled; start < LENGTH - sampled; start += FAST_BATCH) {
        await fixture.commit(fixture.verify(records.slice(start, Math.min(start + FAST_BATCH, LENGTH - sampled))))
      }
      const late = await commitEach(fixture, records.slice(LENGTH - sampled))
      return [
        { measure: 'early', value: early * 1000, unit: 'µs/record' },
        { measure: 'late', value: late * 1000, unit: 'µs/record' },
        { measure: 'late / early', value: late / early, unit: 'ratio' },
      ]
    } finally {
      await fixture.close()
    }
  },
}

/** Milliseconds a record, the median of commits of `BATCH`. */
async function commitEach(fixture: StoreFixture, records: readonly SignedRecord[]): Promise<number> {
  const verified = fixture.verify(records)
  const taken: number[] = []
  for (let start = 0; start < verified.length; start += BATCH) {
    taken.push(await fixture.commit(verified.slice(start, start + BATCH)))
  }
  return median(taken) / BATCH
}
