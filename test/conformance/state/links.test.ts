import { describe, expect, test } from 'vitest'
import { verifyRecord } from '../../../src/record/verify.ts'
import { shuffled } from '../../oracle/delivery.ts'
import { comparableLinked, foldLinked } from '../../oracle/linked.ts'
import { naiveLinkedView } from '../../oracle/naive-links.ts'
import { linkVectors } from '../../oracle/vectors.ts'
import { allEngines } from '../../verify/all-engines.ts'

const ORDERS = 20

const vectors = linkVectors()

describe.each(vectors)('$name', ({ avatar, records, expected }) => {
  const { linked_digest: linkedDigest, ...rest } = expected
  const wanted = comparableLinked({ ...rest, linkedDigest })

  test('the oracle', () => {
    for (let seed = 0; seed < ORDERS; seed += 1) {
      expect(comparableLinked(naiveLinkedView(avatar, shuffled(records, seed)))).toEqual(wanted)
    }
  })

  test('the state core', () => {
    for (let seed = 0; seed < ORDERS; seed += 1) {
      expect(comparableLinked(foldLinked(avatar, shuffled(records, seed)))).toEqual(wanted)
    }
  })
})

test('every record of the vectors is valid', async () => {
  const records = new Map(vectors.flatMap((vector) => vector.records).map((record) => [record.id, record]))
  expect(records.size).toBe(14)
  for (const engine of await allEngines()) {
    for (const { payload, signature, id } of records.values()) {
      expect(verifyRecord(engine, 'main', { payload, signature }, { recoveryByte: false }).id).toBe(id)
    }
  }
})
