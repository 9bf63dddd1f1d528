import { describe, expect, it } from 'vitest'
import { RecordError } from '../../src/record/errors.ts'
import { MAX_PARTS, MAX_PAYLOAD_BYTES } from '../../src/record/limits.ts'
import { encodePayload } from '../../src/record/payload.ts'
import type { JsonObject, JsonValue, StateEntry } from '../../src/record/types.ts'
import { SnapshotError } from '../../src/snapshot/errors.ts'
import { pathText } from '../../src/snapshot/faults.ts'
import { planSnapshot, snapshotFaults, type SnapshotPlan } from '../../src/snapshot/plan.ts'
import { foldRecords } from '../../src/state/fold.ts'
import { canonicalText } from '../oracle/canonical-text.ts'
import { signBody, testKey } from '../oracle/signing.ts'

const { avatar, ...key } = { ...testKey(3) }
const common = {
  avatar,
  network: 'main',
  prev: [],
  createdAt: 1_790_000_000,
  uuids: (index: number) => `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
}
const own = (content: JsonObject): StateEntry => ({ content, identity: avatar, platform: 'nextid' })
const other = (content: JsonObject): StateEntry => ({ content, identity: 'alice', platform: 'twitter' })
const plan = (...namespaces: StateEntry[]) => planSnapshot({ ...common, namespaces })

function contentsOf({ snapshot, parts }: SnapshotPlan): string[] {
  const records = [snapshot, ...parts].map((body) => signBody({ avatar, ...key }, body))
  return foldRecords(avatar, records).namespaces.map(({ content }) => canonicalText(content))
}

function bytesLeft(namespaces: readonly StateEntry[]): number {
  return MAX_PAYLOAD_BYTES - encodePayload(plan(...namespaces).snapshot).length
}

function errorOf(run: () => unknown): Error {
  try {
    run()
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error('nothing was thrown')
}

describe('a snapshot without parts', () => {
  it('holds what fits, in the order of the state', () => {
    const { snapshot, parts } = plan(other({ b: 1 }), own({ a: {} }))
    expect(parts).toEqual([])
    expect(snapshot).toMatchObject({ counter: 1, parts: [], prev: [], state: [own({ a: {} }), other({ b: 1 })] })
  })

  it('is empty for an erasure', () => {
    expect(plan().snapshot).toMatchObject({ parts: [], state: [] })
  })

  it('fills a record to the last byte, and not beyond', () => {
    const room = bytesLeft([own({ a: '' })])
    const full = plan(own({ a: 'x'.repeat(room) }))
    expect(full.parts).toEqual([])
    expect(encodePayload(full.snapshot)).toHaveLength(MAX_PAYLOAD_BYTES)
    // One byte more: a part cites nothing and names no parts, and so has a little more room.
    const over = plan(own({ a: 'x'.repeat(room + 1) }))
    expect([over.snapshot.state, over.parts.length]).toEqual([[], 1])
    expect(contentsOf(over)[0]).toHaveLength(room + 1 + '{"a":""}'.length)
    const two = plan(own({ a: 'x'.repeat(room), b: 'x'.repeat(100) }))
    expect([two.snapshot.state, two.parts.length]).toEqual([[], 2])
    expect(contentsOf(two)[0]).toHaveLength(room + 100 + '{"a":"","b":""}'.length)
  })

  it('cites the greatest 16, and stands one above them', () => {
    const prev = Array.from({ length: 20 }, (_, index) => ({
      counter: index + 1,
      id: `0x${String(index).padStart(64, '0')}` as const,
    }))
    const { snapshot } = planSnapshot({ ...common, prev, namespaces: [] })
    expect(snapshot.counter).toBe(21)
    expect(snapshot.prev.map(({ counter }) => counter)).toEqual(prev.slice(4).map(({ counter }) => counter))
  })
})

describe('a snapshot with parts', () => {
  it('divides objects by members, at whatever depth, and keeps empty ones', () => {
    const deep = Object.fromEntries(Array.from({ length: 600 }, (_, index) => [`m${index}`, 'x'.repeat(1000)]))
    const content = { __proto__x: { inner: { deep, nothing: {} } }, empty: {} }
    const divided = plan(own(content), other({}))
    expect(divided.parts.length).toBe(3)
    expect(contentsOf(divided)).toEqual([canonicalText(content), '{}'])
  })

  it('divides by number of members where bytes would do', () => {
    const many = Object.fromEntries(Array.from({ length: 35_000 }, (_, index) => [String(index), 1]))
    const divided = plan(own({ many }))
    expect(divided.parts.length).toBe(4)
    expect(contentsOf(divided)).toEqual([canonicalText({ many })])
  })

  it('names them in the order given, with ids and uuids of their own', () => {
    const { snapshot, parts } = plan(own({ a: 'x'.repeat(200_000), b: 'x'.repeat(200_000) }))
    expect(parts.map(({ uuid }) => uuid)).toEqual([common.uuids(1), common.uuids(2)])
    expect(snapshot.parts).toEqual(parts.map((part) => signBody({ avatar, ...key }, part).id))
    expect(new Set(parts.map(({ counter }) => counter))).toEqual(new Set([snapshot.counter]))
  })

  it('has at most as many as a snapshot may name', () => {
    // A key that leaves little room beside it: every member inside takes a part of its own.
    const wide = Object.fromEntries(Array.from({ length: MAX_PARTS + 10 }, (_, index) => [`${index}`, 'x'.repeat(900)]))
    const { name, code, message } = errorOf(() => plan(own({ ['k'.repeat(260_000)]: wide }))) as SnapshotError
    expect([name, code]).toEqual(['SnapshotError', 'too_many_parts'])
    expect(message).toContain('3500 parts')
  })
})

describe('what no snapshot can say', () => {
  const nested = (levels: number): JsonObject => (levels === 1 ? {} : { a: nested(levels - 1) })
  it.each<[string, JsonValue, SnapshotError['code'], string]>([
    ['a text', { b: { 'c/d': 'x'.repeat(262_144) } }, 'value_too_large', 'nextid 0x'],
    ['an array', { b: Array.from({ length: 10_000 }, () => 1) }, 'value_too_large', '/b is one value'],
    ['a null', { b: { c: null } }, 'null_member', '/b/c is null'],
    ['half a pair', { b: '\ud83d' }, 'not_json', '/b has half'],
    ['half a pair as a key', { '\ud83d': 1 }, 'not_json', 'has half'],
    ['half a pair in an array', { b: [{ '\ud83d': 1 }] }, 'not_json', '/b has half'],
    ['infinity', { b: [Infinity] }, 'not_json', '/b has half'],
    ['objects too deep', nested(61), 'too_deep', 'nests deeper than 60'],
    ['arrays too deep', { a: JSON.parse(`${'['.repeat(60)}${']'.repeat(60)}`) as JsonValue }, 'too_deep', '/a nests'],
  ])('%s: is named', (_, content, code, words) => {
    const error = errorOf(() => plan(own(content as JsonObject)))
    expect(error).toBeInstanceOf(SnapshotError)
    expect(error).toMatchObject({ code })
    expect(error.message).toContain(words)
    expect(error.message.length).toBeLessThan(1000)
  })

  it('is named all at once', () => {
    const faults = snapshotFaults({
      ...common,
      namespaces: [other({ a: null }), own({ a: { b: null, c: '\ud83d' }, d: nested(60) })],
    })
    expect(faults.map(({ platform, code, path }) => [platform, code, path.slice(0, 2)])).toEqual([
      ['nextid', 'null_member', ['a', 'b']],
      ['nextid', 'not_json', ['a', 'c']],
      ['nextid', 'too_deep', ['d', 'a']],
      ['twitter', 'null_member', ['a']],
    ])
  })

  it('60 levels, and null inside an array, can be said', () => {
    const content = { a: nested(59), b: [null, { c: null }] }
    expect(contentsOf(plan(own(content)))).toEqual([canonicalText(content)])
  })

  it('one namespace twice, or a name that is none', () => {
    expect(errorOf(() => plan(other({}), other({ a: 1 })))).toMatchObject({ code: 'duplicate_namespace' })
    const wrong = errorOf(() => plan({ content: {}, identity: 'a', platform: 'Twitter' }))
    expect(wrong).toBeInstanceOf(RecordError)
    expect(wrong).toMatchObject({ code: 'invalid_platform' })
  })

  it('paths are JSON Pointers, cut where they are long', () => {
    expect(pathText(['a/b', '~c', ''])).toBe('/a~1b/~0c/')
    expect(pathText(Array.from({ length: 60 }, () => 'k'.repeat(1000))).length).toBeLessThan(600)
  })
})
