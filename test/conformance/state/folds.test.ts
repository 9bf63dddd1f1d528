import { expect, test } from 'vitest'
import { foldRecords } from '../../../src/state/fold.ts'
import { comparable } from '../../oracle/comparable.ts'
import { shuffled } from '../../oracle/delivery.ts'
import { foldVectors } from '../../oracle/vectors.ts'

const ORDERS = 200

test.each(foldVectors())('$name, in 200 orders', ({ avatar, records, expected }) => {
  for (let seed = 0; seed < ORDERS; seed += 1) {
    const twice = [...records, ...shuffled(records, seed + 1).slice(0, seed % (records.length + 1))]
    expect(comparable(foldRecords(avatar, shuffled(twice, seed)))).toEqual(comparable(expected))
  }
})
