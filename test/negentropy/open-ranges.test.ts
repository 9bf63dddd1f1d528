import { expect, test } from 'vitest'

import { OpenRanges } from '../../src/negentropy/open-ranges.ts'
import type { Bound } from '../../src/negentropy/negentropy.ts'

const at = (timestamp: number): Bound => ({ timestamp, id: new Uint8Array(0) })
const plain = (spans: { lower: Bound; upper: Bound }[]) =>
  spans.map(({ lower, upper }) => [lower.timestamp, upper.timestamp])

function ranges(...spans: [number, number][]): OpenRanges {
  const open = new OpenRanges()
  for (const [lower, upper] of spans) open.add(at(lower), at(upper))
  return open
}

test('neighbours are joined, others are not', () => {
  expect(plain(ranges([0, 5], [5, 9], [10, 12]).within(at(0), at(Infinity)))).toEqual([
    [0, 9],
    [10, 12],
  ])
})

test('the open parts of a stretch are cut at its ends', () => {
  const open = ranges([2, 5], [10, 20], [30, Infinity])
  expect(plain(open.within(at(0), at(1)))).toEqual([])
  expect(plain(open.within(at(1), at(2)))).toEqual([])
  expect(plain(open.within(at(3), at(4)))).toEqual([[3, 4]])
  expect(plain(open.within(at(4), at(12)))).toEqual([
    [4, 5],
    [10, 12],
  ])
  expect(plain(open.within(at(12), at(Infinity)))).toEqual([
    [12, 20],
    [30, Infinity],
  ])
})

test('a span that ends where the stretch begins has no part in it', () => {
  expect(plain(ranges([0, 5], [7, 9]).within(at(5), at(9)))).toEqual([[7, 9]])
})

test('so many spans that memory would grow are joined into the last one', () => {
  const open = new OpenRanges()
  for (let span = 0; span < 70_000; span += 1) open.add(at(span * 2), at(span * 2 + 1))
  const parts = plain(open.within(at(0), at(Infinity)))
  expect(parts.length).toBe(65_536)
  expect(parts.slice(-2)).toEqual([
    [131_068, 131_069],
    [131_070, 139_999],
  ])
})
