import fc from 'fast-check'
import { expect, test } from 'vitest'

import { endOfString, scanBounds } from '../../src/record/bounds.ts'

/** The end of a string as a parser finds it, one character after the other. */
function slowEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '"') return at
    if (text[at] === '\\') at++
  }
  return text.length
}

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}

test('a string ends where a parser ends it, whatever is escaped and whether it ends at all', () => {
  const inside = fc.string({ unit: fc.constantFrom('"', '\\', '\\\\', '\\"', 'a', '\u{1f600}'), maxLength: 40 })
  fc.assert(
    fc.property(inside, inside, (before, text) => {
      const whole = `${before}"${text}`
      expect(endOfString(whole, before.length)).toBe(slowEnd(whole, before.length))
    }),
    { numRuns: 2_000 },
  )
})

test('the depth of a JSON text is that of its value', () => {
  const unit = fc.constantFrom('"', '\\', '{', '}', '[', ']', ',', 'a')
  const value = fc.letrec((tie) => ({
    any: fc.oneof({ maxDepth: 6 }, fc.string({ unit }), fc.integer(), tie('list'), tie('object')),
    list: fc.array(tie('any'), { maxLength: 4 }),
    object: fc.dictionary(fc.string({ unit }), tie('any'), { maxKeys: 4 }),
  })).any
  fc.assert(
    fc.property(value, (each) => {
      expect(scanBounds(JSON.stringify(each))).toBe(depthOf(each))
    }),
  )
})
