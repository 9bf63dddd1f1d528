import { describe, expect, test } from 'vitest'

import { createStanding } from '../../src/network/standing.ts'

const MINUTE_MS = 60_000

function standingAt(startMs = 1_000_000) {
  const time = { nowMs: startMs }
  return { time, standing: createStanding({ clock: { now: () => time.nowMs } }) }
}

describe('the standing of a peer', () => {
  test('falls with every offence, with the square; at the third it is cut off, others are not', () => {
    const { standing } = standingAt()
    expect(standing.score('a')).toBe(0)
    expect(standing.offence('a', 'negentropy')).toBe(false)
    expect(standing.score('a')).toBeCloseTo(-10)
    expect(standing.offence('a', 'negentropy')).toBe(false)
    expect(standing.score('a')).toBeCloseTo(-40)
    expect(standing.isRefused('a')).toBe(false)
    expect(standing.offence('a', 'unasked_record')).toBe(true)
    expect(standing.score('a')).toBeCloseTo(-90)
    expect(standing.isRefused('a')).toBe(true)
    expect(standing.isRefused('b')).toBe(false)
    expect(standing.score('b')).toBe(0)
  })

  test('is refused for ten minutes, and cut off at once when it goes on', () => {
    const { standing, time } = standingAt()
    for (let count = 0; count < 3; count += 1) standing.offence('a', 'negentropy')
    time.nowMs += 10 * MINUTE_MS - 1
    expect(standing.isRefused('a')).toBe(true)
    time.nowMs += 1
    expect(standing.isRefused('a')).toBe(false)
    expect(standing.offence('a', 'negentropy')).toBe(false)
    expect(standing.offence('a', 'negentropy')).toBe(true)
  })

  test('a clock that is set back lets it in again, and what it did fades from then on', () => {
    const { standing, time } = standingAt(4e12)
    for (let count = 0; count < 3; count += 1) standing.offence('a', 'negentropy')
    time.nowMs = 1e12
    expect(standing.isRefused('a')).toBe(false)
    expect(standing.score('a')).toBeCloseTo(-90)
    time.nowMs += 10 * MINUTE_MS
    expect(standing.score('a')).toBeCloseTo(-22.5)
  })

  test('offences far apart never cut off', () => {
    const { standing, time } = standingAt()
    for (let count = 0; count < 50; count += 1) {
      expect(standing.offence('a', 'negentropy')).toBe(false)
      time.nowMs += 10 * MINUTE_MS
    }
  })

  test('silence weighs half as much as a lie', () => {
    const { standing } = standingAt()
    const verdicts = Array.from({ length: 6 }, () => standing.offence('a', 'stalled'))
    expect(verdicts).toEqual([false, false, false, false, false, true])
  })

  test('a clock that is set back forgives nothing and does no harm', () => {
    const { standing, time } = standingAt()
    standing.offence('a', 'negentropy')
    time.nowMs -= 500_000
    expect(standing.score('a')).toBeCloseTo(-10)
  })

  test('of strangers without number, the last thousand are remembered', () => {
    const { standing } = standingAt()
    for (let peer = 0; peer < 5000; peer += 1) standing.offence(`peer ${peer}`, 'negentropy')
    const known = Array.from({ length: 5000 }, (_, peer) => standing.score(`peer ${peer}`) < 0)
    expect(known.filter(Boolean).length).toBe(1024)
    expect(known.at(-1)).toBe(true)
    expect(known[0]).toBe(false)
  })
})
