import { describe, expect, it } from 'vitest'

import { judgeDraft } from '../../src/explorer/data/draft.ts'

describe('judgeDraft', () => {
  it.each([
    ['{"a":1,"n":4611686018427387905}', 'The number 4611686018427387905 at /n would become 4611686018427388000'],
    ['{"a":1,"n":9007199254740993.0}', '/n'],
    ['{"a":1,"deep":{"a":1,"a":2}}', 'The key "a" stands twice, at /deep/a'],
    ['{"a":1,}', 'not JSON yet'],
    ['[]', 'begins with {'],
  ])('tells what is wrong with %s', (text, message) => {
    const draft = judgeDraft({ a: 1 }, text)
    expect(draft).toEqual({ kind: 'wrong', message: expect.stringContaining(message) as string })
  })

  it('takes numbers that a double holds', () => {
    expect(judgeDraft({ a: 1 }, '{"a":1,"wei":1000000000000000000}')).toMatchObject({
      kind: 'change',
      patch: { wei: 10 ** 18 },
    })
  })
})
