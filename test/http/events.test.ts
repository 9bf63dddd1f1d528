import { connect } from 'node:net'

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'

import { readEvents } from './event-reader.ts'
import type { EventReader, ReceivedEvent } from './event-reader.ts'
import { startHttpNode } from './node.ts'
import type { HttpNode } from './node.ts'
import { flood, newKey, postRecords, signedPatch, signedSnapshot } from './writer.ts'
import type { Written } from './writer.ts'
import { until } from '../support/until.ts'

let node: HttpNode
const open: EventReader[] = []

beforeAll(async () => {
  node = await startHttpNode({ limits: { heartbeatMs: 300 } })
})
afterEach(() => {
  for (const reader of open.splice(0)) reader.close()
})
afterAll(() => node.close())

async function listen(query = '', headers: Record<string, string> = {}, at: HttpNode = node): Promise<EventReader> {
  const reader = await readEvents(at.url(`/v2/events${query}`), headers)
  open.push(reader)
  return reader
}

const idsOf = (events: readonly { data: { id: string } }[]) => events.map(({ data }) => data.id)

function chain(key: ReturnType<typeof newKey>, length: number): Written[] {
  const records: Written[] = []
  for (let n = 0; n < length; n++) {
    records.push(signedPatch(key, { patch: { n }, prev: records.slice(-1).map(({ citation }) => citation) }))
  }
  return records
}

describe('GET /v2/events', () => {
  it('tells of changes as they happen', async () => {
    const key = newKey()
    const [first, second] = chain(key, 2)
    const reader = await listen()
    expect(reader.response.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'access-control-allow-origin': '*',
      'cache-control': 'no-store',
    })
    await until(() => reader.lastId() !== '', 'the stream has begun')
    expect(reader.head()).toContain('retry: ')
    await postRecords(node, [first!])
    await reader.until(1)
    const digest = (await node.json(`/v2/avatars/${key.avatar}`)).body.digest
    expect(reader.events[0]).toMatchObject({
      event: 'record',
      data: { avatar: key.avatar, id: first!.id, counter: 1, head: 1, digest },
    })
    await postRecords(node, [second!])
    await reader.until(2)
    expect(reader.events[1]!.data).toMatchObject({ id: second!.id, counter: 2, head: 2 })
  })

  it('tells of a write that a snapshot replaced without having seen it', async () => {
    const key = newKey()
    const [seen, unseen] = [signedPatch(key), signedPatch(key, { patch: { unseen: 1 } })]
    await postRecords(node, [seen, unseen])
    const reader = await listen(`?avatar=${key.uncompressed}`)
    const cursor = `${node.store.epoch}-${node.store.lastSequence()}`
    const snapshot = signedSnapshot(key, [seen.citation], [])
    await postRecords(node, [snapshot])
    const expected = [
      ['record', snapshot.id, 2, 2],
      ['superseded', unseen.id, 1, 2],
    ]
    const brief = ({ event, data }: ReceivedEvent) => [event, data.id, data.counter, data.head]
    expect((await reader.until(2)).map(brief)).toEqual(expected)
    const later = await listen(`?avatar=${key.avatar}&after=${cursor}`)
    expect((await later.until(2)).map(brief)).toEqual(expected)
  })

  it('tells of one avatar alone where asked', async () => {
    const [one, other] = [newKey(), newKey()]
    const reader = await listen(`?avatar=${one.avatar}`)
    await postRecords(node, [signedPatch(other), signedPatch(one), signedPatch(other, { patch: { b: 1 } })])
    await reader.until(1)
    // An event of the other avatar would be there before this one.
    await postRecords(node, [signedPatch(one, { patch: { c: 1 } })])
    await reader.until(2)
    expect(reader.events.map(({ data }) => data.avatar)).toEqual([one.avatar, one.avatar])
  })

  it('goes on after a cursor, from either place, exclusively', async () => {
    const key = newKey()
    const records = chain(key, 5)
    const reader = await listen(`?avatar=${key.avatar}`)
    await postRecords(node, records)
    await reader.until(5)
    const third = reader.events[2]!.id
    const expected = idsOf(reader.events).slice(3)
    const first = reader.events[0]!.id
    const after = await listen(`?avatar=${key.avatar}&after=${third}`)
    expect(idsOf(await after.until(2))).toEqual(expected)
    const again = await listen(`?after=${third}`, { 'last-event-id': third })
    expect(idsOf(await again.until(2))).toEqual(expected)
    // A reader that comes back repeats its first address, and knows more by then.
    const back = await listen(`?after=${first}`, { 'last-event-id': third })
    expect(idsOf(await back.until(2))).toEqual(expected)
  })

  it('leaves no gap between the stored feed and what happens now, and repeats nothing', async () => {
    const key = newKey()
    const start = await listen(`?avatar=${key.avatar}`)
    await until(() => start.lastId() !== '', 'the stream has begun')
    const cursor = start.lastId()
    const records = chain(key, 400)
    const readers: EventReader[] = []
    for (let at = 0; at < records.length; at += 10) {
      const [reader] = await Promise.all([
        listen(`?after=${cursor}${at % 20 === 0 ? '' : `&avatar=${key.avatar}`}`),
        postRecords(node, records.slice(at, at + 10)),
      ])
      readers.push(reader)
    }
    const expected = records.map(({ id }) => id)
    for (const reader of [start, ...readers]) expect(idsOf(await reader.until(400))).toEqual(expected)
    // What is repeated would be there before this one.
    const last = signedPatch(key, { patch: { last: 1 } })
    await postRecords(node, [last])
    for (const reader of [start, ...readers]) {
      expect(idsOf(await reader.until(401))).toEqual([...expected, last.id])
    }
  })

  it('moves the cursor of a silent stream along, so that it never grows old', async () => {
    const [one, other] = [newKey(), newKey()]
    const reader = await listen(`?avatar=${one.avatar}`)
    await postRecords(node, [signedPatch(other)])
    const sequence = node.store.lastSequence()
    await until(() => reader.lastId() === `${node.store.epoch}-${sequence}`, 'the last position arrived')
    expect(reader.events).toEqual([])
    await postRecords(node, [signedPatch(one)])
    const back = await listen(`?avatar=${one.avatar}`, { 'last-event-id': reader.lastId() })
    expect(await back.until(1)).toHaveLength(1)
  })

  it.each([
    ['of another epoch', () => `${'0'.repeat(15)}${node.store.epoch.endsWith('1') ? '2' : '1'}-1`],
    ['from the future', () => `${node.store.epoch}-${node.store.lastSequence() + 10}`],
  ])('says reset to a cursor %s, and goes on', async (_what, cursor) => {
    for (const [query, headers] of [
      [`?after=${cursor()}`, {}],
      ['', { 'last-event-id': cursor() }],
    ] as const) {
      const reader = await listen(query, headers)
      const [reset] = await reader.until(1)
      const now = `${node.store.epoch}-${node.store.lastSequence()}`
      expect(reset).toEqual({ id: now, event: 'reset', data: { cursor: now } })
      const record = signedPatch(newKey())
      await postRecords(node, [record])
      expect((await reader.until(2))[1]).toMatchObject({ event: 'record', data: { id: record.id } })
    }
  })

  it('says reset to a cursor older than the feed', async () => {
    const own = await startHttpNode({ feedEntries: 10 })
    try {
      // The feed is trimmed in strides of 10,000.
      for (let round = 0; round < 11; round++) await postRecords(own, flood(1000, round))
      const reader = await listen(`?after=${own.store.epoch}-1`, {}, own)
      const [first] = await reader.until(1)
      expect(first!.event).toBe('reset')
    } finally {
      await own.close()
    }
  })

  it.each(['after=x', 'after=0123', 'avatar=x', 'after=a&after=b'])('refuses %s', async (query) => {
    const { status, body } = await node.json(`/v2/events?${query}`)
    expect([status, typeof body.code]).toEqual([400, 'string'])
  })

  it('gives each address and all together a number of streams, and places back', async () => {
    const own = await startHttpNode({
      limits: { streams: { total: 3, perKey: 2, reserve: 1, small: 1 } },
      trustedProxies: ['none'],
    })
    try {
      const readers = [await listen('', {}, own), await listen('', {}, own)]
      const third = await own.json('/v2/events')
      expect([third.status, third.body.code]).toEqual([429, 'too_many_subscribers'])
      expect(Number(third.headers.get('retry-after'))).toBeGreaterThan(0)
      readers[0]!.close()
      await until(async () => {
        const { status, body } = await own.fetch('/v2/events')
        await body?.cancel()
        return status === 200
      }, 'the place is free again')
    } finally {
      await own.close()
    }
  })

  it('refuses beyond the number of all', async () => {
    const own = await startHttpNode({
      limits: { streams: { total: 1, perKey: 1, reserve: 0, small: 1 } },
      trustedProxies: ['none'],
    })
    try {
      await listen('', {}, own)
      const second = await own.json('/v2/events')
      expect([second.status, second.body.code]).toEqual([503, 'too_many_subscribers'])
    } finally {
      await own.close()
    }
  })

  it('cuts a reader that takes nothing, with little unsent, and serves the others', async () => {
    const maxBufferedBytes = 16 * 1024
    const own = await startHttpNode({ limits: { maxBufferedBytes, drainTimeoutMs: 3_000, idleTimeoutMs: 60_000 } })
    try {
      const reader = await listen('', {}, own)
      const stalled = connect({ port: own.port, host: '127.0.0.1' })
      stalled.on('error', () => {})
      stalled.write('GET /v2/events HTTP/1.1\r\nhost: x\r\n\r\n')
      stalled.pause()
      const streams = async () => (await own.json('/v2/status')).body.subscribers
      await until(async () => (await streams()) === 2, 'both streams are open')
      // More than the kernel's buffers of a loopback connection take. The reader, in this process too, reads between two rounds.
      let count = 0
      await until(
        async () => {
          if ((await streams()) === 1) return true
          if (count < 60_000) await postRecords(own, flood(500, count / 500))
          count = Math.min(60_000, count + 500)
          return false
        },
        'the other one is cut',
        150_000,
      )
      await reader.until(count)
      expect(reader.events).toHaveLength(count)
      stalled.destroy()
    } finally {
      await own.close()
    }
  })

  it('ends when the server stops', async () => {
    // Streams get no grace: with one, the stop would take longer than this test may.
    const own = await startHttpNode({ limits: { stopGraceMs: 3_600_000 } })
    const reader = await listen('', {}, own)
    await own.close()
    await expect(reader.ended).resolves.toBeUndefined()
  })
})
