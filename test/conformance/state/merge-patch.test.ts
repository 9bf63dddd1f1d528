import { describe, expect, test } from 'vitest'
import type { JsonValue } from '../../../src/record/types.ts'
import { applyMergePatch } from '../../../src/state/merge-patch.ts'
import { canonicalText } from '../../oracle/canonical-text.ts'
import { HOSTILE_KEYS } from '../../oracle/json-values.ts'
import { RFC_7396_CASES } from './merge-patch-cases.ts'

/** Content and patches may nest this deep (docs/protocol.md, "Payload"). */
const NESTING_MAX = 60

test('the RFC has fifteen cases', () => {
  expect(RFC_7396_CASES).toHaveLength(15)
})

test.each(RFC_7396_CASES)('RFC 7396, appendix A: %j and %j', (original, patch, result) => {
  const before = canonicalText([original, patch])
  expect(applyMergePatch(original, patch)).toEqual(result)
  expect(canonicalText([original, patch])).toBe(before)
})

describe.each(HOSTILE_KEYS.map((key) => [key.slice(0, 20), key]))('the key %j is data', (_, key) => {
  const object = (...members: [string, JsonValue][]): JsonValue => Object.fromEntries(members)
  const cases: [title: string, target: JsonValue | undefined, patch: JsonValue, result: string][] = [
    ['set where nothing is', undefined, object([key, 1]), canonicalText(object([key, 1]))],
    ['set beside others', { z: 0 }, object([key, { x: 1 }]), canonicalText(object([key, { x: 1 }], ['z', 0]))],
    ['merged into', object([key, { x: 1 }]), object([key, { y: 2 }]), canonicalText(object([key, { x: 1, y: 2 }]))],
    ['deleted', object([key, 1], ['z', 0]), object([key, null]), canonicalText({ z: 0 })],
    ['deleted where it is not', { z: 0 }, object([key, null]), canonicalText({ z: 0 })],
    ['a scalar over an object', object([key, { x: 1 }]), object([key, 's']), canonicalText(object([key, 's']))],
    ['an object over a scalar', object([key, 's']), object([key, { x: null }]), canonicalText(object([key, {}]))],
    [
      'inside itself',
      object([key, object([key, 1])]),
      object([key, object([key, null], ['z', object([key, null])])]),
      canonicalText(object([key, { z: {} }])),
    ],
    ['kept in arrays', {}, { z: [object([key, null])] }, canonicalText({ z: [object([key, null])] })],
    ['keys after it count', {}, object([key, 1], ['zz', 2]), canonicalText(object([key, 1], ['zz', 2]))],
  ]
  test.each(cases)('%s', (_title, target, patch, result) => {
    const merged = applyMergePatch(target, patch)
    expect(merged === undefined ? undefined : canonicalText(merged)).toBe(result)
    expect(Object.keys({})).toEqual([])
  })
})

test('as deep as the limit, and shared by nothing', () => {
  const nest = (depth: number, leaf: JsonValue): JsonValue => (depth === 0 ? leaf : { a: nest(depth - 1, leaf) })
  const deep = applyMergePatch(undefined, nest(NESTING_MAX, { kept: 1, gone: 2 }))
  const after = applyMergePatch(deep, nest(NESTING_MAX, { gone: null }))
  expect(after).toEqual(nest(NESTING_MAX, { kept: 1 }))
  expect(deep).toEqual(nest(NESTING_MAX, { kept: 1, gone: 2 }))
})
