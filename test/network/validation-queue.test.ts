import { describe, expect, test } from 'vitest'

import { createValidationQueue } from '../../src/network/validation-queue.ts'
import type { ValidationLimits } from '../../src/network/validation-queue.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { sleep } from '../support/until.ts'

function setUp(limits: Partial<ValidationLimits> = {}) {
  const calls: string[] = []
  const flow = {
    pause: (peer: string) => calls.push(`pause ${peer}`),
    resume: (peer: string) => calls.push(`resume ${peer}`),
  }
  const queue = createValidationQueue(
    { timers: systemEnvironment().timers, flow },
    {
      running: 4,
      runningPerPeer: 2,
      timeoutMs: 10_000,
      pauseAboveBytes: 100,
      pauseAboveMessages: 3,
      waitingPerPeer: 5,
      waitingBytes: 1000,
      ...limits,
    },
  )
  const started: string[] = []
  const release = new Map<string, () => void>()
  const add = (peer: string, name: string, bytes = 1): Promise<unknown> =>
    queue.run(peer, bytes, () => {
      started.push(name)
      return new Promise<string>((resolve) => release.set(name, () => resolve(name)))
    })
  const end = async (name: string): Promise<void> => {
    release.get(name)?.()
    await sleep(0)
  }
  return { queue, calls, started, add, end }
}

describe('validation queue', () => {
  test('peers take turns, each with its own bound', async () => {
    const { started, add, end } = setUp({ running: 3 })
    for (const name of ['a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'c1']) void add(name[0] ?? '', name)
    expect(started).toEqual(['a1', 'a2', 'b1'])
    await end('a1')
    await end('a2')
    await end('b1')
    expect(started.length).toBe(6)
    expect(started.slice(3).sort()).toEqual(expect.arrayContaining(['c1', 'b2']))
    await end('c1')
    await end('b2')
    await end('a3')
    expect(started.length).toBe(7)
  })

  test('answers and errors come through', async () => {
    const { queue } = setUp()
    await expect(queue.run('a', 1, async () => 42)).resolves.toBe(42)
    await expect(queue.run('a', 1, async () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    await expect(queue.run('a', 1, async () => 43)).resolves.toBe(43)
  })

  test('what takes too long frees its place', async () => {
    const { queue } = setUp({ running: 1, timeoutMs: 30 })
    const hanging = queue.run('a', 1, () => new Promise(() => {}))
    const next = queue.run('b', 1, async () => 'done')
    await expect(hanging).resolves.toBe('timeout')
    await expect(next).resolves.toBe('done')
  })

  test('a peer with much waiting is paused, and resumed when half is done', async () => {
    const { calls, add, end, queue } = setUp()
    for (const name of ['1', '2', '3', '4', '5']) void add('a', name)
    expect(calls).toEqual([])
    void add('a', '6')
    expect(calls).toEqual(['pause a'])
    expect(queue.waitingBytes()).toBe(4)
    await end('1')
    await end('2')
    expect(calls).toEqual(['pause a'])
    await end('3')
    await end('4')
    expect(calls).toEqual(['pause a', 'resume a'])
    await end('5')
    await end('6')
    expect(queue.waitingBytes()).toBe(0)
  })

  test('bytes count as well', async () => {
    const { calls, add } = setUp()
    for (const name of ['1', '2', '3']) void add('a', name, 60)
    expect(calls).toEqual([])
    void add('a', '4', 60)
    expect(calls).toEqual(['pause a'])
  })

  test('beyond the bounds nothing is taken', async () => {
    const { add, queue } = setUp()
    for (let index = 0; index < 7; index += 1) void add('a', String(index))
    await expect(add('a', 'one too many')).resolves.toBe('overloaded')
    for (const name of ['b1', 'b2', 'b3']) void add('b', name, 500)
    await expect(add('c', 'c1', 600)).resolves.toBe('overloaded')
    expect(queue.waitingBytes()).toBe(505)
    queue.stop()
    await expect(add('d', 'd1')).resolves.toBe('overloaded')
  })
})
