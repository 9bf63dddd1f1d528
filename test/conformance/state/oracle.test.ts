import { describe, expect, test } from 'vitest'
import { comparable } from '../../oracle/comparable.ts'
import { shuffled } from '../../oracle/delivery.ts'
import { naiveFold } from '../../oracle/naive-fold.ts'
import { naiveMergePatch } from '../../oracle/naive-merge-patch.ts'
import { signBody, testKey } from '../../oracle/signing.ts'
import { foldVectors } from '../../oracle/vectors.ts'
import { RFC_7396_CASES } from './merge-patch-cases.ts'

/* The oracle is held to the published examples first; then the code is held to the oracle. */

const ORDERS = 200

describe('the oracle', () => {
  test.each(foldVectors())('folds: $name', ({ avatar, records, expected }) => {
    for (let seed = 0; seed < ORDERS; seed += 1) {
      const twice = [...records, ...shuffled(records, seed + 1).slice(0, seed % (records.length + 1))]
      expect(comparable(naiveFold(avatar, shuffled(twice, seed)))).toEqual(comparable(expected))
    }
  })

  test.each(RFC_7396_CASES)('merges %j with %j', (original, patch, result) => {
    expect(naiveMergePatch(original, patch)).toEqual(result)
  })

  test('signs what others verify: same payload, same id as the published records', () => {
    const { records } = foldVectors().find((vector) => vector.name === 'hostile keys') ?? { records: [] }
    expect(records).toHaveLength(4)
    for (const record of records) {
      const again = signBody(testKey(1), record.body)
      expect(Buffer.from(again.payload).toString()).toBe(Buffer.from(record.payload).toString())
      expect(again.id).toBe(record.id)
    }
  })
})
