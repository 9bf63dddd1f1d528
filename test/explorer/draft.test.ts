import { describe, expect, it } from 'vitest'

import fc from 'fast-check'
import { faultOffset } from '../../src/explorer/data/json-fault.ts'
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
    expect(draft).toMatchObject({ kind: 'wrong', message: expect.stringContaining(message) as string })
  })

  it('names the line of an error', () => {
    expect(judgeDraft({}, '{\n  "a": 1,\n  "b": x\n}')).toMatchObject({ kind: 'wrong', line: 3 })
  })

  it('takes numbers that a double holds', () => {
    expect(judgeDraft({ a: 1 }, '{"a":1,"wei":1000000000000000000}')).toMatchObject({
      kind: 'change',
      patch: { wei: 10 ** 18 },
    })
  })
})

it('the place of an error is the end of a text that is JSON, and before the first character that is not', () => {
  fc.assert(
    fc.property(fc.json(), fc.boolean(), (text, isPretty) => {
      const json = isPretty ? JSON.stringify(JSON.parse(text), null, 2) : text
      expect(faultOffset(json)).toBe(json.length)
      expect(faultOffset(`${json} x`)).toBe(json.length + 1)
    }),
  )
  for (const [text, at] of [
    ['', 0],
    ['{"a" 1}', 5],
    ['{"a": 01}', 6],
    ['[1,]', 3],
    ['{"a": 1,}', 8],
    ['{a: 1}', 1],
    ['["\n"]', 1],
    ['[1, 2', 5],
  ] as const) {
    expect([text, faultOffset(text)]).toEqual([text, at])
  }
  expect(faultOffset('['.repeat(100_000))).toBe(100_000)
})
