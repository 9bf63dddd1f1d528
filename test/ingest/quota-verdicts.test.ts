import { expect, test } from 'vitest'
import { explainCommit } from '../../src/ingest/verdicts.ts'

test.each([
  ['avatar_quota', { unit: 'bytes', used: 999, limit: 1_000 }, /of this avatar \(999 of 1000 bytes are used\)/],
  ['node_quota', { unit: 'records', used: 7, limit: 7 }, /of all avatars together \(7 of 7 records are used\)/],
] as const)('%s says what is full, how much is used, and what to do', (code, quota, words) => {
  const result = explainCommit(`0x${'ab'.repeat(32)}`, { status: 'refused', code, quota })
  expect(result).toMatchObject({ status: 'refused', code, retry: true })
  expect(result.message).toMatch(words)
  expect(result.message).toMatch(/avatar-kv snapshot/)
  expect(result.message).toMatch(/operator/)
})
