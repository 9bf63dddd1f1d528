import { describe, expect, test } from 'vitest'
import { IngestBusyError } from '../../src/ingest/errors.ts'
import { RetryBuffer, submitWithRetry } from '../../src/ingest/retry.ts'
import { Intake } from '../../src/sync/intake.ts'
import { createRefusals } from '../../src/sync/refusals.ts'
import { idKey } from '../../src/sync/ids.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import type { TestRecord } from '../oracle/signing.ts'
import { Writer } from '../store/writer.ts'
import { openDoor } from './door.ts'

interface Item {
  readonly record: TestRecord
}

const records = new Writer(7).chain(40)
const falling = records.toReversed()
const bytesOf = (some: readonly TestRecord[]): number => some.reduce((sum, { payload }) => sum + payload.length, 0)
const idsOf = (items: readonly Item[]): string[] => items.map(({ record }) => record.id)
const ids = records.map(({ id }) => id)

describe('the retry buffer', () => {
  test.each([
    ['bytes', { maxRecords: 1_000, maxBytes: bytesOf(records.slice(0, 16)) }],
    ['records', { maxRecords: 16, maxBytes: 1_000_000 }],
  ])('holds the least counters that fit, whatever came first, and names the others: %s', (_, limits) => {
    const dropped: Item[] = []
    const buffer = new RetryBuffer<Item>(limits, (item) => dropped.push(item))
    for (const record of falling) buffer.add({ record })
    const held = idsOf(buffer.take())
    expect(held.length).toBeGreaterThan(10)
    expect(held.length).toBeLessThanOrEqual(16)
    expect(held).toEqual(ids.slice(0, held.length))
    expect(idsOf(dropped).toSorted()).toEqual(ids.slice(held.length).toSorted())
    expect(buffer.size).toBe(0)
  })

  test('gives the room of what was taken to what comes next', async () => {
    const dropped: Item[] = []
    const limits = { maxRecords: 1_000, maxBytes: bytesOf(records.slice(0, 16)) }
    const buffer = new RetryBuffer<Item>(limits, (item) => dropped.push(item))
    for (const record of falling) buffer.add({ record })
    const before = dropped.length
    await buffer.offerAgain(() => Promise.resolve())
    for (const record of records.slice(-3)) buffer.add({ record })
    expect(idsOf(buffer.take())).toEqual(ids.slice(-3))
    expect(dropped.length).toBe(before)
  })

  test('offers again as long as that helps, and then holds what is left', async () => {
    const buffer = new RetryBuffer<Item>({ maxRecords: 1_000, maxBytes: 1_000_000 }, () => undefined)
    for (const record of falling) buffer.add({ record })
    const rounds: number[] = []
    // Each round takes a third, until ten are left that are never taken.
    await buffer.offerAgain(async (items) => {
      rounds.push(items.length)
      for (const item of items.slice(items.length > 10 ? Math.ceil((items.length - 10) / 3) : 0)) buffer.add(item)
    })
    expect(rounds.slice(0, 3)).toEqual([40, 30, 23])
    expect(rounds.slice(-2)).toEqual([11, 10])
    expect(idsOf(buffer.take())).toEqual(ids.slice(-10))
  })
})

test('only a busy door is asked again, until the caller gives up', async () => {
  const attempts: number[] = []
  const busy = (): Promise<never> => Promise.reject(new IngestBusyError(1))
  const wait = async (error: IngestBusyError, attempt: number): Promise<void> => {
    attempts.push(attempt)
    if (attempt === 3) throw error
  }
  await expect(submitWithRetry(busy, wait)).rejects.toBeInstanceOf(IngestBusyError)
  await expect(submitWithRetry(() => Promise.reject(new Error('broken')), wait)).rejects.toThrow('broken')
  expect(attempts).toEqual([1, 2, 3])
})

test('a peer that sends a long history backwards: what had no room is asked for again once the rest was taken', async () => {
  const chain = new Writer(8).chain(1_100)
  const keyOf = ({ id }: TestRecord): string => idKey(Buffer.from(id.slice(2), 'hex'))
  const door = await openDoor()
  try {
    const environment = systemEnvironment()
    const refusals = createRefusals(environment.clock)
    const components = { ingest: door.ingest, environment, refusals, host: { key: 'peer' } }
    const limits = { maxRecords: 1_000, maxBytes: bytesOf(chain.slice(0, 16)) }
    const failures: unknown[] = []
    const intake = new Intake(components, (error) => failures.push(error), limits)
    await intake.add(chain.toReversed())
    await intake.settled()
    // 1,024 wait for what they cite, and the first needs nothing. Of the 75 others the least 16 at most are held.
    expect(intake.totals).toMatchObject({ accepted: 1_025, refused: 75 })
    expect(refusals.blocks(keyOf(chain[75]!))).toBe(true)
    await intake.drain()
    expect(intake.totals.accepted).toBeGreaterThan(1_025 + 10)
    expect(refusals.blocks(keyOf(chain[75]!))).toBe(false)
    await intake.add(chain.slice(0, 76))
    await intake.drain()
    expect(intake.totals.accepted).toBe(1_100)
    expect(failures).toEqual([])
    expect((await door.store.summary(chain[0]!.body.avatar))?.pending).toBe(0)
  } finally {
    await door.close()
  }
})
