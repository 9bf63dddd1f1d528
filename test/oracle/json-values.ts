import fc from 'fast-check'
import type { JsonObject, JsonValue } from '../../src/record/types.ts'

/** Keys that a careless program trips over. The first few come up often, so that patches meet. */
export const HOSTILE_KEYS = [
  '__proto__',
  'constructor',
  'prototype',
  'hasOwnProperty',
  'toString',
  'valueOf',
  'toJSON',
  '',
  '0',
  '10',
  '9',
  '4294967295',
  '-1',
  'a.b',
  'a/b',
  'é',
  '\u{1f600}',
  '\ue000',
  '\uffff',
  '\u0000',
  '\u007f',
  'k'.repeat(300),
  `${'k'.repeat(300)}2`,
  'é'.repeat(150),
] as const

const key: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('a', 'b', 'c') },
  { weight: 2, arbitrary: fc.constantFrom('__proto__', 'constructor', '0', '') },
  { weight: 1, arbitrary: fc.constantFrom(...HOSTILE_KEYS) },
)

const scalar: fc.Arbitrary<JsonValue> = fc.oneof(
  { weight: 4, arbitrary: fc.constant(null) },
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 9 }) },
  { weight: 1, arbitrary: fc.constantFrom<JsonValue>(true, false, 1.5, -1, 1e21, 1e-7, 's', '', 'é\u{1f600}\u2028') },
)

const array: fc.Arbitrary<JsonValue> = fc
  .constantFrom<(() => JsonValue[])[]>(
    () => [],
    () => [null],
    () => [1, null, [null]],
    () => [{ a: null, b: {} }],
    () => [Object.fromEntries([['__proto__', { a: null }]])],
  )
  .map((make) => make())

function objectOf(member: fc.Arbitrary<JsonValue>, maxLength: number): fc.Arbitrary<JsonObject> {
  return fc
    .uniqueArray(fc.tuple(key, member), { selector: ([name]) => name, maxLength })
    .map((members) => Object.fromEntries(members))
}

function valueOfDepth(depth: number): fc.Arbitrary<JsonValue> {
  if (depth === 0) return scalar
  return fc.oneof(
    { weight: 5, arbitrary: scalar },
    { weight: 1, arbitrary: array },
    { weight: 4, arbitrary: objectOf(valueOfDepth(depth - 1), 3) },
  )
}

/** Any JSON value of these tests, patches and targets alike: nulls inside, few distinct keys, nested up to four deep. */
export const jsonValue: fc.Arbitrary<JsonValue> = valueOfDepth(4)

/** A patch, or the content of a snapshot's namespace: sets, merges and deletes the same few paths again and again. */
export const jsonObject: fc.Arbitrary<JsonObject> = objectOf(valueOfDepth(3), 3)

/** Values whose keys the package json-merge-patch can handle, without nulls (a document as it stands). */
export const tameValue: fc.Arbitrary<JsonValue> = fc.letrec<{ value: JsonValue; object: JsonValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'tame' },
    { weight: 3, arbitrary: fc.constantFrom<JsonValue>(null, 1, 'x', true) },
    { weight: 1, arbitrary: fc.constantFrom<JsonValue>([], [null, 1], [{ a: null }]) },
    { weight: 4, arbitrary: tie('object') },
  ),
  object: fc
    .uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'c', '0', 'é', ''), tie('value')), {
      selector: ([name]) => name,
      maxLength: 4,
    })
    .map((members) => Object.fromEntries(members)),
})).value
