import { afterEach, beforeEach, expect, it } from 'vitest'

import { headerLine, recordLine } from '../../src/archive/format.ts'
import { importArchive } from '../../src/ingest/import-archive.ts'
import type { SignedRecord } from '../../src/record/types.ts'
import { Writer } from '../store/writer.ts'
import { forged, NOW_S, openDoor, type Door } from './door.ts'

let door: Door
beforeEach(async () => {
  door = await openDoor()
})
afterEach(() => door.close())

async function* archiveOf(records: readonly SignedRecord[]): AsyncGenerator<Uint8Array> {
  yield Buffer.from(headerLine({ network: 'main', created_at: NOW_S }))
  for (let at = 0; at < records.length; at += 256) {
    yield Buffer.from(
      records
        .slice(at, at + 256)
        .map(recordLine)
        .join(''),
    )
  }
}

function importAll(records: readonly SignedRecord[]) {
  const submit = (some: readonly SignedRecord[]) => door.ingest.submit(some, { origin: 'import' })
  return importArchive({ chunks: archiveOf(records), submit })
}

it('a record that comes through all doors is verified at the first', async () => {
  const record = new Writer(1).patch([])
  const before = door.signatureChecks()
  const statuses: string[] = []
  for (const origin of ['http', 'gossip', 'sync', 'import'] as const) {
    for (const result of await door.ingest.submit([record], { origin, atomic: true })) statuses.push(result.status)
  }
  expect(statuses).toEqual(['stored', 'duplicate', 'duplicate', 'duplicate'])
  expect(door.signatureChecks() - before).toBe(1)
})

it('an archive of one record 5,000 times costs as many verifications as are under way at once', async () => {
  const record = new Writer(2).patch([])
  const before = door.signatureChecks()
  const report = await importAll(Array<SignedRecord>(5_000).fill(record))
  expect(report).toMatchObject({ stored: 1, duplicate: 4_999, invalid: 0 })
  // Three batches of 256 may be at the door before the first verdict.
  expect(door.signatureChecks() - before).toBeLessThanOrEqual(768)
})

it('a false signature under the id of a stored record is invalid, however often and by whichever door', async () => {
  const record = new Writer(3).patch([])
  await door.ingest.submit([record], { origin: 'http' })
  for (const origin of ['http', 'gossip', 'sync', 'import'] as const) {
    const results = await door.ingest.submit([forged(record), record, forged(record)], { origin })
    expect(results.map(({ status }) => status)).toEqual(['invalid', 'duplicate', 'invalid'])
  }
  const atomic = await door.ingest.submit([record, forged(record)], { origin: 'gossip', atomic: true })
  expect(atomic.map(({ status }) => status)).toEqual(['refused', 'invalid'])
})
