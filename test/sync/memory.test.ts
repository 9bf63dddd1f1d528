import { describe, expect, test } from 'vitest'
import { BulkLease, bulkStart, wantsBulk } from '../../src/sync/bootstrap.ts'
import { payloadHead } from '../../src/record/payload-head.ts'
import { PeerTable } from '../../src/sync/peers.ts'
import { createRefusals } from '../../src/sync/refusals.ts'
import { Writer } from '../store/writer.ts'

/** A clock and timers that stand still until they are moved. */
function standing() {
  let nowMs = 1_000_000
  let timers: { at: number; run: () => void }[] = []
  return {
    clock: { now: () => nowMs },
    timers: {
      after(delayMs: number, run: () => void) {
        const timer = { at: nowMs + delayMs, run }
        timers.push(timer)
        return () => {
          timers = timers.filter((each) => each !== timer)
        }
      },
    },
    pass(ms: number) {
      const end = nowMs + ms
      for (;;) {
        const next = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
        if (next === undefined) break
        timers = timers.filter((each) => each !== next)
        nowMs = next.at
        next.run()
      }
      nowMs = end
    },
  }
}

describe('refusals', () => {
  test('block until their time, then less and less often', () => {
    const { clock, pass } = standing()
    const refusals = createRefusals(clock)
    expect(refusals.blocks('a')).toBe(false)
    refusals.forAWhile('a')
    expect(refusals.retrySeconds('a')).toBe(60)
    pass(59_999)
    expect(refusals.blocks('a')).toBe(true)
    pass(1)
    expect(refusals.blocks('a')).toBe(false)
    for (const seconds of [120, 240, 480, 600, 600]) {
      refusals.forAWhile('a')
      expect(refusals.retrySeconds('a')).toBe(seconds)
      pass(seconds * 1_000)
    }
    refusals.forget('a')
    expect(refusals.forAWhile('a')).toBe(1)
  })

  test('for good, until a moment, and cleared', () => {
    const { clock, pass } = standing()
    const refusals = createRefusals(clock)
    refusals.forever('a')
    refusals.until('b', clock.now() + 500)
    pass(499)
    expect([refusals.blocks('a'), refusals.blocks('b')]).toEqual([true, true])
    expect([refusals.retrySeconds('a'), refusals.retrySeconds('b')]).toEqual([0, 1])
    pass(1e12)
    expect([refusals.blocks('a'), refusals.blocks('b')]).toEqual([true, false])
    refusals.clear()
    expect(refusals.blocks('a')).toBe(false)
  })

  test('a clock that is set back does not make them last: only what is dated by it waits for it', () => {
    let nowMs = 4e12
    const refusals = createRefusals({ now: () => nowMs })
    refusals.forAWhile('a')
    refusals.during('b', 5_000)
    refusals.until('c', nowMs + 5_000)
    expect(['a', 'b', 'c'].map((key) => refusals.retrySeconds(key))).toEqual([60, 5, 5])
    nowMs -= 1_000
    expect(['a', 'b', 'c'].map((key) => refusals.blocks(key))).toEqual([false, false, true])
    expect(refusals.forAWhile('b')).toBe(1)
  })

  test('are bounded: the ones unused for longest go first', () => {
    const refusals = createRefusals(standing().clock, 3)
    for (const key of ['a', 'b', 'c']) refusals.forever(key)
    expect(refusals.blocks('a')).toBe(true)
    refusals.forever('d')
    expect(['a', 'b', 'c', 'd'].filter((key) => refusals.blocks(key))).toEqual(['a', 'c', 'd'])
    expect(refusals.size).toBe(3)
  })
})

describe('bootstrap', () => {
  const mark = { timestamp: 500, id: new Uint8Array(0) }
  const start = { timestamp: 0, id: new Uint8Array(0) }
  const unmarked = { mark: null, oursBelow: 0, theirsBelow: 0 }

  test.each([
    ['both empty', { ours: 0, theirs: 0, ...unmarked }, null],
    ['empty', { ours: 0, theirs: 1, ...unmarked }, start],
    ['empty, whatever the mark says', { ours: 0, theirs: 9, mark, oursBelow: 0, theirsBelow: 9 }, start],
    ['a few less', { ours: 10, theirs: 500, ...unmarked }, null],
    ['much less', { ours: 100, theirs: 100_000, ...unmarked }, start],
    ['half', { ours: 50_000, theirs: 100_000, ...unmarked }, null],
    ['more', { ours: 100_000, theirs: 10, ...unmarked }, null],
    ['half, marked', { ours: 50_000, theirs: 100_000, mark, oursBelow: 50_000, theirsBelow: 50_010 }, mark],
    [
      'half, and newer ones meanwhile',
      { ours: 50_500, theirs: 100_000, mark, oursBelow: 50_000, theirsBelow: 50_000 },
      mark,
    ],
    [
      'marked, but most came otherwise',
      { ours: 90_000, theirs: 100_000, mark, oursBelow: 50_000, theirsBelow: 50_000 },
      null,
    ],
    [
      'a mark that another peer made too high',
      { ours: 1_000, theirs: 100_000, mark, oursBelow: 900, theirsBelow: 99_000 },
      start,
    ],
  ])('%s', (_, counts, from) => {
    expect(bulkStart(counts)).toEqual(from)
  })

  test('who lacks little lets itself be called', () => {
    expect(wantsBulk(0, 100, null)).toBe(false)
    expect(wantsBulk(0, 2_000, null)).toBe(true)
    expect(wantsBulk(50_000, 60_000, null)).toBe(false)
    expect(wantsBulk(50_000, 60_000, mark)).toBe(true)
    expect(wantsBulk(60_000, 50_000, mark)).toBe(false)
  })

  test('one peer at a time, as long as it brings something', () => {
    const { timers, pass } = standing()
    const lease = new BulkLease(timers)
    expect(lease.take('a')).toBe(true)
    expect(lease.take('b')).toBe(false)
    lease.brought('a', 70_000)
    pass(5_000)
    expect(lease.take('b')).toBe(false)
    lease.brought('b', 1e6)
    lease.brought('a', 60_000)
    pass(5_000)
    expect(lease.take('b')).toBe(true)
    lease.release('a')
    expect(lease.isFreeFor('c')).toBe(false)
    lease.release('b')
    expect(lease.take('c')).toBe(true)
    // Its own window, not the last one's.
    pass(4_999)
    expect(lease.take('d')).toBe(false)
  })
})

describe('peers', () => {
  test('may call often, but not without end', () => {
    const { clock, pass } = standing()
    const peer = new PeerTable(clock).get('a')
    expect(Array.from({ length: 9 }, () => peer.mayCall())).toEqual([...Array.from({ length: 8 }, () => true), false])
    pass(1_000)
    expect([peer.mayCall(), peer.mayCall()]).toEqual([true, false])
    pass(-1e9)
    pass(1e9 + 3_600_000)
    expect(Array.from({ length: 9 }, () => peer.mayCall())).toEqual([...Array.from({ length: 8 }, () => true), false])
  })

  test('that are gone are forgotten, those that are connected are not', () => {
    const table = new PeerTable(standing().clock)
    for (let at = 0; at < 400; at += 1) table.get(`connected ${at}`).isConnected = true
    for (let at = 0; at < 400; at += 1) table.get(`gone ${at}`)
    expect(table.connected().length).toBe(400)
    expect(table.all().length).toBe(400 + 257)
  })
})

test('the head of every kind of payload', () => {
  const writer = new Writer(1)
  for (const { payload, body } of [writer.patch([]), writer.snapshot([]), writer.part(7)]) {
    expect(payloadHead(payload)).toEqual({ avatar: body.avatar, counter: body.counter, createdAt: body.created_at })
  }
  expect(payloadHead(new Uint8Array(0))).toBeUndefined()
  expect(payloadHead(new TextEncoder().encode('{"avatar":"0x","counter":1,"created_at":1,'))).toBeUndefined()
})
