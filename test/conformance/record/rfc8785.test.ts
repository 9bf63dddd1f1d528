import { expect, test } from 'vitest'
import { canonicalText, checkCanonical } from '../../../src/record/canonical.ts'
import { vectorText } from './vectors.ts'

/** Of github.com/cyberphone/json-canonicalization, by the authors of RFC 8785. */
const PAIRS = ['arrays', 'french', 'structures', 'unicode', 'values', 'weird']

test.each(PAIRS)('%s', (name) => {
  const input = vectorText(`rfc8785/input/${name}.json`)
  const output = vectorText(`rfc8785/output/${name}.json`)
  expect(canonicalText(JSON.parse(input))).toBe(output)
  expect(() => checkCanonical(output, JSON.parse(output))).not.toThrow()
  expect(() => checkCanonical(input, JSON.parse(input))).toThrow('canonical')
})
