import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { MAX_AHEAD_SECONDS } from '../../src/ingest/limits.ts'
import type { IngestResult, Origin } from '../../src/ingest/types.ts'
import type { SignedRecord } from '../../src/record/types.ts'
import { signBody, testKey, type TestRecord } from '../oracle/signing.ts'
import { entry, placeOf, Writer } from '../store/writer.ts'
import { forged, NOW_S, openDoor, patchAt, text, withV, type Door } from './door.ts'

const MAX_PENDING = 1_024
const MAX_INCOMPLETE = 16
const http = { origin: 'http' } as const
const gossip = { origin: 'gossip', atomic: true } as const

let door: Door
let writer: Writer
beforeEach(async () => {
  door = await openDoor()
  writer = new Writer(1)
})
afterEach(() => door.close())

const brief = (results: readonly IngestResult[]) => results.map(({ status, code }) => code ?? status)

describe('what becomes of a record', () => {
  test('stored: visible now', async () => {
    const record = writer.patch([], { a: 1 })
    expect(await door.ingest.submit([record], http)).toEqual([{ id: record.id, status: 'stored' }])
    expect(await door.store.summary(writer.avatar)).toMatchObject({ head: 1, tips: [placeOf(record)], pending: 0 })
  })

  test('pending: kept, though what it cites is not here; stored once that comes', async () => {
    const [first, second] = writer.chain(2) as [TestRecord, TestRecord]
    expect(await door.ingest.submit([second], http)).toEqual([{ id: second.id, status: 'pending' }])
    expect(await door.store.summary(writer.avatar)).toMatchObject({ head: 0, pending: 1, missing: { ids: [first.id] } })
    expect(brief(await door.ingest.submit([first], http))).toEqual(['stored'])
    expect(await door.store.summary(writer.avatar)).toMatchObject({ head: 2, pending: 0, missing: { total: 0 } })
  })

  test('a record is told how it stands once all that came with it is in', async () => {
    const [first, second, third] = writer.chain(3) as [TestRecord, TestRecord, TestRecord]
    expect(brief(await door.ingest.submit([third, second, first], http))).toEqual(['stored', 'stored', 'stored'])
  })

  test('duplicate: held already, whatever its signature', async () => {
    const record = writer.patch([])
    const other = withV(record, writer.key)
    expect(brief(await door.ingest.submit([record, record, other], http))).toEqual(['stored', 'duplicate', 'duplicate'])
    expect(await door.ingest.submit([record], gossip)).toEqual([{ id: record.id, status: 'duplicate' }])
    expect(door.store.totals().records).toBe(1)
  })

  test('superseded: below the base, not kept, and its author is told what to do', async () => {
    const [first, second] = writer.chain(2) as [TestRecord, TestRecord]
    const snapshot = writer.snapshot([second], [entry({ k: 1 })])
    expect(brief(await door.ingest.submit([first, second, snapshot], http))).toEqual([
      'superseded',
      'superseded',
      'stored',
    ])
    const late = writer.patch([], { late: true })
    const [result] = await door.ingest.submit([late], http)
    expect(result).toMatchObject({
      id: late.id,
      status: 'superseded',
      message: expect.stringContaining('current tips'),
    })
    expect(result?.code).toBeUndefined()
    expect(await door.store.record(late.id)).toBeUndefined()
  })

  test('a part waits for the snapshot that names it, and the snapshot for its parts', async () => {
    const part = writer.part(1, [entry({ k: 1 })])
    const snapshot = writer.snapshot([], [], [part.id])
    expect(brief(await door.ingest.submit([part], http))).toEqual(['pending'])
    expect(brief(await door.ingest.submit([snapshot], http))).toEqual(['stored'])
    expect(await door.store.record(part.id)).toMatchObject({ status: 'stored' })

    const other = new Writer(2)
    const missing = other.part(1)
    expect(brief(await door.ingest.submit([other.snapshot([], [], [missing.id])], http))).toEqual(['pending'])
    expect(brief(await door.ingest.submit([missing], http))).toEqual(['stored'])
  })
})

describe('what is refused, to be offered again', () => {
  test('created_at more than an hour ahead of this clock', async () => {
    const latest = patchAt(writer, NOW_S + MAX_AHEAD_SECONDS)
    const ahead = patchAt(writer, NOW_S + MAX_AHEAD_SECONDS + 1)
    const results = await door.ingest.submit([ahead, latest], http)
    expect(results).toEqual([
      { id: ahead.id, status: 'refused', code: 'created_at_ahead', retry: true, message: expect.any(String) },
      { id: latest.id, status: 'stored' },
    ])
    expect(await door.store.record(ahead.id)).toBeUndefined()
    // An atomic submission is whole as long as all of it is valid.
    expect(brief(await door.ingest.submit([ahead, writer.patch([])], gossip))).toEqual(['created_at_ahead', 'stored'])
  })

  test('the 1,025th pending record of an avatar, until one of them is pending no more', async () => {
    const root = writer.patch([])
    const waiting = Array.from({ length: MAX_PENDING + 1 }, (_, n) => writer.patch([root], { n }))
    const results = await door.ingest.submit(waiting, http)
    expect(new Set(brief(results.slice(0, MAX_PENDING)))).toEqual(new Set(['pending']))
    const last = waiting[MAX_PENDING] as TestRecord
    expect(results[MAX_PENDING]).toEqual({
      id: last.id,
      status: 'refused',
      code: 'too_many_pending',
      retry: true,
      message: expect.stringContaining('1,024'),
    })
    // Neither what heals the gap nor other avatars are held up by it.
    expect(brief(await door.ingest.submit([new Writer(2).patch([]), root, last], http))).toEqual([
      'stored',
      'stored',
      'stored',
    ])
    expect(await door.store.summary(writer.avatar)).toMatchObject({ pending: 0, records: MAX_PENDING + 2 })
  })

  test('the 17th incomplete snapshot of an avatar', async () => {
    const parts = Array.from({ length: MAX_INCOMPLETE + 1 }, () => writer.part(1))
    const snapshots = parts.map((part) => writer.snapshot([], [], [part.id]))
    const results = await door.ingest.submit(snapshots, http)
    expect(brief(results)).toEqual([...Array(MAX_INCOMPLETE).fill('pending'), 'too_many_incomplete'])
    expect(results[MAX_INCOMPLETE]).toMatchObject({ status: 'refused', retry: true, message: expect.any(String) })
    const [firstPart] = parts as [TestRecord]
    const last = snapshots[MAX_INCOMPLETE] as TestRecord
    expect(brief(await door.ingest.submit([firstPart, last], http))).toEqual(['stored', 'pending'])
    // A complete one is never refused.
    expect(brief(await door.ingest.submit([writer.snapshot([])], http))).toEqual(['stored'])
  })
})

describe('what is invalid', () => {
  const key = testKey(1)
  const good = new Writer(1).patch([], { a: 1 })
  const payload = new TextDecoder().decode(good.payload)
  const withPayload = (changed: string): SignedRecord => ({ payload: text(changed), signature: good.signature })
  const order = Buffer.from('fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141', 'hex')

  test.each<[code: string, record: SignedRecord]>([
    ['invalid_json', withPayload('{')],
    ['invalid_json', withPayload('')],
    ['invalid_utf8', { payload: Uint8Array.of(0xff), signature: good.signature }],
    ['not_an_object', withPayload('[]')],
    ['not_canonical', withPayload(` ${payload}`)],
    ['wrong_version', withPayload(payload.replace('"version":"2"', '"version":"3"'))],
    ['wrong_network', withPayload(payload.replace('"network":"main"', '"network":"test"'))],
    ['counter_not_next', signBody(key, { ...good.body, counter: 2 })],
    ['payload_too_large', { payload: new Uint8Array(262_145), signature: good.signature }],
    ['too_deep', withPayload('['.repeat(100_000))],
  ])('%s: refused by its bytes, without an id', async (code, record) => {
    const results = await door.ingest.submit([record], http)
    expect(results).toEqual([{ id: null, status: 'invalid', code, message: expect.any(String) }])
  })

  test('a bad signature over a sound payload: the id is told', async () => {
    const s = BigInt(`0x${Buffer.from(good.signature.subarray(32)).toString('hex')}`)
    const highS = (BigInt(`0x${order.toString('hex')}`) - s).toString(16).padStart(64, '0')
    const cases: [string, SignedRecord][] = [
      ['invalid_signature', forged(good)],
      ['invalid_signature', { ...good, signature: new Uint8Array(0) }],
      ['invalid_signature', { ...good, signature: new Uint8Array(64) }],
      ['invalid_signature', signBody(testKey(2), good.body)],
      ['high_s', { ...good, signature: Buffer.concat([good.signature.subarray(0, 32), Buffer.from(highS, 'hex')]) }],
    ]
    for (const [code, { payload: bytes, signature }] of cases) {
      const results = await door.ingest.submit([{ payload: bytes, signature }], http)
      expect(results).toEqual([{ id: good.id, status: 'invalid', code, message: expect.any(String) }])
    }
    expect(door.commits).toEqual([])
  })
})

test('one bad record does not stop the others, and each verdict stands in its place', async () => {
  const records = Array.from({ length: 9 }, (_, n) => new Writer(10 + n).patch([]))
  const offered: SignedRecord[] = [...records]
  offered[0] = { payload: text('{}'), signature: new Uint8Array(64) }
  offered[4] = forged(records[4] as TestRecord)
  offered[7] = patchAt(new Writer(30), NOW_S + 10_000)
  const results = await door.ingest.submit(offered, http)
  expect(brief(results)).toEqual([
    'wrong_version',
    'stored',
    'stored',
    'stored',
    'invalid_signature',
    'stored',
    'stored',
    'created_at_ahead',
    'stored',
  ])
  for (const at of [1, 2, 3, 5, 6, 8]) expect(results[at]?.id).toBe(records[at]?.id)
  expect(door.store.totals().records).toBe(6)
  expect(door.announced.map((each) => each.records.length)).toEqual([6])
  expect(await door.counts()).toEqual({ 'http stored': 6, 'http invalid': 2, 'http refused': 1 })
})

test('an atomic submission with an invalid record is refused as a whole and changes nothing', async () => {
  const [first, second] = writer.chain(2) as [TestRecord, TestRecord]
  const results = await door.ingest.submit([first, forged(second)], gossip)
  expect(results).toEqual([
    { id: first.id, status: 'refused', code: 'batch_invalid', retry: true, message: expect.any(String) },
    { id: second.id, status: 'invalid', code: 'invalid_signature', message: expect.any(String) },
  ])
  expect([door.commits, door.announced, door.store.lastSequence()]).toEqual([[], [], 0])
  expect(await door.counts()).toEqual({ 'gossip refused': 1, 'gossip invalid': 1 })
  expect(brief(await door.ingest.submit([first, second], gossip))).toEqual(['stored', 'stored'])
})

test('65 bytes of signature are taken from people and files, 64 alone between nodes', async () => {
  const record = writer.patch([])
  const long = withV(record, writer.key)
  for (const origin of ['gossip', 'sync'] as const) {
    expect(brief(await door.ingest.submit([long], { origin }))).toEqual(['invalid_signature'])
  }
  const flipped = Uint8Array.from(long.signature)
  flipped[64] = 55 - (flipped[64] ?? 0)
  const wrong = { payload: long.payload, signature: flipped }
  const origins: Origin[] = ['http', 'import']
  for (const origin of origins) {
    const [result] = await door.ingest.submit([wrong], { origin })
    expect(result).toMatchObject({ id: record.id, status: 'invalid', code: 'wrong_recovery' })
  }
  expect(brief(await door.ingest.submit([long], { origin: 'http' }))).toEqual(['stored'])
  expect(brief(await door.ingest.submit([long], { origin: 'import' }))).toEqual(['duplicate'])
  // v is dropped: what is stored and passed on has 64 bytes.
  expect((await door.store.record(record.id))?.signature).toHaveLength(64)
  expect(door.announced.flatMap(({ records }) => records.map(({ signature }) => signature.length))).toEqual([64])
})

test('what is new is announced once, with where it came from; nothing else is', async () => {
  const [first, second] = writer.chain(2) as [TestRecord, TestRecord]
  await door.ingest.submit([second], gossip)
  await door.ingest.submit([second, first], http)
  await door.ingest.submit([first, second], { origin: 'sync' })
  expect(door.announced.map(({ origin, records }) => [origin, records.map(({ payload }) => payload)])).toEqual([
    ['gossip', [second.payload]],
    ['http', [first.payload]],
  ])
  expect(await door.counts()).toEqual({
    'gossip pending': 1,
    'http duplicate': 1,
    'http stored': 1,
    'sync duplicate': 2,
  })
})

test('no records, no work', async () => {
  expect(await door.ingest.submit([], http)).toEqual([])
  expect(await door.ingest.submit([], gossip)).toEqual([])
  expect(door.commits).toEqual([])
})
