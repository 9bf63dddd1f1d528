import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { createDoubts } from '../../src/follow/doubts.ts'
import { DEBT_MS, DOUBT_MS, MAX_DEBTS, MAX_DOUBTED_PEERS, UNCOMPARED_MS } from '../../src/follow/limits.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { payloadHead } from '../../src/record/payload-head.ts'
import { createWriter } from '../support/writer.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const [ours, other] = [createWriter('ours'), createWriter('other')]
const kept = new Set([ours.avatar, other.avatar])

/** A node that follows both avatars at the peer `a`, with which it was compared after that. */
function open({ isCompared = true } = {}) {
  const { clock, timers } = systemEnvironment()
  const told: string[] = []
  const doubts = createDoubts({
    clock,
    timers,
    avatarOf: (payload) => payloadHead(payload)?.avatar,
    comparedAtMs: () => (isCompared ? clock.now() : undefined),
    onDoubt: (peer) => void told.push(peer),
  })
  doubts.answered('a', kept)
  vi.advanceTimersByTime(1_000)
  return { ...doubts, told }
}

describe('a peer that says that it keeps an avatar', () => {
  it('is doubted if it does not send what sync brings, of that avatar alone, for a while', () => {
    const doubts = open()
    doubts.synced([ours.write({ a: 1 })])
    vi.advanceTimersByTime(DEBT_MS - 1)
    expect(doubts.told).toEqual([])
    vi.advanceTimersByTime(1)
    expect(doubts.told).toEqual(['a'])
    expect(doubts.isDoubted('a', ours.avatar)).toBe(true)
    expect(doubts.isDoubted('a', other.avatar)).toBe(false)
    doubts.ended('a')
    expect(doubts.isAnyDoubted('a')).toBe(true)
    vi.advanceTimersByTime(DOUBT_MS)
    expect(doubts.isAnyDoubted('a')).toBe(false)
  })

  it('is not doubted if it sends the record, before sync brings it or after', () => {
    const doubts = open()
    const [early, late] = [ours.write({ b: 1 }), ours.write({ b: 2 })]
    doubts.sent('a', [early])
    doubts.synced([early, late])
    vi.advanceTimersByTime(DEBT_MS - 1)
    doubts.sent('a', [late])
    vi.advanceTimersByTime(DEBT_MS)
    expect(doubts.told).toEqual([])
  })

  it('owes nothing that it may have had before the stream began', () => {
    const doubts = open({ isCompared: false })
    doubts.synced([ours.write({ c: 1 })])
    vi.advanceTimersByTime(UNCOMPARED_MS)
    expect(doubts.told).toEqual([])
    // No peer evades a doubt by never ending a comparison.
    doubts.synced([ours.write({ c: 2 })])
    vi.advanceTimersByTime(DEBT_MS)
    expect(doubts.told).toEqual(['a'])
  })

  it('is excused if it dropped records, once in a while', () => {
    const doubts = open({ isCompared: false })
    vi.advanceTimersByTime(UNCOMPARED_MS)
    const record = ours.write({ d: 1 })
    doubts.synced([record])
    doubts.excuse('a')
    vi.advanceTimersByTime(UNCOMPARED_MS + 1)
    expect(doubts.told).toEqual([])
    doubts.synced([ours.write({ d: 2 })])
    doubts.excuse('a')
    vi.advanceTimersByTime(DEBT_MS)
    expect(doubts.told).toEqual(['a'])
  })

  it('owes nothing once its stream has ended, or for avatars that it no longer keeps', () => {
    const doubts = open()
    doubts.synced([ours.write({ e: 1 })])
    doubts.answered('a', new Set([other.avatar]))
    doubts.synced([ours.write({ e: 2 }), other.write({ e: 1 })])
    doubts.ended('a')
    vi.advanceTimersByTime(DEBT_MS)
    expect(doubts.told).toEqual([])
  })
})

it('remembers a bounded number of debts and of doubted peers', () => {
  const doubts = open()
  const records = Array.from({ length: MAX_DEBTS + 1 }, (_, at) => ours.write({ f: at }))
  doubts.synced(records)
  // All but the last, which was not counted.
  doubts.sent('a', records.slice(0, MAX_DEBTS))
  vi.advanceTimersByTime(DEBT_MS)
  expect(doubts.told).toEqual([])
  const peers = Array.from({ length: MAX_DOUBTED_PEERS + 1 }, (_, at) => `p${at}`)
  for (const peer of peers) doubts.answered(peer, kept)
  vi.advanceTimersByTime(1_000)
  doubts.synced([ours.write({ g: 1 })])
  vi.advanceTimersByTime(DEBT_MS)
  expect([...peers, 'a'].filter((peer) => doubts.isAnyDoubted(peer))).toHaveLength(MAX_DOUBTED_PEERS)
})
