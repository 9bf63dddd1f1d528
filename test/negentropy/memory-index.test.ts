import { describe, expect, test } from 'vitest'

import { createMemoryIndex, type Item } from '../../src/negentropy/negentropy.ts'
import { numbersFrom, randomItems } from './sets.ts'
import { hex } from './spec-message.ts'

const MODULUS = 1n << 256n
const numberOf = (bytes: Uint8Array) => BigInt(`0x${hex(Uint8Array.from(bytes).reverse())}`)
const order = (a: Item, b: Item) => a.timestamp - b.timestamp || (hex(a.id) < hex(b.id) ? -1 : 1)

describe('the index in memory', () => {
  const next = numbersFrom(1)
  // Many great ids, so that sums overflow at every limb.
  const items = randomItems(333, 8, () => next() % 40).map((item, at) =>
    at % 3 === 0 ? { ...item, id: Uint8Array.from(item.id, (byte, place) => (place < 28 ? 0xff : byte)) } : item,
  )
  const index = createMemoryIndex(items)
  const sorted = items.toSorted(order)

  test('holds the items in order', async () => {
    expect(index.size()).toBe(333)
    expect([...(await index.items(0, 333))]).toEqual(sorted)
    expect([...(await index.items(31, 34))]).toEqual(sorted.slice(31, 34))
    expect([...(await index.items(7, 7))]).toEqual([])
  })

  test('sums any range modulo 2^256', async () => {
    for (let round = 0; round < 500; round += 1) {
      const [begin = 0, end = 0] = [next() % 334, next() % 334].sort((a, b) => a - b)
      let sum = 0n
      for (const item of sorted.slice(begin, end)) sum += numberOf(item.id)
      expect(numberOf(await index.sum(begin, end))).toBe(sum % MODULUS)
    }
    expect(await index.sum(64, 64)).toEqual(new Uint8Array(32))
  })

  test('finds lower bounds', async () => {
    for (let round = 0; round < 500; round += 1) {
      const timestamp = next() % 42
      const full = sorted[next() % 333]?.id ?? new Uint8Array(32)
      const id = full.subarray(0, [0, 1, 29, 32][next() % 4])
      const padded = new Uint8Array(32)
      padded.set(id)
      const [begin = 0, end = 0] = [next() % 334, next() % 334].sort((a, b) => a - b)
      const expected = sorted.findIndex(
        (item, at) =>
          at >= begin &&
          at < end &&
          (order(item, { timestamp, id: padded }) >= 0 || hex(item.id) === hex(padded)) &&
          item.timestamp >= timestamp,
      )
      expect(await index.lowerBound(begin, end, { timestamp, id })).toBe(expected < 0 ? end : expected)
    }
    expect(await index.lowerBound(0, 333, { timestamp: Infinity, id: new Uint8Array(0) })).toBe(333)
  })

  test('copies what it is given', async () => {
    const id = new Uint8Array(32).fill(1)
    const one = createMemoryIndex([{ timestamp: 1, id }])
    id.fill(2)
    expect([...(await one.items(0, 1))]).toEqual([{ timestamp: 1, id: new Uint8Array(32).fill(1) }])
  })

  test.each([
    ['a short id', [{ timestamp: 1, id: new Uint8Array(31) }]],
    ['a negative timestamp', [{ timestamp: -1, id: new Uint8Array(32) }]],
    ['half a second', [{ timestamp: 0.5, id: new Uint8Array(32) }]],
    ['a timestamp of 2^53', [{ timestamp: 2 ** 53, id: new Uint8Array(32) }]],
    ['infinity', [{ timestamp: Infinity, id: new Uint8Array(32) }]],
    ['an item twice', [1, 2, 1].map((timestamp) => ({ timestamp, id: new Uint8Array(32) }))],
  ])('refuses %s', (_name, bad) => {
    expect(() => createMemoryIndex(bad)).toThrow(
      expect.objectContaining({ name: 'NegentropyError', code: 'invalid_item' }),
    )
  })
})
