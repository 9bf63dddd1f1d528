import { describe, expect, test } from 'vitest'

import { createMessageCache } from '../../src/network/message-cache.ts'

const text = (id: Uint8Array): string => Buffer.from(id).toString('hex')

function setUp() {
  const cache = createMessageCache(
    { maxBytes: 1000, heartbeats: 5, advertised: 3, answerBytes: 300, answerMessages: 4 },
    text,
  )
  const put = (id: number, bytes: number, topic = 't'): boolean =>
    cache.put({ msgId: Uint8Array.of(id), msgIdStr: text(Uint8Array.of(id)) }, { topic, data: new Uint8Array(bytes) })
  const ask = (id: number, peer: string): number | undefined =>
    cache.getWithIWantCount(text(Uint8Array.of(id)), peer)?.count
  const advertised = (): number[] => [...(cache.getGossipIDs(new Set(['t'])).get('t') ?? [])].map(([id]) => id ?? -1)
  return { cache, put, ask, advertised }
}

describe('message cache', () => {
  test('keeps messages for five heartbeats and advertises them for three', () => {
    const { cache, put, ask, advertised } = setUp()
    expect(put(1, 10)).toBe(true)
    expect(put(1, 10)).toBe(false)
    expect(cache.get(Uint8Array.of(1))?.topic).toBe('t')
    for (let heartbeat = 1; heartbeat <= 2; heartbeat += 1) cache.shift()
    expect(advertised()).toEqual([1])
    cache.shift()
    expect(advertised()).toEqual([])
    cache.shift()
    expect(ask(1, 'p')).toBe(1)
    cache.shift()
    expect(ask(1, 'p')).toBeUndefined()
    expect(cache.size).toBe(0)
  })

  test('never keeps more bytes than allowed; the oldest go first', () => {
    const { cache, put } = setUp()
    for (let id = 0; id < 20; id += 1) put(id, 200)
    expect([...cache.msgs.values()].map(({ msgId }) => msgId[0])).toEqual([15, 16, 17, 18, 19])
    cache.remove(text(Uint8Array.of(15)))
    put(20, 200)
    expect(cache.size).toBe(5)
    expect(put(21, 301)).toBe(false)
  })

  test('gives one peer no more than fits a frame between two heartbeats', () => {
    const { cache, put, ask } = setUp()
    for (const id of [1, 2, 3]) put(id, 140)
    expect([ask(1, 'p'), ask(2, 'p'), ask(3, 'p')]).toEqual([1, 1, undefined])
    expect(ask(3, 'q')).toBe(1)
    cache.shift()
    expect([ask(3, 'p'), ask(1, 'p')]).toEqual([1, 2])
    cache.shift()
    for (const id of [11, 12, 13, 14, 15]) put(id, 1)
    expect([11, 12, 13, 14, 15].map((id) => ask(id, 'p'))).toEqual([1, 1, 1, 1, undefined])
  })

  test('advertises the newest, no more than it would give', () => {
    const { put, advertised } = setUp()
    for (let id = 0; id < 5; id += 1) put(id, 140)
    put(9, 10, 'other')
    expect(advertised()).toEqual([4, 3])
    for (let id = 10; id < 20; id += 1) put(id, 1)
    expect(advertised()).toEqual([19, 18, 17, 16])
  })
})
