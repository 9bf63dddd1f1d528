import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { JsonObject, JsonValue, RecordId } from '../../src/record/types.ts'
import { isLinkableKey, linkedDigestOf, linkedView, LINKS_KEY, linksIn, MAX_LINKS } from '../../src/state/links.ts'
import { canonicalText } from '../oracle/canonical-text.ts'
import { shuffled } from '../oracle/delivery.ts'
import { HOSTILE_KEYS, jsonObject, jsonValue } from '../oracle/json-values.ts'
import { comparableLinked, foldLinked } from '../oracle/linked.ts'
import { naiveLinkedView } from '../oracle/naive-links.ts'
import { signBody, testKey, type TestKey, type TestRecord } from '../oracle/signing.ts'
import { PROPERTY_TIMEOUT_MS, propertyRuns } from '../support/runs.ts'

const KEYS = [testKey(1), testKey(2), testKey(3), testKey(4)] as const
const [OWNER] = KEYS

const linkKey = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('a', 'b', 'c', '__proto__', '\ue000', '\u{1f600}') },
  { weight: 2, arbitrary: fc.constantFrom(...HOSTILE_KEYS) },
  { weight: 1, arbitrary: fc.constantFrom(LINKS_KEY, 'org.avatar-kv.homes', 'org.avatar-kv.', 'org.avatar-kv') },
)
const avatarText = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom<string>(...KEYS.map(({ avatar }) => avatar)) },
  { weight: 1, arbitrary: fc.constantFrom<string>(OWNER.avatar.toUpperCase(), OWNER.avatar.slice(2), 'nonsense') },
)
const link: fc.Arbitrary<JsonValue> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record<{ avatar: JsonValue; label: JsonValue; since: JsonValue }>(
      { avatar: avatarText, label: jsonValue, since: jsonValue },
      { requiredKeys: ['avatar'] },
    ),
  },
  { weight: 1, arbitrary: jsonValue },
)
const links: fc.Arbitrary<JsonValue> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .uniqueArray(fc.tuple(linkKey, link), { selector: ([key]) => key, maxLength: 6 })
      .map((members): JsonObject => Object.fromEntries(members)),
  },
  // More links than count, with keys whose order by UTF-16 differs from that by UTF-8.
  {
    weight: 1,
    arbitrary: fc
      .integer({ min: MAX_LINKS - 2, max: MAX_LINKS + 6 })
      .map((count): JsonObject =>
        Object.fromEntries(
          Array.from({ length: count }, (_, at) => [
            `${['\ue000', '\u{1f600}', 'a'][at % 3]}${at}`,
            { avatar: KEYS[1 + (at % 3)]?.avatar ?? '' },
          ]),
        ),
      ),
  },
  { weight: 1, arbitrary: jsonValue },
)

interface Write {
  readonly by: number
  readonly links: JsonValue | undefined
  readonly patch: JsonObject
  readonly elsewhere: boolean
  readonly erase: boolean
}
const write: fc.Arbitrary<Write> = fc.record({
  by: fc.integer({ min: 0, max: KEYS.length - 1 }),
  links: fc.option(links, { nil: undefined, freq: 2 }),
  patch: jsonObject,
  elsewhere: fc.boolean(),
  erase: fc.integer({ min: 0, max: 15 }).map((value) => value === 0),
})

/** Signs writes of several avatars; each cites the previous write of its avatar. */
function recordsOf(writes: readonly Write[]): TestRecord[] {
  const last = new Map<TestKey, { counter: number; id: RecordId }>()
  return writes.map(({ by, links: linked, patch, elsewhere, erase }, at) => {
    const key = KEYS[by] as TestKey
    const previous = last.get(key)
    const counter = (previous?.counter ?? 0) + 1
    const common = {
      avatar: key.avatar,
      counter,
      created_at: 1_790_000_000 + at,
      network: 'main',
      prev: previous === undefined ? [] : [previous],
      uuid: `00000000-0000-4000-8000-${String(at).padStart(12, '0')}`,
      version: '2',
    } as const
    const content =
      linked === undefined ? patch : Object.fromEntries([...Object.entries(patch), [LINKS_KEY, linked] as const])
    const name =
      elsewhere && linked === undefined
        ? { platform: 'twitter', identity: 'x' }
        : { platform: 'nextid', identity: key.avatar }
    const record = signBody(
      key,
      erase
        ? { ...common, type: 'snapshot', parts: [], state: [] }
        : { ...common, type: 'patch', patch: content, ...name },
    )
    last.set(key, { counter, id: record.id })
    return record
  })
}

const scene = fc.record({ writes: fc.array(write, { maxLength: 14 }), withheld: fc.nat(), seed: fc.nat() })

function held({ writes, withheld, seed }: typeof scene extends fc.Arbitrary<infer T> ? T : never): TestRecord[] {
  const records = recordsOf(writes)
  return shuffled(
    records.filter((_, at) => ((withheld >> at) & 7) !== 7),
    seed,
  )
}

test(
  'any records of four avatars that link to each other: what the oracle says',
  { timeout: PROPERTY_TIMEOUT_MS },
  () => {
    let linked = 0
    fc.assert(
      fc.property(scene, (plan) => {
        const records = held(plan)
        for (const { avatar } of KEYS) {
          const view = foldLinked(avatar, records)
          linked += view.links.length
          expect(comparableLinked(view)).toEqual(comparableLinked(naiveLinkedView(avatar, records)))
        }
      }),
      { numRuns: propertyRuns(400) },
    )
    expect(linked).toBeGreaterThan(10)
  },
)

test('equal linked digests, equal linked views', { timeout: PROPERTY_TIMEOUT_MS }, () => {
  fc.assert(
    fc.property(scene, fc.nat(), (plan, other) => {
      const left = foldLinked(OWNER.avatar, held(plan))
      const right = foldLinked(OWNER.avatar, held({ ...plan, withheld: other }))
      const shown = ({ links, namespaces }: typeof left) => [links, canonicalText(namespaces as never)]
      if (left.linkedDigest === right.linkedDigest) expect(shown(left)).toEqual(shown(right))
    }),
    { numRuns: propertyRuns(150) },
  )
})

test(
  'a linked avatar changes the keys under which it is linked, and nothing else',
  { timeout: PROPERTY_TIMEOUT_MS },
  () => {
    fc.assert(
      fc.property(scene, fc.integer({ min: 1, max: KEYS.length - 1 }), (plan, by) => {
        const records = held(plan)
        const app = KEYS[by] as TestKey
        const before = foldLinked(
          OWNER.avatar,
          records.filter(({ body }) => body.avatar !== app.avatar),
        )
        const after = foldLinked(OWNER.avatar, records)
        const theirs = new Set(after.links.filter(({ avatar }) => avatar === app.avatar).map(({ key }) => key))
        const others = ({ namespaces }: typeof after) =>
          namespaces.map(({ platform, identity, content }) => [
            platform,
            identity,
            Object.entries(content)
              .filter(([key]) => platform !== 'nextid' || !theirs.has(key))
              .map(([key, value]) => [key, canonicalText(value)])
              .sort(),
          ])
        expect(others(after)).toEqual(others(before))
      }),
      { numRuns: propertyRuns(150) },
    )
  },
)

test('the view is made without changing the states that it is made from', () => {
  const content = { a: 1, [LINKS_KEY]: { a: { avatar: KEYS[1].avatar } } }
  const own = {
    digest: '00'.repeat(32),
    namespaces: [{ platform: 'nextid', identity: OWNER.avatar, content }],
  }
  const text = JSON.stringify(own)
  const view = linkedView(OWNER.avatar, own, () => undefined)
  expect(JSON.stringify(own)).toBe(text)
  expect(view.namespaces[0]?.content).toEqual({ [LINKS_KEY]: content[LINKS_KEY] })
  expect(linkedDigestOf(own.digest, view.links)).toBe(view.linkedDigest)
})

test('links are read from any value, with label and since only where they have their form', () => {
  const { avatar } = KEYS[1]
  expect(
    linksIn(OWNER.avatar, { a: { avatar, label: 'App', since: 5 }, b: { avatar, label: 5, since: -1 }, c: null }),
  ).toEqual([
    { key: 'a', avatar, label: 'App', since: 5 },
    { key: 'b', avatar, label: null, since: null },
  ])
  for (const value of [undefined, null, 1, 'a', [], [{ avatar }]]) expect(linksIn(OWNER.avatar, value)).toEqual([])
  expect(['', 'org.avatar-kv.links', 'org.avatar-kv.'].some(isLinkableKey)).toBe(false)
  expect(['org.avatar-kv', 'a', '__proto__'].every(isLinkableKey)).toBe(true)
})
