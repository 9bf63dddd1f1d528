import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isLinkableKey, linkedDigestOf, linkedView, LINKS_KEY, linksIn } from '../../src/state/links.ts'
import { canonicalText } from '../oracle/canonical-text.ts'
import { heldOf, LINK_KEYS, linkScene } from '../oracle/link-scene.ts'
import { comparableLinked, foldLinked } from '../oracle/linked.ts'
import { naiveLinkedView } from '../oracle/naive-links.ts'
import type { TestKey } from '../oracle/signing.ts'
import { PROPERTY_TIMEOUT_MS, propertyRuns } from '../support/runs.ts'

const [OWNER] = LINK_KEYS

test(
  'any records of four avatars that link to each other: what the oracle says',
  { timeout: PROPERTY_TIMEOUT_MS },
  () => {
    let linked = 0
    fc.assert(
      fc.property(linkScene, (plan) => {
        const records = heldOf(plan)
        for (const { avatar } of LINK_KEYS) {
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
    fc.property(linkScene, fc.nat(), (plan, other) => {
      const left = foldLinked(OWNER.avatar, heldOf(plan))
      const right = foldLinked(OWNER.avatar, heldOf({ ...plan, withheld: other }))
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
      fc.property(linkScene, fc.integer({ min: 1, max: LINK_KEYS.length - 1 }), (plan, by) => {
        const records = heldOf(plan)
        const app = LINK_KEYS[by] as TestKey
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
  const content = { a: 1, [LINKS_KEY]: { a: { avatar: LINK_KEYS[1].avatar } } }
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
  const { avatar } = LINK_KEYS[1]
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
