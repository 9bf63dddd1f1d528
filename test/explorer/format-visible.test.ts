import { expect, it } from 'vitest'
import { visible } from '../../src/explorer/data/format-visible.ts'

it.each(['Zoë, 漢字, עברית', 'two\nlines', '❤️', '👍🏽', '👨‍👩‍👧', '🏳️‍🌈', '1️⃣ and 🇫🇷'.replace('\ufe0f', '')])(
  'leaves %s as it is',
  (text) => {
    expect(visible(text)).toBe(text)
  },
)

it.each([
  ['a\ufe0f', 'a\\ufe0f'],
  ['a\u200db', 'a\\u200db'],
  ['❤️\u200db', '❤️\\u200db'],
  ['\u202eabc', '\\u202eabc'],
  ['a\u{e0100}', 'a\\udb40\\udd00'],
  ['a\u{e0061}', 'a\\udb40\\udc61'],
  ['\u3164\u00ad\ufeff\t\u0000', '\\u3164\\u00ad\\ufeff\\u0009\\u0000'],
  ['a\u034fb\u2028c', 'a\\u034fb\\u2028c'],
])('shows what hides in %j', (text, shown) => {
  expect(visible(text)).toBe(shown)
})
