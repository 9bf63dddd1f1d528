import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { JsonObject, JsonValue, StateEntry } from '../../src/record/types.ts'
import { contentFaults, withoutFaults } from '../../src/snapshot/faults.ts'
import { Measure, textBytes, type Size } from '../../src/snapshot/measure.ts'
import { entryOverhead, splitState, stateSize } from '../../src/snapshot/split.ts'
import { canonicalText } from '../oracle/canonical-text.ts'
import { jsonValue } from '../oracle/json-values.ts'
import { mergeTrees, fromMap, toTree } from '../oracle/naive-merge-patch.ts'
import type { Tree } from '../oracle/naive-merge-patch.ts'
import { PROPERTY_TIMEOUT_MS, propertyRuns } from '../support/runs.ts'
import { namespaces, smallContent } from './contents.ts'

/** Object members and array elements, found by walking the value and not by `Measure`. */
function countMembers(value: JsonValue): number {
  if (typeof value !== 'object' || value === null) return 0
  const children = Object.values(value) as JsonValue[]
  return children.reduce<number>((sum, child) => sum + countMembers(child), children.length)
}

function sizeOfState(state: readonly StateEntry[]): Size {
  const value = state as unknown as JsonValue
  return { bytes: Buffer.byteLength(canonicalText(value)) - 2, members: countMembers(value) }
}

/** The states applied one after the other, by the oracle's RFC 7396. */
function folded(states: readonly (readonly StateEntry[])[]): Map<string, string> {
  const contents = new Map<string, Tree>()
  for (const { platform, identity, content } of states.flat()) {
    const name = `${platform} ${identity}`
    contents.set(name, mergeTrees(contents.get(name), toTree(content)))
  }
  return new Map([...contents].map(([name, tree]) => [name, canonicalText(fromMap(tree as Map<string, Tree>))]))
}

function asText(state: readonly StateEntry[]): Map<string, string> {
  return new Map(state.map(({ platform, identity, content }) => [`${platform} ${identity}`, canonicalText(content)]))
}

/** What is left without all faults; an object that was left empty may be one too. */
function soundPart(content: JsonObject, room: Size): JsonObject {
  const faults = contentFaults(content, room)
  return faults.length === 0 ? content : soundPart(withoutFaults(content, faults), room)
}

test('a size is that of the canonical form', { timeout: PROPERTY_TIMEOUT_MS }, () => {
  fc.assert(
    fc.property(jsonValue, fc.string({ unit: 'binary' }), (value, text) => {
      const both = [value, text, { [text]: value }]
      expect(new Measure().of(both)).toEqual({
        bytes: Buffer.byteLength(canonicalText(both)),
        members: countMembers(both),
      })
      expect(textBytes(text)).toBe(Buffer.byteLength(JSON.stringify(text)))
    }),
    { numRuns: propertyRuns(500) },
  )
})

test('states hold what was divided, each within its room', { timeout: PROPERTY_TIMEOUT_MS }, () => {
  let divided = 0
  fc.assert(
    fc.property(
      namespaces(smallContent, 4),
      fc.record({ bytes: fc.integer({ min: 450, max: 2000 }), members: fc.integer({ min: 10, max: 60 }) }),
      (given, room) => {
        const state = given.map(({ content, ...name }) => {
          const overhead = entryOverhead({ ...name })
          const own = { bytes: room.bytes - overhead.bytes, members: room.members - overhead.members }
          return { content: soundPart(content, own), ...name }
        })
        const states = splitState(state, room, new Measure(), 1000)
        if (states === undefined) throw new Error('a thousand states are not enough')
        expect(folded(states)).toEqual(asText(state))
        for (const each of states) {
          const size = sizeOfState(each)
          expect(size.bytes).toBeLessThanOrEqual(room.bytes)
          expect(size.members).toBeLessThanOrEqual(room.members)
          expect(each.length).toBeGreaterThan(0)
          expect(stateSize(each, new Measure())).toEqual(size)
        }
        if (states.length > 1) divided += 1
      },
    ),
    { numRuns: propertyRuns(500, 500) },
  )
  expect(divided).toBeGreaterThan(100)
})

test('what fits into one state to the byte and the member is not divided', { timeout: PROPERTY_TIMEOUT_MS }, () => {
  fc.assert(
    fc.property(namespaces(smallContent, 4), (state) => {
      fc.pre(state.length > 1)
      const room = sizeOfState(state)
      expect(splitState(state, room, new Measure(), 1000)).toHaveLength(1)
      const less = splitState(state, { ...room, bytes: room.bytes - 1 }, new Measure(), 1000)
      expect(less === undefined || less.some((each) => sizeOfState(each).bytes >= room.bytes)).toBe(false)
    }),
    { numRuns: propertyRuns(300) },
  )
})

test('faults are what cannot stand, and nothing else', { timeout: PROPERTY_TIMEOUT_MS }, () => {
  const hasNullMember = (value: JsonValue): boolean =>
    typeof value === 'object' &&
    !Array.isArray(value) &&
    (value === null || (Object.values(value) as JsonValue[]).some(hasNullMember))
  const room = { bytes: 100_000, members: 1000 }
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom('a', 'b', '__proto__', 'é'), jsonValue), (content: JsonObject) => {
      const faults = contentFaults(content, room)
      expect(faults.length > 0).toBe(hasNullMember(content))
      for (const { code, path } of faults) {
        expect(code).toBe('null_member')
        const value = path.reduce<JsonValue>((at, key) => (at as JsonObject)[key] as JsonValue, content)
        expect(value).toBeNull()
      }
      const rest = withoutFaults(content, faults)
      expect(contentFaults(rest, room)).toEqual([])
      // A merge patch says just what is left of it on top of nothing.
      expect(canonicalText(rest)).toBe(
        canonicalText(fromMap(mergeTrees(undefined, toTree(content)) as Map<string, Tree>)),
      )
    }),
    { numRuns: propertyRuns(300) },
  )
})
