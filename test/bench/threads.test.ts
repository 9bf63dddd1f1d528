import { expect, test } from 'vitest'
import { rateOn } from './threads.ts'

test('the busiest thread sets the rate, or the cores together', () => {
  const cpu = { main: 50, verification: 70, leveldb: 10, pool: 20 }
  // 150 µs on one core.
  expect(rateOn(1, cpu)).toBeCloseTo(1e6 / 150)
  // 75 µs of each of two cores.
  expect(rateOn(2, cpu)).toBeCloseTo(1e6 / 75)
  // From there the main thread, whatever the cores.
  expect(rateOn(4, cpu)).toBeCloseTo(1e6 / 50)
  expect(rateOn(8, cpu)).toBeCloseTo(1e6 / 50)
})

test('four threads verify at most', () => {
  const cpu = { main: 10, verification: 200, leveldb: 0, pool: 0 }
  expect(rateOn(2, cpu)).toBeCloseTo(1e6 / 105)
  expect(rateOn(16, cpu)).toBeCloseTo(1e6 / 50)
})

test('one thread of LevelDB compacts', () => {
  expect(rateOn(8, { main: 10, verification: 10, leveldb: 40, pool: 10 })).toBeCloseTo(1e6 / 40)
})
