import { describe, expect, test } from 'vitest'

import { createPeerReputation } from '../../src/network/peer-reputation.ts'

const MINUTE_MS = 60_000

function reputationAt(startMs = 1_000_000) {
  const time = { nowMs: startMs }
  return { time, reputation: createPeerReputation({ clock: { now: () => time.nowMs } }) }
}

describe('the reputation of a peer', () => {
  test('falls with every offence, with the square; at the third it is cut off, others are not', () => {
    const { reputation } = reputationAt()
    expect(reputation.score('a')).toBe(0)
    expect(reputation.offence('a', 'negentropy')).toBe(false)
    expect(reputation.score('a')).toBeCloseTo(-10)
    expect(reputation.offence('a', 'negentropy')).toBe(false)
    expect(reputation.score('a')).toBeCloseTo(-40)
    expect(reputation.isRefused('a')).toBe(false)
    expect(reputation.offence('a', 'unasked_record')).toBe(true)
    expect(reputation.score('a')).toBeCloseTo(-90)
    expect(reputation.isRefused('a')).toBe(true)
    expect(reputation.isRefused('b')).toBe(false)
    expect(reputation.score('b')).toBe(0)
  })

  test('is refused for ten minutes, and cut off at once when it goes on', () => {
    const { reputation, time } = reputationAt()
    for (let count = 0; count < 3; count += 1) reputation.offence('a', 'negentropy')
    time.nowMs += 10 * MINUTE_MS - 1
    expect(reputation.isRefused('a')).toBe(true)
    time.nowMs += 1
    expect(reputation.isRefused('a')).toBe(false)
    expect(reputation.offence('a', 'negentropy')).toBe(false)
    expect(reputation.offence('a', 'negentropy')).toBe(true)
  })

  test('a clock that is set back lets it in again, and what it did fades from then on', () => {
    const { reputation, time } = reputationAt(4e12)
    for (let count = 0; count < 3; count += 1) reputation.offence('a', 'negentropy')
    time.nowMs = 1e12
    expect(reputation.isRefused('a')).toBe(false)
    expect(reputation.score('a')).toBeCloseTo(-90)
    time.nowMs += 10 * MINUTE_MS
    expect(reputation.score('a')).toBeCloseTo(-22.5)
  })

  test('offences far apart never cut off', () => {
    const { reputation, time } = reputationAt()
    for (let count = 0; count < 50; count += 1) {
      expect(reputation.offence('a', 'negentropy')).toBe(false)
      time.nowMs += 10 * MINUTE_MS
    }
  })

  test('silence weighs half as much as a lie', () => {
    const { reputation } = reputationAt()
    const verdicts = Array.from({ length: 6 }, () => reputation.offence('a', 'stalled'))
    expect(verdicts).toEqual([false, false, false, false, false, true])
  })

  test('a clock that is set back forgives nothing and does no harm', () => {
    const { reputation, time } = reputationAt()
    reputation.offence('a', 'negentropy')
    time.nowMs -= 500_000
    expect(reputation.score('a')).toBeCloseTo(-10)
  })

  test('of strangers without number, the last thousand are remembered', () => {
    const { reputation } = reputationAt()
    for (let peer = 0; peer < 5000; peer += 1) reputation.offence(`peer ${peer}`, 'negentropy')
    const known = Array.from({ length: 5000 }, (_, peer) => reputation.score(`peer ${peer}`) < 0)
    expect(known.filter(Boolean).length).toBe(1024)
    expect(known.at(-1)).toBe(true)
    expect(known[0]).toBe(false)
  })
})
