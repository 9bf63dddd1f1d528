import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { IngestBusyError } from '../../src/ingest/errors.ts'
import type { IngestResult } from '../../src/ingest/types.ts'
import { naiveFold } from '../oracle/naive-fold.ts'
import type { TestRecord } from '../oracle/signing.ts'
import { Writer } from '../store/writer.ts'
import { forged, openAt, openDoor, type Door } from './door.ts'
import { viewOf } from '../store/read-whole.ts'

let door: Door
afterEach(() => door.close())

const http = { origin: 'http' } as const
const statuses = (results: readonly IngestResult[]) => results.map(({ status }) => status)

describe('writers at the same time', () => {
  test('two devices of one avatar, 200 forks and links of chains, lose nothing', async () => {
    door = await openDoor({ limits: { verifyRecords: 7, commitRecords: 7 } })
    const writer = new Writer(1)
    // The left one writes a chain; the right one forks off the left one's records, now and then merging.
    const left: TestRecord[] = []
    const right: TestRecord[] = []
    for (let n = 0; n < 100; n += 1) {
      left.push(writer.patch(left.slice(-1), { left: n, both: `left ${n}`, [`l${n}`]: true }))
      const cited = n % 5 === 0 ? [...left.slice(-1), ...right.slice(-1)] : left.slice(-3, -2)
      right.push(writer.patch(cited, { right: n, both: `right ${n}`, [`r${n}`]: true }))
    }
    const answers = await Promise.all(
      left.flatMap((each, n) => [
        door.ingest.submit([right[n] as TestRecord], http),
        door.ingest.submit([each], { origin: 'gossip', atomic: true }),
      ]),
    )
    for (const status of answers.flatMap(statuses)) expect(['stored', 'pending']).toContain(status)

    const expected = naiveFold(writer.avatar, [...left, ...right])
    expect(expected).toMatchObject({ pending: 0, live: 200 })
    const view = await viewOf(door.store, writer.avatar)
    expect(view?.summary).toMatchObject({ records: 200, pending: 0, head: expected.head, digest: expected.digest })
    expect(JSON.parse(view?.namespaces[0]?.json ?? '')).toEqual(expected.namespaces[0]?.content)
    expect(door.announced.flatMap(({ records }) => records)).toHaveLength(200)
  })

  test('of one record offered by many at once, one is told that it is new', async () => {
    door = await openDoor({ limits: { verifyRecords: 3, commitRecords: 3 } })
    const record = new Writer(1).patch([])
    const answers = await Promise.all(Array.from({ length: 20 }, () => door.ingest.submit([record], http)))
    expect(answers.flatMap(statuses).toSorted()).toEqual([...Array(19).fill('duplicate'), 'stored'])
    expect(door.announced).toHaveLength(1)
  })

  test('those that wait at the same time share commits', async () => {
    door = await openDoor()
    const records = Array.from({ length: 500 }, (_, seed) => new Writer(seed).patch([]))
    const answers = await Promise.all(records.map((record) => door.ingest.submit([record], http)))
    expect(new Set(answers.flatMap(statuses))).toEqual(new Set(['stored']))
    expect(door.commits.reduce((sum, count) => sum + count, 0)).toBe(500)
    expect(door.commits.length).toBeLessThanOrEqual(10)
  })

  test('a lone writer waits for nobody', async () => {
    door = await openDoor()
    const writer = new Writer(1)
    for (const record of writer.chain(5)) await door.ingest.submit([record], http)
    expect(door.commits).toEqual([1, 1, 1, 1, 1])
  })

  test('a commit holds no more than its bounds', async () => {
    door = await openDoor({ limits: { verifyRecords: 4, commitRecords: 4, batchBytes: 2_500 } })
    const small = Array.from({ length: 9 }, (_, seed) => new Writer(seed).patch([]))
    const large = [20, 21, 22].map((seed) => new Writer(seed).patch([], { text: 'x'.repeat(2_000) }))
    await door.ingest.submit([...small, ...large], http)
    expect(door.commits).toEqual([4, 4, 1, 1, 1, 1])
  })
})

describe('a full door', () => {
  const busy = async (submission: Promise<IngestResult[]>): Promise<IngestBusyError> => {
    const error = await submission.catch((reason: unknown) => reason)
    if (!(error instanceof IngestBusyError)) throw new Error(`not busy: ${String(error)}`)
    return error
  }

  test('takes nothing of what is too many records, and works again afterwards', async () => {
    door = await openDoor({ limits: { waitingRecords: 10 } })
    const taken = Array.from({ length: 8 }, (_, seed) => new Writer(seed).patch([]))
    const extra = [100, 101, 102].map((seed) => new Writer(seed).patch([]))
    const waiting = door.ingest.submit(taken, http)
    const error = await busy(door.ingest.submit(extra, http))
    expect(error).toMatchObject({ code: 'busy', retryAfterSeconds: 1 })
    // Two still fit.
    const [first, second] = await Promise.all([waiting, door.ingest.submit(extra.slice(0, 2), http)])
    expect(new Set(statuses([...first, ...second]))).toEqual(new Set(['stored']))
    expect(await door.store.record(extra[2]?.id ?? '0x')).toBeUndefined()
    expect(await door.counts()).toEqual({ 'http stored': 10 })
    expect(await door.waiting()).toBe(0)
    expect(statuses(await door.ingest.submit(extra, http))).toEqual(['duplicate', 'duplicate', 'stored'])
  })

  test('counts bytes, those of signatures too', async () => {
    door = await openDoor({ limits: { waitingBytes: 10_000 } })
    const record = new Writer(1).patch([], { text: 'x'.repeat(6_000) })
    const waiting = door.ingest.submit([record], http)
    await busy(door.ingest.submit([new Writer(2).patch([], { text: 'x'.repeat(6_000) })], http))
    const stuffed = { payload: new Uint8Array(0), signature: new Uint8Array(6_000) }
    await busy(door.ingest.submit([stuffed], { origin: 'gossip', atomic: true }))
    expect(statuses(await waiting)).toEqual(['stored'])
    expect(statuses(await door.ingest.submit([stuffed], http))).toEqual(['invalid'])
  })

  test('takes one submission of any size while it is empty: its sender has bounded it', async () => {
    door = await openDoor({ limits: { waitingRecords: 4 } })
    const chain = new Writer(1).chain(20)
    expect(new Set(statuses(await door.ingest.submit(chain, http)))).toEqual(new Set(['stored']))
  })

  test('has room for a host that sends little while others fill it', async () => {
    door = await openDoor({ limits: { waitingRecords: 16 } })
    const { ingest } = door
    const from = (key: string) => ({ ...http, source: { key } })
    const writes = (seed: number, count: number) =>
      Array.from({ length: count }, (_, n) => new Writer(seed + n).patch([]))
    const first = ingest.submit(writes(0, 8), from('greedy'))
    await busy(ingest.submit(writes(100, 1), from('greedy')))
    const second = ingest.submit(writes(200, 8), from('greedy too'))
    await busy(ingest.submit(writes(300, 2), from('a third')))
    const modest = [1, 2, 3, 4].map((n) => ingest.submit(writes(400 + n, 1), from(`modest ${n}`)))
    await busy(ingest.submit(writes(500, 1), from('modest 5')))
    const results = await Promise.all([first, second, ...modest])
    expect(new Set(statuses(results.flat()))).toEqual(new Set(['stored']))
    expect(statuses(await ingest.submit(writes(500, 1), from('modest 5')))).toEqual(['stored'])
  })

  test('gives the places of invalid records back', async () => {
    door = await openDoor({ limits: { waitingRecords: 2 } })
    const bad = forged(new Writer(1).patch([]))
    for (let round = 0; round < 5; round += 1) await door.ingest.submit([bad, bad], http)
    expect(await door.waiting()).toBe(0)
  })
})

test('acknowledged means on disk: a copy of the files as they are then has the record', async () => {
  door = await openDoor()
  const writer = new Writer(1)
  const records = writer.chain(10)
  for (const [n, record] of records.entries()) {
    await door.ingest.submit([record], http)
    if (n % 3 !== 0) continue
    const location = join(door.directory, `copy-${n}`)
    await cp(door.location, location, { recursive: true })
    const copy = await openAt(location)
    const found = await copy.record(record.id)
    expect([found && Uint8Array.from(found.payload), found?.status]).toEqual([record.payload, 'stored'])
    expect(await copy.summary(writer.avatar)).toMatchObject({ head: n + 1, records: n + 1 })
    await copy.close()
  }
})
