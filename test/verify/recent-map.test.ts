import fc from 'fast-check'
import { expect, test } from 'vitest'

import { RecentMap } from '../../src/verify/recent-map.ts'

const halves = fc.integer({ min: 1, max: 8 })

test('a key that is found has its last value, whatever was set and read before', () => {
  const step = fc.record({ key: fc.nat(20).map(String), value: fc.nat(), isRead: fc.boolean() })
  fc.assert(
    fc.property(halves, fc.array(step, { maxLength: 200 }), (half, steps) => {
      const map = new RecentMap<number>(half)
      const last = new Map<string, number>()
      for (const { key, value, isRead } of steps) {
        if (isRead) expect([undefined, last.get(key)]).toContain(map.get(key))
        else {
          map.set(key, value)
          last.set(key, value)
          expect(map.get(key)).toBe(value)
        }
      }
    }),
  )
})

test('the last keys that were set or read stay, and at most twice as many', () => {
  fc.assert(
    fc.property(halves, fc.integer({ min: 1, max: 50 }), (half, count) => {
      const map = new RecentMap<number>(half)
      map.set('read', -1)
      for (let key = 0; key < count; key += 1) {
        map.set(String(key), key)
        // With one place only the last one stays.
        if (half > 1) expect(map.get('read')).toBe(-1)
      }
      const held = Array.from({ length: count }, (_, key) => String(key)).filter((key) => map.get(key) !== undefined)
      expect(held.length).toBeLessThanOrEqual(2 * half)
      expect(held).toContain(String(count - 1))
    }),
  )
})
