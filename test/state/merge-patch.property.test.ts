import { createRequire } from 'node:module'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { JsonValue } from '../../src/record/types.ts'
import { applyMergePatch, mergePatchTo } from '../../src/state/merge-patch.ts'
import { canonicalText } from '../oracle/canonical-text.ts'
import { jsonValue, tameValue } from '../oracle/json-values.ts'
import { naiveMergePatch } from '../oracle/naive-merge-patch.ts'
import { PROPERTY_TIMEOUT_MS, propertyRuns } from '../support/runs.ts'

/** The package mutates its arguments, and stops at keys like `constructor`; on copies of other values it is a witness. */
const witness: { apply(target: JsonValue, patch: JsonValue): JsonValue } = createRequire(import.meta.url)(
  'json-merge-patch',
)

/** The text of a result; a value that is not there is no text. */
function text(value: JsonValue | undefined): string {
  if (value === undefined) throw new Error('a merge patch always has a result')
  return canonicalText(value)
}

function merged(target: JsonValue | undefined, patches: readonly JsonValue[], apply: typeof applyMergePatch) {
  return patches.reduce<JsonValue | undefined>((current, patch) => apply(current, patch), target)
}

test('any patches on any value, one after the other: what the oracle says', { timeout: PROPERTY_TIMEOUT_MS }, () => {
  fc.assert(
    fc.property(fc.option(jsonValue, { nil: undefined }), fc.array(jsonValue, { minLength: 1 }), (target, patches) => {
      expect(text(merged(target, patches, applyMergePatch))).toBe(text(merged(target, patches, naiveMergePatch)))
    }),
    { numRuns: propertyRuns(1000) },
  )
})

test('any patch on any value: what the package json-merge-patch says', { timeout: PROPERTY_TIMEOUT_MS }, () => {
  fc.assert(
    fc.property(tameValue, tameValue, (target, patch) => {
      const theirs = text(witness.apply(structuredClone(target), structuredClone(patch)))
      expect(text(applyMergePatch(target, patch))).toBe(theirs)
      expect(text(naiveMergePatch(target, patch))).toBe(theirs)
    }),
    { numRuns: propertyRuns(1000) },
  )
})

test('neither argument changes, nor does the result with them', { timeout: PROPERTY_TIMEOUT_MS }, () => {
  fc.assert(
    fc.property(jsonValue, jsonValue, jsonValue, (target, patch, next) => {
      const before = [canonicalText(target), canonicalText(patch)]
      const first = applyMergePatch(target, patch)
      const result = text(first)
      applyMergePatch(first, next)
      expect([canonicalText(target), canonicalText(patch)]).toEqual(before)
      expect(text(first)).toBe(result)
    }),
    { numRuns: propertyRuns(500) },
  )
})

test('applying a patch twice is applying it once', { timeout: PROPERTY_TIMEOUT_MS }, () => {
  fc.assert(
    fc.property(jsonValue, jsonValue, (target, patch) => {
      const once = applyMergePatch(target, patch)
      expect(text(applyMergePatch(once, patch))).toBe(text(once))
    }),
    { numRuns: propertyRuns(500) },
  )
})

test('a patch from one value to another gives the other', { timeout: PROPERTY_TIMEOUT_MS }, () => {
  // A content has no null in an object: a merge into nothing takes them out.
  const stored = jsonValue.map((value) => applyMergePatch(undefined, value)).filter((value) => value !== null)
  fc.assert(
    fc.property(fc.option(stored, { nil: undefined }), stored, (before, after) => {
      expect(text(applyMergePatch(before, mergePatchTo(before, after)))).toBe(text(after))
    }),
    { numRuns: propertyRuns(1000) },
  )
})
