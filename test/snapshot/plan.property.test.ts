import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MAX_MEMBERS, MAX_PAYLOAD_BYTES } from '../../src/record/limits.ts'
import type { JsonObject, StateEntry } from '../../src/record/types.ts'
import { planSnapshot } from '../../src/snapshot/plan.ts'
import { foldRecords } from '../../src/state/fold.ts'
import { comparable } from '../oracle/comparable.ts'
import { canonicalText } from '../oracle/canonical-text.ts'
import { naiveFold } from '../oracle/naive-fold.ts'
import { PROPERTY_TIMEOUT_MS, propertyRuns } from '../support/runs.ts'
import { signBody, testKey } from '../oracle/signing.ts'
import { namespaces, smallContent } from './contents.ts'

const key = testKey(7)
const uuids = (index: number): string => `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`

/** Contents of up to a few records: large texts, long arrays, large and deep objects, beside awkward small ones. */
const bulk: fc.Arbitrary<JsonObject> = fc.oneof(
  smallContent,
  fc
    .record({
      text: fc.integer({ min: 1, max: 260_000 }),
      elements: fc.integer({ min: 0, max: 9_900 }),
      members: fc.integer({ min: 0, max: 25_000 }),
      depth: fc.integer({ min: 0, max: 57 }),
      rest: smallContent,
    })
    .map(({ text, elements, members, depth, rest }) => {
      let deep: JsonObject = Object.fromEntries(Array.from({ length: members }, (_, index) => [`k${index}`, index]))
      for (let level = 0; level < depth; level++) deep = { [level % 5 === 0 ? '__proto__x' : 'd']: deep, e: {} }
      return { ...rest, text: 'é'.repeat(text / 2), elements: Array.from({ length: elements }, () => null), deep }
    }),
)

test('plan, sign, fold: the contents that were given', { timeout: PROPERTY_TIMEOUT_MS }, () => {
  fc.assert(
    fc.property(namespaces(bulk, 3), bulk, fc.boolean(), (others, own, withPrev) => {
      const given: StateEntry[] = [...others, { content: own, identity: key.avatar, platform: 'nextid' }]
      const prev = withPrev ? [{ counter: 41, id: `0x${'ab'.repeat(32)}` as const }] : []
      const request = { avatar: key.avatar, network: 'main', prev, createdAt: 1_790_000_000, uuids, namespaces: given }
      const { snapshot, parts } = planSnapshot(request)
      expect(planSnapshot({ ...request, namespaces: [...given].reverse() })).toEqual({ snapshot, parts })
      const records = [snapshot, ...parts].map((body) => signBody(key, body))
      for (const { payload, body } of records) {
        expect(payload.length).toBeLessThanOrEqual(MAX_PAYLOAD_BYTES)
        expect(body.counter).toBe(withPrev ? 42 : 1)
        expect(membersIn(JSON.parse(new TextDecoder().decode(payload)))).toBeLessThanOrEqual(MAX_MEMBERS)
      }
      const fold = foldRecords(key.avatar, records)
      expect(comparable(fold)).toEqual(comparable(naiveFold(key.avatar, records)))
      expect(fold.base).toEqual({ counter: snapshot.counter, id: records[0]?.id })
      expect(fold.missing).toEqual([])
      expect(byName(fold.namespaces)).toEqual(byName(given))
    }),
    { numRuns: propertyRuns(12) },
  )
})

function membersIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  const children: unknown[] = Object.values(value)
  return children.reduce<number>((sum, child) => sum + membersIn(child), children.length)
}

function byName(entries: readonly StateEntry[]): Map<string, string> {
  return new Map(entries.map(({ platform, identity, content }) => [`${platform} ${identity}`, canonicalText(content)]))
}
