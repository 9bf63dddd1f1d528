import { describe, expect, test } from 'vitest'
import type { Citation, PatchBody, RecordId, SnapshotBody } from '../../src/record/types.ts'
import { foldRecords } from '../../src/state/fold.ts'
import { signBody, testKey, type TestRecord } from '../oracle/signing.ts'

const key = testKey(1)

function common(counter: number, index: number) {
  const uuid = `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`
  return { avatar: key.avatar, counter, created_at: 1_790_000_000, network: 'main', uuid, version: '2' as const }
}

function patch(index: number, prev: readonly Citation[], content: PatchBody['patch'] = {}): TestRecord {
  const counter = 1 + Math.max(0, ...prev.map((place) => place.counter))
  const where = { platform: 'twitter', identity: 'alice' }
  return signBody(key, { ...common(counter, index), type: 'patch', ...where, patch: content, prev })
}

function snapshot(index: number, prev: readonly Citation[], parts: readonly RecordId[]): TestRecord {
  const counter = 1 + Math.max(0, ...prev.map((place) => place.counter))
  const body: SnapshotBody = { ...common(counter, index), type: 'snapshot', parts, prev, state: [] }
  return signBody(key, body)
}

function placeOf(record: TestRecord): Citation {
  return { counter: record.body.counter, id: record.id }
}

describe('a superseded record does not count as held for what is missing', () => {
  const old = patch(1, [])
  const base = snapshot(2, [placeOf(old)], [])

  test.each([
    ['named as a part', snapshot(3, [placeOf(old)], [old.id])],
    ['cited with a false counter', patch(4, [placeOf(base), { counter: 2, id: old.id }])],
  ])('%s', (_title, naming) => {
    const { base: chosen } = foldRecords(key.avatar, [old, base, naming])
    expect(chosen).toEqual(placeOf(base))
    for (const order of [
      [old, base, naming],
      [old, naming, base],
      [base, old, naming],
      [naming, old, base],
      [naming, base, old],
      [base, naming, old],
      [base, naming],
      [naming, base],
    ]) {
      expect(foldRecords(key.avatar, order).missing).toEqual([old.id])
    }
    expect(foldRecords(key.avatar, [old, naming]).missing).not.toContain(old.id)
  })
})
