import fc from 'fast-check'
import { expect, it } from 'vitest'
import { PROFILE_KEY, profileOf } from '../../src/client/profile.ts'
import type { JsonObject, JsonValue } from '../../src/record/types.ts'

const NONE = { name: null, bio: null, picture: null, links: [] }
const PNG = 'data:image/png;base64,iVBORw0KGgo='
const of = (profile: JsonValue) => profileOf({ [PROFILE_KEY]: profile })

it('a profile is read as it was written', () => {
  const profile = {
    name: 'Ada Lovelace',
    bio: 'Wrote the first program.\nIn 1843.',
    picture: PNG,
    links: [{ title: 'Notes', url: 'https://example.org/notes' }],
  }
  expect(of({ ...profile, unknown: 1 })).toEqual(profile)
  expect(of({ name: ' שרה 👩‍💻 ' }).name).toBe('שרה 👩‍💻')
  expect(of({ picture: 'https://example.org/a.png' }).picture).toBe('https://example.org/a.png')
})

it.each<[string, JsonValue]>([
  ['a text', 'Ada'],
  ['a list', [{ name: 'Ada' }]],
  ['null', null],
  ['members of other types', { name: 1, bio: {}, picture: [], links: 'https://example.org' }],
  [
    'texts that are too long',
    { name: 'é'.repeat(129), bio: 'x'.repeat(4_097), picture: `https://a.example/${'x'.repeat(2_048)}` },
  ],
  ['names of several lines', { name: 'Ada\nVerified · 2 nodes' }],
  ['letters under a tower of marks', { name: `A${'\u0301'.repeat(120)}`, bio: 'e\u0301\u0302\u0303\u0304\u0305' }],
  ['texts that turn the direction', { name: 'Ada \u202eecalevoL', bio: 'a\u2066b' }],
  ['controls', { name: 'A\u0000da', bio: 'a\u001b[31mb' }],
  ['blank texts', { name: '  ', bio: '\n' }],
  ['an SVG', { picture: `data:image/svg+xml;base64,${btoa('<svg onload="alert(1)"/>')}` }],
  ['a page', { picture: 'data:text/html;base64,PGI+' }],
  ['a picture that is too large', { picture: `data:image/png;base64,${'A'.repeat(65_536)}` }],
  ['a picture that is not base64', { picture: 'data:image/png;base64,<svg>' }],
  ['a script', { picture: 'javascript:alert(1)', links: [{ title: 'a', url: 'javascript:alert(1)' }] }],
  ['plain http', { picture: 'http://example.org/a.png', links: [{ title: 'a', url: 'http://example.org' }] }],
  ['a user name in an address', { links: [{ title: 'Bank', url: 'https://bank.example@evil.example/' }] }],
  ['links of another form', { links: [1, null, [], 'https://example.org', { title: 'no address' }] }],
])('%s: left out, without an error', (_, profile) => {
  expect(of(profile)).toEqual(NONE)
})

it('an avatar without a profile, and members of any name', () => {
  expect(profileOf(undefined)).toEqual(NONE)
  expect(profileOf({})).toEqual(NONE)
  expect(profileOf(JSON.parse('{"__proto__":{"org.avatar-kv.profile":{"name":"x"}}}') as JsonObject)).toEqual(NONE)
})

it('sixteen links count, each with an address that stands for a missing title', () => {
  const links = Array.from({ length: 40 }, (_, n) => ({ url: `https://example.org/${n}` }))
  const read = of({ links }).links
  expect(read).toHaveLength(16)
  expect(read[15]).toEqual({ title: 'https://example.org/15', url: 'https://example.org/15' })
})

it('any JSON gives a profile within the bounds', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), fc.string(), fc.string(), (any, name, url) => {
      for (const value of [
        any,
        { name, bio: name, picture: url, links: [{ title: name, url }, any] },
        { links: any },
      ]) {
        const read = of(value as JsonValue)
        expect(new TextEncoder().encode(read.name ?? '').length).toBeLessThanOrEqual(256)
        expect(read.links.every((link) => link.url.startsWith('https://'))).toBe(true)
      }
    }),
  )
})
