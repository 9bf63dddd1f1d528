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
      const sampled = BATCH * SAMPLES
      const [warmUp, records, fresh] = [
        await presign({ ...spec, name: 'chain warm-up', perAvatar: sampled }),
        await presign({ ...spec, name: 'chain', perAvatar: LENGTH }),
        await presign({ ...spec, name: 'chain beside it', perAvatar: sampled }),
      ]
      await commitInTurn(fixture, [warmUp])
      const [early = Number.NaN] = await commitInTurn(fixture, [records.slice(0, sampled)])
      for (let start = sampled; start < LENGTH - sampled; start += FAST_BATCH) {
        await fixture.commit(fixture.verify(records.slice(start, Math.min(start + FAST_BATCH, LENGTH - sampled))))
      }
      const [late = Number.NaN, beside = Number.NaN] = await commitInTurn(fixture, [
        records.slice(LENGTH - sampled),
        fresh,
      ])
      return [
        { measure: 'first patches, in an empty store', value: early * 1000, unit: 'µs/record' },
        { measure: 'last patches', value: late * 1000, unit: 'µs/record' },
        { measure: 'first patches of another avatar, in turn with the last', value: beside * 1000, unit: 'µs/record' },
        { measure: 'last / first, in turn', value: late / beside, unit: 'ratio' },
      ]
    } finally {
      await fixture.close()
    }
  },
}

/** Commits batches of several chains in turn, so that all meet the same machine; medians in milliseconds a record. */
async function commitInTurn(fixture: StoreFixture, chains: readonly (readonly SignedRecord[])[]): Promise<number[]> {
  const verified = chains.map((records) => fixture.verify(records))
  const taken: number[][] = chains.map(() => [])
  for (let start = 0; start < BATCH * SAMPLES; start += BATCH) {
    for (const [index, records] of verified.entries()) {
      taken[index]?.push(await fixture.commit(records.slice(start, start + BATCH)))
    }
  }
  return taken.map((values) => median(values) / BATCH)
}
