import { describe, expect, it } from 'vitest'
import { RecordError } from '../../src/record/errors.ts'
import { decodePayload, decodeUncheckedPoint, encodePayload, readVerifiedPayload } from '../../src/record/payload.ts'
import { AVATAR, citation, id, nested, NETWORK, PART, PATCH, SNAPSHOT, text, utf8 } from './fixtures.ts'
import type { Members } from './fixtures.ts'
import { HOSTILE } from './hostile.ts'
import { cpuMs } from '../support/cpu.ts'

function codeOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof RecordError && error.message.length > 0) return error.code
    throw error
  }
  return 'accepted'
}

describe('a hostile payload', () => {
  it.each(HOSTILE)('%s: %s', (_, code, payload) => {
    const before = Buffer.from(payload)
    expect(codeOf(() => decodePayload(payload, NETWORK))).toBe(code)
    expect(before.equals(payload)).toBe(true)
  })

  it('costs no more by the byte, however deep', async () => {
    const refuse = (count: number, depth: number) => () => {
      const deep = utf8('[{"a":'.repeat(depth))
      for (let i = 0; i < count; i++) codeOf(() => decodePayload(deep, NETWORK))
    }
    refuse(1_000, 430)()
    const shallow = await cpuMs(refuse(10_000, 430))
    expect(await cpuMs(refuse(100, 43_000))).toBeLessThan(4 * shallow)
  })

  it('is listed under a name of its own', () => {
    expect(new Set(HOSTILE.map(([what]) => what)).size).toBe(HOSTILE.length)
  })
})

const numbers = (count: number): string => `[${Array.from({ length: count }, () => '0').join(',')}]`
const sixteen = Array.from({ length: 16 }, (_, i) => citation(2, id(i))).join(',')
const filler = 'x'.repeat(262_144 - text(PATCH, { patch: '{"a":""}' }).length)
const entry = (identity: string, content: string): string =>
  `{"content":${content},"identity":${identity},"platform":"a"}`

const VALID: readonly [what: string, members: Members, changes: Members][] = [
  ['a patch', PATCH, {}],
  ['a snapshot', SNAPSHOT, {}],
  ['a part', PART, {}],
  ['a patch of its own namespace', PATCH, { platform: '"nextid"', identity: `"${AVATAR}"` }],
  ['262,144 bytes', PATCH, { patch: `{"a":"${filler}"}` }],
  ['nesting 60 in a patch', PATCH, { patch: nested(60) }],
  ['nesting 60 in a content', SNAPSHOT, { state: `[${entry('"b"', nested(60))}]` }],
  ['10,000 members', PATCH, { patch: `{"a":${numbers(10_000 - 11 - 1)}}` }],
  ['16 citations', PATCH, { counter: '3', prev: `[${sixteen}]` }],
  ['counter as great as created_at', PATCH, { counter: '3', created_at: '3', prev: `[${citation(2, id(1))}]` }],
  ['the last counter', PART, { counter: '9007199254740991', created_at: '9007199254740991' }],
  ['an identity of 256 bytes', PATCH, { identity: `"${'😀'.repeat(64)}"` }],
  ['an identity with U+007F and quotes', PATCH, { identity: '"\u007f\\"\\\\"' }],
  [
    'keys that objects inherit',
    PATCH,
    { patch: '{"__proto__":{"a":1},"constructor":1,"hasOwnProperty":2,"toJSON":3}' },
  ],
  ['numeric keys in text order', PATCH, { patch: '{"10":1,"2":1}' }],
  [
    'numbers at their limits',
    PATCH,
    { patch: '{"a":[1.7976931348623157e+308,5e-324,1e+21,0.000001,9007199254740992]}' },
  ],
  ['escapes that must be', PATCH, { patch: '{"a":"\\b\\t\\n\\f\\r\\u0000\\u001f\\"\\\\\u2028\u007f/"}' }],
  ['text about escapes', PATCH, { patch: '{"a":"\\\\ud800"}' }],
  ['brackets in text after a quote', PATCH, { patch: `{"a":"\\"${'['.repeat(100)}"}` }],
  ['commas in text after a quote', PATCH, { patch: `{"a":"\\"${','.repeat(20_000)}"}` }],
  ['keys in UTF-16 order', PATCH, { patch: '{"\u{1f600}":1,"\uff5e":1}' }],
  ['state in UTF-8 order', PART, { state: `[${entry('"\uff5e"', '{}')},${entry('"\u{1f600}"', '{}')}]` }],
  ['3,500 parts', SNAPSHOT, { parts: JSON.stringify(Array.from({ length: 3_500 }, (_, i) => id(i))) }],
]

describe('a valid payload', () => {
  it.each(VALID)('%s', (_, members, changes) => {
    const payload = utf8(text(members, changes))
    const body = decodePayload(payload, NETWORK)
    expect(Buffer.from(payload).equals(encodePayload(body))).toBe(true)
    expect(JSON.stringify(readVerifiedPayload(payload))).toBe(JSON.stringify(body))
    expect(JSON.stringify(decodeUncheckedPoint(payload, NETWORK))).toBe(JSON.stringify(body))
  })

  it('is judged in one network', () => {
    const payload = utf8(text(PATCH, { network: '"test-1"' }))
    expect(decodePayload(payload, 'test-1').network).toBe('test-1')
    expect(codeOf(() => decodePayload(payload, 'main'))).toBe('wrong_network')
  })

  it('keeps __proto__ as data', () => {
    const body = decodePayload(utf8(text(PATCH, { patch: '{"__proto__":{"polluted":true}}' })), NETWORK)
    if (body.type !== 'patch') throw new Error('not a patch')
    expect(Object.keys(body.patch)).toEqual(['__proto__'])
    expect('polluted' in body.patch).toBe(false)
  })
})
