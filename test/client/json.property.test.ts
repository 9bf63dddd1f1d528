import fc from 'fast-check'
import { expect, test } from 'vitest'
import { copyObject, mergePatchOf, sameJson } from '../../src/client/json.ts'
import type { JsonObject, JsonValue } from '../../src/record/types.ts'
import { applyMergePatch } from '../../src/state/merge-patch.ts'
import { canonicalText } from '../oracle/canonical-text.ts'
import { jsonObject } from '../oracle/json-values.ts'
import { naiveMergePatch } from '../oracle/naive-merge-patch.ts'
import { PROPERTY_TIMEOUT_MS, propertyRuns } from '../support/runs.ts'

/** Contents are what patches make, so that they have no null but in arrays. */
const content = jsonObject.map((patch) => applyMergePatch({}, patch) as JsonObject)
/** A content, and another that has much in common with it. */
const pair = fc
  .tuple(content, jsonObject)
  .map(([before, patch]) => [before, applyMergePatch(before, patch) as JsonObject] as const)

test('the patch that is made turns the one into the other', { timeout: PROPERTY_TIMEOUT_MS }, () => {
  fc.assert(
    fc.property(fc.oneof(pair, fc.tuple(content, content)), ([before, after]) => {
      const texts = [canonicalText(before), canonicalText(after)]
      const patch = mergePatchOf(before, after)
      expect(patch === undefined).toBe(texts[0] === texts[1])
      expect(canonicalText(naiveMergePatch(before, patch ?? {}))).toBe(texts[1])
      expect([canonicalText(before), canonicalText(after)]).toEqual(texts)
      expect(sameJson(before, after)).toBe(texts[0] === texts[1])
    }),
    { numRuns: propertyRuns(2000) },
  )
})

test('a copy is the same and shares nothing', { timeout: PROPERTY_TIMEOUT_MS }, () => {
  const shares = (a: JsonValue, b: JsonValue): boolean =>
    typeof a === 'object' &&
    a !== null &&
    (a === b ||
      Object.keys(a).some((key) => {
        const [x, y] = [a, b].map((each) => Object.getOwnPropertyDescriptor(each, key)?.value as JsonValue)
        return shares(x as JsonValue, y as JsonValue)
      }))
  fc.assert(
    fc.property(jsonObject, (value) => {
      const copy = copyObject(value, 'refused')
      expect(canonicalText(copy)).toBe(canonicalText(value))
      expect(shares(copy, value)).toBe(false)
    }),
    { numRuns: propertyRuns(500) },
  )
})

test('what no content can hold is refused, and where it is', () => {
  const circle: Record<string, unknown> = {}
  circle['in'] = circle
  const cases: [unknown, string, string][] = [
    [{ a: { b: Number.NaN } }, '/a/b', 'NaN'],
    [{ a: [1, Number.POSITIVE_INFINITY] }, '/a/1', 'Infinity'],
    [{ a: () => 1 }, '/a', 'function'],
    [{ a: 1n }, '/a', 'bigint'],
    [{ 'x/y': new Date(0) }, '/x~1y', 'class'],
    [{ a: new Map() }, '/a', 'class'],
    // eslint-disable-next-line no-sparse-arrays
    [{ a: [1, , 2] }, '/a/1', 'undefined'],
    [[1], '', 'not an object'],
    [null, '', 'not an object'],
  ]
  for (const [value, path, why] of cases) {
    const error = refusalOf(() => copyObject(value, 'refused'))
    expect(error).toMatchObject({ code: 'invalid_change', path })
    expect(error.message).toContain(why)
  }
  expect(refusalOf(() => copyObject(circle, 'dropped'))).toMatchObject({ code: 'invalid_change' })
  expect(refusalOf(() => copyObject({ a: undefined }, 'refused'))).toMatchObject({ path: '/a' })
  expect(copyObject({ a: undefined, b: 1 }, 'dropped')).toEqual({ b: 1 })
  expect(refusalOf(() => mergePatchOf({}, { a: { b: null } }))).toMatchObject({ code: 'invalid_change', path: '/a/b' })
  expect(mergePatchOf({}, { a: [null] })).toEqual({ a: [null] })
})

function refusalOf(run: () => unknown): Error {
  try {
    run()
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error('nothing was refused')
}
