import { describe, expect, it } from 'vitest'
import { buildPart, buildPatch, buildSnapshot } from '../../src/record/build.ts'
import type { Citation, JsonObject, RecordId } from '../../src/record/types.ts'
import { AVATAR, id, NETWORK, UUID } from './fixtures.ts'

const COMMON = { avatar: AVATAR, network: NETWORK, createdAt: 1_790_000_000, uuid: UUID }
const PATCH = { ...COMMON, platform: 'twitter', identity: 'yeiwb', patch: { a: 1 }, prev: [] }
const place = (counter: number, number: number): Citation => ({ counter, id: id(number) as RecordId })
const deep = (levels: number): JsonObject => (levels === 1 ? {} : { a: deep(levels - 1) })
const refused = (code: string) => expect.objectContaining({ name: 'RecordError', code }) as Error

describe('buildPatch', () => {
  it('makes the first record', () => {
    expect(buildPatch(PATCH)).toEqual({
      avatar: AVATAR,
      counter: 1,
      created_at: 1_790_000_000,
      identity: 'yeiwb',
      network: 'main',
      patch: { a: 1 },
      platform: 'twitter',
      prev: [],
      type: 'patch',
      uuid: UUID,
      version: '2',
    })
  })

  it('sorts what it cites, cites the greatest 16 and counts on', () => {
    const prev = Array.from({ length: 40 }, (_, i) => place(1 + ((i * 7) % 40), i))
    const body = buildPatch({ ...PATCH, prev })
    expect(body.prev.map(({ counter }) => counter)).toEqual(Array.from({ length: 16 }, (_, i) => 25 + i))
    expect(body.counter).toBe(41)
    expect(prev[1]).toEqual(place(8, 1))
  })

  it('takes no more of a citation than belongs there', () => {
    const tip = { ...place(1, 1), status: 'visible' }
    expect(buildPatch({ ...PATCH, prev: [tip] }).prev).toEqual([place(1, 1)])
  })

  it('shares nothing with its arguments', () => {
    const patch = { a: { b: 1 } }
    const body = buildPatch({ ...PATCH, patch })
    patch.a.b = 2
    expect(body.patch).toEqual({ a: { b: 1 } })
  })

  it.each<[string, object, string]>([
    ['an id twice', { prev: [place(1, 1), place(2, 1)] }, 'invalid_prev'],
    ['a time below the counter', { prev: [place(9, 1)], createdAt: 5 }, 'counter_above_created_at'],
    ['a time with a fraction', { createdAt: 1.5 }, 'invalid_created_at'],
    ['nextid with another identity', { platform: 'nextid' }, 'invalid_identity'],
    ['an avatar off the curve', { avatar: `0x02${id(5).slice(2)}` }, 'invalid_avatar'],
    ['undefined in the patch', { patch: { a: undefined } }, 'invalid_json'],
    ['a hole in an array', { patch: { a: Array.from({ length: 1 }) } }, 'invalid_json'],
    ['a function', { patch: { toJSON: () => ({}) } }, 'invalid_json'],
    ['a date', { patch: { a: new Date(0) } }, 'invalid_json'],
    ['a map', { patch: { a: new Map([[1, 2]]) } }, 'invalid_json'],
    ['a bigint', { patch: { a: 1n } }, 'invalid_json'],
    ['NaN', { patch: { a: Number.NaN } }, 'invalid_number'],
    ['Infinity', { patch: { a: [Number.POSITIVE_INFINITY] } }, 'invalid_number'],
    ['half a surrogate pair', { patch: { a: '\ud800' } }, 'lone_surrogate'],
    ['half a surrogate pair in a key', { patch: { '\udc00': 1 } }, 'lone_surrogate'],
    ['61 levels', { patch: deep(61) }, 'too_deep'],
    ['5,000 levels', { patch: deep(5_000) }, 'too_deep'],
    ['10,001 members', { patch: { a: Array.from({ length: 10_000 }, () => 0) } }, 'too_many_members'],
    ['300 kB', { patch: { a: 'x'.repeat(300_000) } }, 'payload_too_large'],
    ['an array as the patch', { patch: [] }, 'invalid_patch'],
  ])('refuses %s', (_, changes, code) => {
    expect(() => buildPatch({ ...PATCH, ...changes })).toThrow(refused(code))
  })

  it('refuses a cycle', () => {
    const patch: JsonObject = {}
    patch.self = patch
    expect(() => buildPatch({ ...PATCH, patch })).toThrow(refused('too_deep'))
  })

  it('takes 60 levels, and objects without a prototype', () => {
    const bare = Object.assign(Object.create(null) as JsonObject, { a: 1 })
    expect(buildPatch({ ...PATCH, patch: deep(60) }).patch).toEqual(deep(60))
    expect(buildPatch({ ...PATCH, patch: { bare } }).patch).toEqual({ bare: { a: 1 } })
  })
})

describe('buildSnapshot and buildPart', () => {
  const state = [
    { platform: 'b', identity: 'x', content: { a: 1 } },
    { platform: 'a', identity: '\u{1f600}', content: {} },
    { platform: 'a', identity: '\uff5e', content: {} },
  ]

  it('sort the state by UTF-8 bytes', () => {
    const sorted = [state[2], state[1], state[0]]
    const parts = [id(9), id(3)] as RecordId[]
    const snapshot = buildSnapshot({ ...COMMON, prev: [place(3, 1)], state, parts })
    expect(snapshot).toMatchObject({ counter: 4, state: sorted, parts, type: 'snapshot' })
    expect(buildPart({ ...COMMON, counter: 4, state })).toMatchObject({ counter: 4, state: sorted, type: 'part' })
  })

  it('refuse what is against the rules', () => {
    const twice = [state[0], state[0]].flatMap((each) => (each ? [each] : []))
    expect(() => buildPart({ ...COMMON, counter: 1, state: twice })).toThrow(refused('invalid_state'))
    expect(() => buildPart({ ...COMMON, counter: 0, state })).toThrow(refused('invalid_counter'))
    const parts = [id(1), id(1)] as RecordId[]
    expect(() => buildSnapshot({ ...COMMON, prev: [], state, parts })).toThrow(refused('invalid_parts'))
  })
})
