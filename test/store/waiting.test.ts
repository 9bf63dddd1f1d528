/** What records that wait cost the store: rows read, pauses, memory. Counted, never timed. */
import { MemoryLevel } from 'memory-level'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { VerifiedRecord } from '../../src/record/types.ts'
import { AvatarState } from '../../src/state/avatar-state.ts'
import { cellValue } from '../../src/state/cell.ts'
import type { AvatarEntry } from '../../src/store/avatar-entry.ts'
import { buildBatch } from '../../src/store/commit.ts'
import { writeDurably } from '../../src/store/database.ts'
import type { Operation } from '../../src/store/level.ts'
import { loadEntry, newEntry } from '../../src/store/level-rows.ts'
import { LevelSink } from '../../src/store/level-sink.ts'
import { NO_QUOTAS } from '../../src/store/quotas.ts'
import type { CommitResult } from '../../src/store/types.ts'
import type { TestRecord } from '../oracle/signing.ts'
import { verified } from './harness.ts'
import { entry as stateEntry, Writer } from './writer.ts'

const PARTS = 400
const NOTHING = { records: 0, bytes: 0, keptRecords: 0, keptBytes: 0 }

const writer = new Writer(1)
const parts = Array.from({ length: PARTS }, () => writer.part(1))
const names = parts.map(({ id }) => id)
const snapshots = Array.from({ length: 16 }, () => writer.snapshot([], [], names))
const content = Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`k${at}`, at]))

const db = new MemoryLevel<Uint8Array, Uint8Array>({ keyEncoding: 'view', valueEncoding: 'view' })
let entry: AvatarEntry
let lastSequence: number

beforeEach(async () => {
  await db.open()
  await db.clear()
  entry = newEntry(db, writer.avatar)
  lastSequence = 0
})

afterEach(async () => {
  vi.restoreAllMocks()
  await db.close()
})

async function commit(records: readonly TestRecord[]): Promise<CommitResult['status'][]> {
  const batch: readonly VerifiedRecord[] = verified(records)
  const operations: Operation[] = []
  const sink = new LevelSink(db, operations)
  const context = {
    sink,
    lastSequence,
    counts: NOTHING,
    archive: false,
    quotas: NO_QUOTAS,
    keepsErased: true,
    stepRecords: 500,
  }
  const made = await buildBatch({ ...context, entryOf: async () => entry }, batch)
  await writeDurably(db, operations)
  lastSequence = made.lastSequence
  return made.results.map(({ status }) => status)
}

/** As after a restart. */
async function reload(): Promise<void> {
  entry = await loadEntry(db, writer.avatar)
}

describe('many snapshots that lack the same parts', () => {
  beforeEach(() => commit(snapshots))

  test('a part costs a few rows', async () => {
    await reload()
    const reads = vi.spyOn(db, 'getSync')
    await commit(parts.slice(0, 100))
    expect(reads.mock.calls.length).toBeLessThanOrEqual(200)
  })

  test('an avatar is read without a look-up on the main thread for each name', async () => {
    const reads = vi.spyOn(db, 'getSync')
    await reload()
    expect(reads.mock.calls.length).toBeLessThanOrEqual(2)
  })

  test('what is missing is counted only once that has changed', async () => {
    const counts = vi.spyOn(AvatarState.prototype, 'missing')
    await commit([writer.patch([])])
    expect(counts).not.toHaveBeenCalled()
    await commit([parts[0]!])
    expect(counts).toHaveBeenCalledOnce()
    const { missing } = (await loadEntry(db, writer.avatar)).summary()
    expect(missing).toEqual({ total: PARTS - 1, ids: names.slice(1).sort().slice(0, 100) })
  })

  test('what waits weighs, and no longer when it is shown', async () => {
    const { weight } = entry
    expect(weight).toBeGreaterThan(16 * PARTS * 300)
    await reload()
    expect(entry.weight).toBe(weight)
    await commit(parts)
    expect(entry.state.base?.counter).toBe(1)
    expect(entry.weight).toBeLessThan(5_000 + 16 * 300)
  })
})

test('a batch pauses by the rows that it reads, not by its records', async () => {
  await commit([writer.patch([])])
  await reload()
  const pauses = vi.spyOn(globalThis, 'setImmediate')
  const reads = vi.spyOn(db, 'getSync')
  await commit(snapshots)
  expect(reads.mock.calls.length).toBeGreaterThan(16 * PARTS)
  expect(pauses.mock.calls.length).toBeGreaterThanOrEqual(Math.floor(reads.mock.calls.length / 2_000))
})

test('the content is read once a snapshot becomes complete, not before', async () => {
  const before = writer.patch([], content)
  await commit([before])
  await reload()
  const walks = vi.spyOn(entry, 'preload')
  const [first, last] = [writer.part(2, [stateEntry({ k0: 'first' })]), writer.part(2, [stateEntry({ k1: 'last' })])]
  const snapshot = writer.snapshot([before], [], [first.id, last.id])
  await commit([writer.part(2), snapshot, first])
  expect(walks).not.toHaveBeenCalled()
  const after = writer.patch([snapshot], { k2: 'after' })
  expect(await commit([after, last])).toEqual(['stored', 'stored'])
  expect(walks).toHaveBeenCalledOnce()
  await reload()
  await entry.preload()
  const [namespace] = [...entry.state.content.namespaces()]
  const shown = [...namespace!.members].map(([key, cell]) => [key, cellValue(cell)])
  expect(Object.fromEntries(shown)).toEqual({ k0: 'first', k1: 'last', k2: 'after' })
})
