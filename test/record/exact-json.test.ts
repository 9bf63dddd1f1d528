import { describe, expect, it } from 'vitest'

import { JsonTextError } from '../../src/record/errors.ts'
import { lossesOf, parseExactJson } from '../../src/record/exact-json.ts'

function refusal(text: string, limits?: Parameters<typeof parseExactJson>[1]): JsonTextError {
  try {
    parseExactJson(text, limits)
  } catch (error) {
    if (error instanceof JsonTextError) return error
    throw error
  }
  throw new Error(`${text} was taken`)
}

describe('parseExactJson', () => {
  it.each([
    ['[1,{"a":[9007199254740993.0]}]', 'inexact_number', '/1/a/0', '9007199254740993.0'],
    ['{"a":1,"n":4611686018427387905}', 'inexact_number', '/n', 'would become 4611686018427388000'],
    ['{"a":[1,2,{"b":1e400}]}', 'inexact_number', '/a/2/b', 'greater than any'],
    ['-1e-400', 'inexact_number', 'the top', '-1e-400'],
    ['{"a":1,"b":{"x/y":[{"k":1,"k":1}]}}', 'duplicate_key', '/b/x~1y/0/k', '"k"'],
    ['{"a":1,"\\u0061":2}', 'duplicate_key', '/a', '"a"'],
    ['{"__proto__":1,"__proto__":2}', 'duplicate_key', '/__proto__', 'Remove one'],
    ['{"constructor" : {} , "constructor"\n:\t{}}', 'duplicate_key', '/constructor', 'twice'],
    ['{"":1,"":2}', 'duplicate_key', '/', 'twice'],
    ['{"a":"\\":","a":2}', 'duplicate_key', '/a', 'twice'],
    ['{"a":1,}', 'invalid_json', '', ''],
    ['', 'invalid_json', '', ''],
    ['{"a":12345678901234567890', 'invalid_json', '', ''],
  ])('refuses %s', (text, code, where, what) => {
    const error = refusal(text)
    expect(error.code).toBe(code)
    expect(error.message).toContain(where)
    expect(error.message).toContain(what)
    expect(error.message.length).toBeLessThan(400)
  })

  it('keeps messages short and says nothing of what comes after the first loss', () => {
    expect(refusal(`{"${'k'.repeat(100_000)}":${'9'.repeat(100_000)}}`).message.length).toBeLessThan(500)
    expect(refusal('{"a":9007199254740993,"b":9007199254740995}').message).not.toContain('/b')
  })

  it('stops at limits before it parses', () => {
    expect(refusal('['.repeat(1_001) + ']'.repeat(1_001))).toMatchObject({ code: 'too_complex' })
    expect(refusal('[[[', { depth: 2, tokens: 10 }).code).toBe('too_complex')
    expect(refusal(`[${'0,'.repeat(10)}`, { depth: 2, tokens: 10 }).code).toBe('too_complex')
    expect(parseExactJson('[[0,0,"[[[,,,"]]', { depth: 2, tokens: 10 })).toEqual([[0, 0, '[[[,,,']])
  })

  it('finds every loss with its path', () => {
    const text = '{"proofs":[{"content":{"a":[1e400,{"b":9007199254740993}],"a":2}},{"id":1},{"id":1,"id":2}]}'
    expect([...lossesOf(text)]).toEqual([
      { code: 'inexact_number', path: ['proofs', '0', 'content', 'a', '0'], token: '1e400' },
      { code: 'inexact_number', path: ['proofs', '0', 'content', 'a', '1', 'b'], token: '9007199254740993' },
      { code: 'duplicate_key', path: ['proofs', '0', 'content', 'a'], token: 'a' },
      { code: 'duplicate_key', path: ['proofs', '2', 'id'], token: 'id' },
    ])
  })
})
