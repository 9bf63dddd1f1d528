import { describe, expect, test } from 'vitest'

import type { Timers } from '../../src/platform/environment.ts'
import { createOutbox } from '../../src/network/outbox.ts'
import type { OutboxLimits } from '../../src/network/outbox.ts'
import { encodeBatch } from '../../src/record/codec.ts'
import type { SignedRecord } from '../../src/record/types.ts'
import { record, recordingLogger } from './nodes.ts'
import { cpuMs } from '../support/cpu.ts'

/** Timers that go off when told. */
function handTimers(): Timers & { fire(): void; readonly delays: number[] } {
  let pending: { delayMs: number; run: () => void }[] = []
  return {
    get delays() {
      return pending.map(({ delayMs }) => delayMs)
    },
    after(delayMs, run) {
      const timer = { delayMs, run }
      pending.push(timer)
      return () => {
        pending = pending.filter((other) => other !== timer)
      }
    },
    fire() {
      for (const { run } of pending.splice(0)) run()
    },
  }
}

function setUp(limits: Partial<OutboxLimits> = {}, deliver: () => Promise<void> = async () => {}) {
  const timers = handTimers()
  const { logger, lines } = recordingLogger()
  const sent: (readonly SignedRecord[])[] = []
  let nowMs = 0
  const send = async (records: readonly SignedRecord[]): Promise<void> => {
    sent.push(records)
    await deliver()
  }
  const outbox = createOutbox(
    { timers, clock: { now: () => nowMs }, logger, send },
    { messageBytes: 1000, messageRecords: 100, delayMs: 5, queueBytes: 10_000, ...limits },
  )
  return {
    outbox,
    timers,
    sent,
    lines,
    settle: () => new Promise((resolve) => setImmediate(resolve)),
    pass: (ms: number) => (nowMs += ms),
  }
}

const ofSize = (name: string, bytes: number): SignedRecord => record(name.padEnd(bytes, '.'))

describe('outbox', () => {
  test('a lone record leaves at once; those that follow it within 5 ms share a message', async () => {
    const { outbox, timers, sent, pass, settle } = setUp()
    outbox.add([record('a')])
    expect(timers.delays).toEqual([0])
    timers.fire()
    await settle()
    pass(2)
    outbox.add([record('b'), record('c')])
    outbox.add([record('d')])
    await settle()
    expect(sent).toEqual([[record('a')]])
    expect(timers.delays).toEqual([3])
    timers.fire()
    await settle()
    expect(sent.slice(1)).toEqual([[record('b'), record('c'), record('d')]])
    expect(outbox.queuedBytes()).toBe(0)
    expect(timers.delays).toEqual([])
  })

  test('a full message leaves at once, the rest waits', async () => {
    const { outbox, timers, sent, settle } = setUp()
    const records = Array.from({ length: 7 }, (_, index) => ofSize(String(index), 200))
    outbox.add(records)
    await settle()
    expect(sent).toEqual([records.slice(0, 3), records.slice(3, 6)])
    for (const message of sent) expect(encodeBatch(message).byteLength).toBeLessThanOrEqual(1000)
    timers.fire()
    await settle()
    expect(sent.at(-1)).toEqual(records.slice(6))
  })

  test('a record larger than a message goes alone', async () => {
    const { outbox, timers, sent, settle } = setUp()
    outbox.add([record('small'), ofSize('large', 3000), record('after')])
    timers.fire()
    await settle()
    timers.fire()
    await settle()
    expect(sent.map((message) => message.length)).toEqual([1, 1, 1])
  })

  test('messages go one after the other, in order', async () => {
    const release: (() => void)[] = []
    const { outbox, sent, settle } = setUp({}, () => new Promise((resolve) => release.push(resolve)))
    outbox.add(Array.from({ length: 12 }, (_, index) => ofSize(String(index), 200)))
    await settle()
    expect(sent.length).toBe(1)
    release.shift()?.()
    await settle()
    expect(sent.length).toBe(2)
    expect(sent.flat()).toEqual(Array.from({ length: 6 }, (_, index) => ofSize(String(index), 200)))
  })

  test('when sending does not keep up, the oldest records are dropped, counted and logged once in a while', async () => {
    const { outbox, lines, sent, pass, settle } = setUp({}, () => new Promise(() => {}))
    const records = Array.from({ length: 100 }, (_, index) => ofSize(String(index), 200))
    for (const each of records) outbox.add([each])
    await settle()
    expect(outbox.queuedBytes()).toBeLessThanOrEqual(10_000)
    const kept = 100 - outbox.dropped() - sent.flat().length
    expect(kept).toBeGreaterThan(30)
    expect(lines.map(({ level, dropped }) => [level, dropped])).toEqual([[40, 1]])
    pass(10_000)
    outbox.add([ofSize('last', 200)])
    expect(lines.at(-1)?.['dropped_total']).toBe(outbox.dropped())
    expect(lines.length).toBe(2)
  })

  test('what cannot be sent is gone, and the next is sent', async () => {
    let fail = true
    const { outbox, timers, sent, settle } = setUp({}, async () => {
      if (fail) throw new Error('no')
    })
    outbox.add([record('a')])
    timers.fire()
    await settle()
    fail = false
    outbox.add([record('b')])
    timers.fire()
    await settle()
    expect(sent).toEqual([[record('a')], [record('b')]])
  })

  test('flush sends everything now', async () => {
    const { outbox, timers, sent } = setUp()
    outbox.add(Array.from({ length: 7 }, (_, index) => ofSize(String(index), 200)))
    await outbox.flush()
    expect(sent.flat().length).toBe(7)
    expect(timers.delays).toEqual([])
  })

  test('100,000 records cost the same each as 1,000', async () => {
    const flush = (records: number) => async () => {
      const { outbox, sent } = setUp({ queueBytes: 1e9 })
      outbox.add(Array.from({ length: records }, (_, index) => record(String(index))))
      await outbox.flush()
      expect(sent.flat().length).toBe(records)
    }
    await flush(10_000)()
    const few = await cpuMs(async () => {
      for (let turn = 0; turn < 100; turn += 1) await flush(1_000)()
    })
    // About the same here; a queue that shifts an array costs hundreds of times as much.
    expect(await cpuMs(flush(100_000))).toBeLessThan(5 * few)
  })
})
