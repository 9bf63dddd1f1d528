import { expect, test } from 'vitest'

import { createMessageRate } from '../../src/network/message-rate.ts'

/** A clock, and timers that run when it passes them. */
function world() {
  let nowMs = 1_000_000
  const timers = new Set<{ atMs: number; run: () => void }>()
  const paused = new Set<string>()
  const rate = createMessageRate(
    {
      clock: { now: () => nowMs },
      timers: {
        after(delayMs, run) {
          const timer = { atMs: nowMs + delayMs, run }
          timers.add(timer)
          return () => timers.delete(timer)
        },
      },
      pause(peer) {
        paused.add(peer)
        return () => paused.delete(peer)
      },
    },
    { burst: 10, refillMs: 100, longestPauseMs: 5000 },
  )
  return {
    rate,
    paused,
    pass(ms: number) {
      nowMs += ms
      for (const timer of timers) {
        if (timer.atMs > nowMs) continue
        timers.delete(timer)
        timer.run()
      }
    },
  }
}

test('a peer within the rate is never paused', () => {
  const { rate, paused, pass } = world()
  for (let count = 0; count < 10; count += 1) rate.came('a', 'host')
  for (let count = 0; count < 1000; count += 1) {
    pass(100)
    rate.came('a', 'host')
    expect(paused.size).toBe(0)
  }
})

test('a peer beyond it is paused; what came all the same is paid for, up to a bound', () => {
  const { rate, paused, pass } = world()
  for (let count = 0; count < 11; count += 1) rate.came('a', 'host')
  expect([...paused]).toEqual(['a'])
  for (let count = 0; count < 20; count += 1) rate.came('a', 'host')
  pass(200)
  expect(paused.size).toBe(0)
  // Still 19 beyond what it may.
  rate.came('a', 'host')
  expect([...paused]).toEqual(['a'])
  pass(1900)
  expect(paused.size).toBe(1)
  pass(200)
  expect(paused.size).toBe(0)
  for (let count = 0; count < 1000; count += 1) rate.came('a', 'host')
  pass(5000)
  expect(paused.size).toBe(0)
})

test('peers of one host share its rate, others have their own', () => {
  const { rate, paused } = world()
  for (let count = 0; count < 6; count += 1) {
    rate.came('a', 'host')
    rate.came('b', 'host')
    rate.came('c', 'other')
  }
  expect([...paused].sort()).toEqual(['a', 'b'])
})
