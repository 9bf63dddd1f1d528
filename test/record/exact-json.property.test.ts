import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { lossesOf, parseExactJson } from '../../src/record/exact-json.ts'
import { propertyRuns } from '../support/runs.ts'

describe('parseExactJson', () => {
  it('reads everything that JavaScript writes, whatever its keys, as JSON.parse does', () => {
    const keys = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('__proto__', 'constructor', ':', '"', '\\', '1'),
    )
    const json = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.string({ unit: 'binary' }),
        fc.constantFrom(null, true, false),
        fc.array(tie('value')),
        fc.dictionary(keys, tie('value')),
      ),
    })).value
    fc.assert(
      fc.property(json, fc.constantFrom(undefined, 1, '\t'), (value, space) => {
        const text = JSON.stringify(value, null, space)
        expect([...lossesOf(text)]).toEqual([])
        expect(JSON.stringify(parseExactJson(text))).toBe(JSON.stringify(JSON.parse(text)))
      }),
      { numRuns: propertyRuns(1_000) },
    )
  })
})
