import { describe, expect, test } from 'vitest'

import { createPacer } from '../../src/network/pacer.ts'
import { sleep } from '../support/until.ts'

/** Time that passes when told; what is due runs in order. */
function setUp(...loads: number[]) {
  let nowMs = 0
  let pending: { atMs: number; run: () => void }[] = []
  const timers = {
    after(delayMs: number, run: () => void) {
      pending.push({ atMs: nowMs + delayMs, run })
      return () => {}
    },
  }
  const streams = loads.map((writeBufferLength) => ({ writeBufferLength }))
  const pacer = createPacer({ timers, streams: () => streams }, { aboveBytes: 100, messageMs: 50, patienceMs: 200 })
  const passed: number[] = []
  const pass = async (): Promise<void> => {
    await pacer.pass()
    passed.push(nowMs)
  }
  const advance = async (ms: number): Promise<void> => {
    const endMs = nowMs + ms
    await sleep(0)
    while (nowMs < endMs) {
      nowMs += 5
      const due = pending.filter(({ atMs }) => atMs <= nowMs)
      pending = pending.filter(({ atMs }) => atMs > nowMs)
      for (const { run } of due) run()
      await sleep(0)
    }
  }
  return { streams, passed, pass, advance }
}

describe('pacer', () => {
  test('nothing waits while the streams have room', async () => {
    const { passed, pass } = setUp(0, 100)
    await Promise.all([pass(), pass(), pass()])
    expect(passed).toEqual([0, 0, 0])
  })

  test('a message waits until a full stream has room, and only so long', async () => {
    const { streams, passed, pass, advance } = setUp(500, 0)
    void pass()
    void pass()
    await advance(30)
    expect(passed).toEqual([])
    streams[0]!.writeBufferLength = 100
    await advance(10)
    expect(passed.length).toBe(2)
    streams[0]!.writeBufferLength = 101
    void pass()
    void pass()
    await advance(60)
    expect(passed.length).toBe(3)
    await advance(60)
    expect(passed.length).toBe(4)
  })

  test('a stream that stays full is waited for no longer, until it had room again', async () => {
    const { streams, passed, pass, advance } = setUp(500)
    for (let index = 0; index < 20; index += 1) void pass()
    await advance(300)
    // Four waited 50 ms each; then patience was at its end.
    expect(passed.length).toBe(20)
    expect(passed[3]).toBeGreaterThanOrEqual(190)
    expect((passed[19] ?? 0) - (passed[3] ?? 0)).toBeLessThan(20)
    streams[0]!.writeBufferLength = 0
    await pass()
    streams[0]!.writeBufferLength = 500
    const before = passed.length
    void pass()
    await advance(30)
    expect(passed.length).toBe(before)
  })
})
