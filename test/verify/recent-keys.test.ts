import fc from 'fast-check'
import { expect, test } from 'vitest'

import { RecentKeys } from '../../src/verify/recent-keys.ts'

const capacities = fc.integer({ min: 2, max: 12 })
const WIDTH = 6
/** Few values of few bytes, so that keys are equal, share places, and begin alike. */
const keys = fc.uint8Array({ min: 0, max: 2, minLength: 4, maxLength: WIDTH })
const nameOf = (key: Uint8Array): string => key.join()

test('a key that is found has its last value, whatever was set and read before', () => {
  const step = fc.record({ key: keys, value: fc.nat(), isRead: fc.boolean() })
  fc.assert(
    fc.property(capacities, fc.array(step, { maxLength: 200 }), (capacity, steps) => {
      const map = new RecentKeys<number>(capacity, WIDTH)
      const last = new Map<string, number>()
      for (const { key, value, isRead } of steps) {
        if (isRead) expect([undefined, last.get(nameOf(key))]).toContain(map.get(key))
        else {
          map.set(key, value)
          last.set(nameOf(key), value)
          expect(map.get(key)).toBe(value)
        }
      }
    }),
  )
})

test('at most as many keys stay as it has places, among them the last two that were set or read', () => {
  fc.assert(
    fc.property(capacities, fc.uniqueArray(keys, { selector: nameOf, minLength: 2 }), (capacity, all) => {
      const map = new RecentKeys<number>(capacity, WIDTH)
      const [read, ...others] = all as [Uint8Array, ...Uint8Array[]]
      map.set(read, -1)
      for (const [at, key] of others.entries()) {
        map.set(key, at)
        expect(map.get(key)).toBe(at)
        expect(map.get(read)).toBe(-1)
      }
      expect(all.filter((key) => map.get(key) !== undefined).length).toBeLessThanOrEqual(capacity)
    }),
  )
})

test('a key keeps its own bytes, and is never longer than the width', () => {
  const map = new RecentKeys<number>(4, WIDTH)
  const key = Uint8Array.of(1, 2, 3, 4, 5, 6)
  map.set(key, 1)
  key[5] = 7
  expect(map.get(key)).toBeUndefined()
  expect(map.get(Uint8Array.of(1, 2, 3, 4, 5, 6))).toBe(1)
  expect(map.get(Uint8Array.of(1, 2, 3, 4, 5, 6, 0))).toBeUndefined()
  expect(() => map.set(new Uint8Array(WIDTH + 1), 1)).toThrow(RangeError)
})
