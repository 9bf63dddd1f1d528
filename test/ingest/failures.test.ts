import { afterEach, expect, test } from 'vitest'
import { IngestBusyError } from '../../src/ingest/errors.ts'
import type { IngestResult } from '../../src/ingest/types.ts'
import { Writer } from '../store/writer.ts'
import { forged, openDoor, type Door } from './door.ts'

let door: Door
afterEach(() => door.close())

const http = { origin: 'http' } as const
const statuses = (results: readonly IngestResult[]) => results.map(({ status }) => status)
const full = () => Promise.reject(new Error('the disk is full'))

test('a commit that fails once rejects its submitters, changes nothing, and the next one works', async () => {
  door = await openDoor({ beforeCommit: (call) => (call === 1 ? full() : undefined) })
  const [alice, bob] = [new Writer(1), new Writer(2)]
  const records = alice.chain(3)
  const outcomes = await Promise.allSettled([
    door.ingest.submit(records, http),
    door.ingest.submit([bob.patch([])], { origin: 'gossip', atomic: true }),
  ])
  expect(outcomes.map((outcome) => outcome.status === 'rejected' && String(outcome.reason))).toEqual([
    'Error: the disk is full',
    'Error: the disk is full',
  ])
  expect(door.commits).toEqual([4])
  expect(door.announced).toEqual([])
  expect(door.store.totals()).toEqual({ avatars: 0, records: 0, bytes: 0 })
  expect(await door.waiting()).toBe(0)

  expect(statuses(await door.ingest.submit(records, http))).toEqual(['stored', 'stored', 'stored'])
  expect(await door.counts()).toEqual({ 'http stored': 3 })
})

test('a commit that fails after it wrote loses nothing: offered again, the record is a duplicate', async () => {
  door = await openDoor({
    afterCommit(call) {
      if (call === 1) throw new Error('no answer from the disk')
    },
  })
  const record = new Writer(1).patch([])
  await expect(door.ingest.submit([record], http)).rejects.toThrow('no answer from the disk')
  expect(statuses(await door.ingest.submit([record], http))).toEqual(['duplicate'])
})

test('where one of several commits fails, what the others stored is announced all the same', async () => {
  door = await openDoor({
    limits: { verifyRecords: 2, commitRecords: 2 },
    beforeCommit: (call) => (call === 2 ? full() : undefined),
  })
  const records = [1, 2, 3, 4, 5].map((seed) => new Writer(seed).patch([]))
  await expect(door.ingest.submit(records, http)).rejects.toThrow('the disk is full')
  const kept = [records[0], records[1], records[4]].map((record) => record?.payload)
  expect(door.announced.flatMap((each) => each.records.map(({ payload }) => payload))).toEqual(kept)
  expect(door.store.totals().records).toBe(3)
  expect(statuses(await door.ingest.submit(records, http))).toEqual([
    'duplicate',
    'duplicate',
    'stored',
    'stored',
    'duplicate',
  ])
})

test('stop waits for the rest of a submission of which a part has failed', async () => {
  let open = 0
  door = await openDoor({
    limits: { verifyRecords: 1, commitRecords: 1 },
    async beforeCommit(call) {
      if (call === 1) throw new Error('the disk is full')
      open += 1
      await new Promise((resolve) => setTimeout(resolve, 20))
      open -= 1
    },
  })
  const submitted = door.ingest.submit(new Writer(1).chain(4), http).catch((error: unknown) => error)
  while (door.commits.length < 2) await new Promise((resolve) => setTimeout(resolve, 1))
  expect(await door.waiting()).toBe(4)
  await door.ingest.stop()
  expect([open, door.commits.length]).toEqual([0, 4])
  expect(await submitted).toBeInstanceOf(Error)
  expect(await door.waiting()).toBe(0)
})

test('a store that is closed underneath makes submissions fail clearly, and stop ends all the same', async () => {
  door = await openDoor()
  const writer = new Writer(1)
  await door.store.close()
  for (const record of [writer.patch([]), writer.patch([], { again: true })]) {
    await expect(door.ingest.submit([record], http)).rejects.toThrow(/not open/)
  }
  // What needs no store is still judged.
  expect(statuses(await door.ingest.submit([forged(writer.patch([]))], http))).toEqual(['invalid'])
  expect(await door.waiting()).toBe(0)
  await door.ingest.stop()
})

test('an announcement that throws does not turn a stored record into an error', async () => {
  door = await openDoor({
    announce() {
      throw new Error('no network')
    },
  })
  const writer = new Writer(1)
  const records = writer.chain(2)
  expect(statuses(await door.ingest.submit(records, http))).toEqual(['stored', 'stored'])
  expect(door.lines).toMatchObject([{ level: 50, err: { message: 'no network' } }])
  expect(await door.counts()).toEqual({ 'http stored': 2 })
  expect(statuses(await door.ingest.submit([writer.patch(records.slice(1))], http))).toEqual(['stored'])
})

test('while large invalid records are named, others get their turn', async () => {
  door = await openDoor()
  const large = forged(new Writer(1).patch([], { text: 'x'.repeat(261_000) }))
  const records = Array.from({ length: 40 }, () => large)
  let turns = 0
  const beat = setInterval(() => {
    turns += 1
  }, 1)
  const results = await door.ingest.submit(records, http)
  clearInterval(beat)
  expect(new Set(results.map(({ id, code }) => `${id} ${code}`)).size).toBe(1)
  expect(results[0]).toMatchObject({ status: 'invalid', code: 'invalid_signature', id: expect.stringMatching(/^0x/) })
  // Each takes above 10 ms.
  expect(turns).toBeGreaterThan(records.length / 2)
})

test('stop waits for invalid records that are being named', async () => {
  door = await openDoor()
  const large = forged(new Writer(1).patch([], { text: 'x'.repeat(200_000) }))
  const submitted = door.ingest.submit([large, large, large, large], http)
  await door.ingest.stop()
  expect(await door.waiting()).toBe(0)
  expect(statuses(await submitted)).toEqual(['invalid', 'invalid', 'invalid', 'invalid'])
})

test('stop finishes what was taken and takes nothing more', async () => {
  door = await openDoor({ beforeCommit: () => new Promise((resolve) => setTimeout(resolve, 30)) })
  const writer = new Writer(1)
  const [first, second] = [writer.patch([]), writer.patch([], { second: true })]
  let answered = false
  const taken = door.ingest.submit([first], http).then((results) => {
    answered = true
    return results
  })
  const stopped = door.ingest.stop()
  const refused = await door.ingest.submit([second], http).catch((error: unknown) => error)
  expect(refused).toBeInstanceOf(IngestBusyError)
  expect(answered).toBe(false)
  await stopped
  expect(door.store.totals().records).toBe(1)
  expect(statuses(await taken)).toEqual(['stored'])
  await expect(door.ingest.submit([second], http)).rejects.toThrow(IngestBusyError)
  expect(await door.store.record(second.id)).toBeUndefined()
})
