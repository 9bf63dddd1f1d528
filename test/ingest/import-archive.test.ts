import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { importArchive } from '../../src/ingest/import-archive.ts'
import type { ImportOptions } from '../../src/ingest/import-archive.ts'
import { importDoor } from '../../src/ingest/retry.ts'
import { IngestBusyError } from '../../src/ingest/errors.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { openDoor } from './door.ts'
import type { Door } from './door.ts'
import { testKey } from '../oracle/signing.ts'
import type { TestRecord } from '../oracle/signing.ts'
import { Writer } from '../store/writer.ts'
import { archiveOf, chunksOf, joined, linesOf } from '../archive/archives.ts'

const { timers } = systemEnvironment()

let door: Door
beforeEach(async () => {
  door = await openDoor()
})
afterEach(() => door.close())

function take(bytes: Uint8Array, options: Partial<ImportOptions> = {}) {
  return importArchive({
    chunks: chunksOf(bytes),
    submit: importDoor(door.ingest, timers),
    network: 'main',
    ...options,
  })
}

async function heldIds(writer: Writer): Promise<Set<string>> {
  const page = await door.store.records(writer.avatar, { after: 0, limit: 1_000 })
  return new Set(page?.records.map(({ id }) => id))
}

const idsOf = (records: readonly TestRecord[]) => new Set(records.map(({ id }) => id))

describe('importing an archive', () => {
  it('brings all of it, pending records included, and twice is once', async () => {
    const [alice, bob] = [new Writer(1), new Writer(2)]
    const chain = alice.chain(600)
    const fork = alice.patch([chain[10]!], { fork: 1 })
    const gap = alice.patch([{ counter: 700, id: `0x${'7'.repeat(64)}` }], { late: 1 })
    const all = [...chain, fork, gap, ...bob.chain(3)]
    const bytes = await archiveOf(all)
    const before = await take(bytes)
    expect(before).toMatchObject({ records: 605, stored: 604, pending: 1, duplicate: 0, sound: true, trailer: 'good' })
    expect(await heldIds(bob)).toEqual(idsOf(all.filter(({ body }) => body.avatar === bob.avatar)))
    const summary = await door.store.summary(alice.avatar)
    expect(summary).toMatchObject({ records: 602, pending: 1, tipsTotal: 2, missing: { total: 1 } })
    expect(await take(gzipSync(bytes))).toMatchObject({ stored: 0, pending: 0, duplicate: 605, sound: true })
    expect(await door.store.summary(alice.avatar)).toEqual(summary)
    expect(await door.counts()).toMatchObject({ 'import stored': 604, 'import duplicate': 605 })
  })

  it('takes what was asked for alone', async () => {
    const writers = [1, 2, 3].map((seed) => new Writer(seed))
    const bytes = await archiveOf(
      writers.flatMap((writer) => writer.chain(4)),
      { avatars: writers.map(({ avatar }) => avatar) },
    )
    const report = await take(bytes, { only: new Set([writers[1]!.avatar]) })
    expect(report).toMatchObject({ records: 12, stored: 4, skipped: 8, sound: true })
    expect(await door.store.avatars({ limit: 10 })).toEqual([writers[1]!.avatar])
  })

  it('tells of those that were asked for and are not there, whatever the header names', async () => {
    const [alice, bob] = [new Writer(1), new Writer(2)]
    const bytes = await archiveOf(alice.chain(2), { avatars: [alice.avatar] })
    const report = await take(bytes, { only: new Set([bob.avatar]) })
    expect(report).toMatchObject({ records: 2, stored: 0, skipped: 2, sound: false })
    const message = `The archive has no sound record of ${bob.avatar}, which was asked for.`
    expect(report.faults.first).toEqual([{ code: 'absent_avatar', line: 1, message, fatal: false }])
  })

  it('leaves forged records out, each with its line and the reason, and takes the others', async () => {
    const alice = new Writer(1)
    const [one, two, three] = alice.chain(3) as [TestRecord, TestRecord, TestRecord]
    const lines = linesOf(await archiveOf([one, two, three]))
    const altered = lines[1]!.replace('\\"k0\\":0', '\\"k0\\":7')
    const stranger = lines[2]!.replace(alice.avatar, testKey(9).avatar)
    const report = await take(joined([lines[0]!, altered, stranger, lines[3]!, lines[4]!]))
    expect(report).toMatchObject({ records: 3, invalid: 2, pending: 1, stored: 0, sound: false, trailer: 'wrong' })
    expect(report.faults.first.map(({ line, code, record_code }) => [line, code, record_code])).toEqual(
      [
        [2, 'bad_record', 'invalid_signature'],
        [3, 'bad_record', 'invalid_signature'],
        [5, 'wrong_trailer', undefined],
      ].sort((a, b) => Number(a[0]) - Number(b[0])),
    )
    expect(await heldIds(alice)).toEqual(idsOf([three]))
  })

  it('tells what is out of order, twice there, not named or absent, and takes it all the same', async () => {
    const [alice, bob] = [new Writer(1), new Writer(2)]
    const [first, second] = [alice, bob].sort((a, b) => (a.avatar < b.avatar ? -1 : 1)) as [Writer, Writer]
    const third = new Writer(3)
    const lines = linesOf(await archiveOf([...first.chain(2), ...second.chain(1)]))
    const header = JSON.stringify({ ...JSON.parse(lines[0]!), avatars: [first.avatar, third.avatar] })
    const report = await take(joined([header, lines[2]!, lines[1]!, lines[3]!, lines[3]!]))
    expect(report).toMatchObject({ records: 4, duplicate: 1, invalid: 0, sound: false })
    expect(report.faults.first.map(({ line, code }) => `${line} ${code}`).sort()).toEqual([
      '1 absent_avatar',
      '3 out_of_order',
      '4 unnamed_avatar',
      '5 duplicate',
      '5 unnamed_avatar',
      '6 trailer_missing',
    ])
    expect(await door.store.totals()).toMatchObject({ avatars: 2, records: 3 })
    expect((await door.store.summary(first.avatar))?.pending).toBe(0)
  })

  it('takes a history that comes backwards, though no more than 1,024 records may wait', async () => {
    const alice = new Writer(1)
    const chain = alice.chain(1_500)
    const [header, ...rest] = linesOf(await archiveOf(chain))
    const report = await take(joined([header!, ...rest.slice(0, -1).reverse()]))
    expect(report).toMatchObject({ records: 1_500, refused: 0, sound: false })
    expect(report.faults.codes).toEqual({ out_of_order: 1_499, trailer_missing: 1 })
    expect(report.faults.first).toHaveLength(20)
    expect(await door.store.summary(alice.avatar)).toMatchObject({ head: 1_500, pending: 0, records: 1_500 })
  })

  it('says what the door refuses', async () => {
    const alice = new Writer(1)
    const chain = alice.chain(3)
    const refusing: ImportOptions['submit'] = (records) =>
      Promise.resolve(
        records.map((_, at) => ({
          id: chain[at % 3]!.id,
          status: 'refused',
          code: 'not_hosted',
          message: 'not here',
          retry: at > 0,
        })),
      )
    const report = await take(await archiveOf(chain), { submit: refusing })
    expect(report).toMatchObject({ refused: 3, stored: 0, sound: true })
    expect(report.refusals).toEqual({ not_hosted: { count: 3, retry: false, message: 'not here' } })
  })

  it('waits at a busy door instead of leaving records out', async () => {
    const alice = new Writer(1)
    let tries = 0
    const ingest: Door['ingest'] = {
      ...door.ingest,
      async submit(records, options) {
        tries += 1
        if (tries % 3 !== 0) throw new IngestBusyError(1)
        return door.ingest.submit(records, options)
      },
    }
    const report = await take(await archiveOf(alice.chain(300)), { submit: importDoor(ingest, timers) })
    expect(report).toMatchObject({ records: 300, stored: 300, sound: true })
    expect(tries).toBeGreaterThan(4)
  })

  it('ends where the door fails, when nothing is under way any more, and goes on when called again', async () => {
    const alice = new Writer(1)
    const bytes = await archiveOf(alice.chain(2_000))
    let under = 0
    let calls = 0
    const failing: ImportOptions['submit'] = async (records) => {
      under += 1
      try {
        calls += 1
        if (calls === 4) throw new Error('the disk is full')
        return await door.ingest.submit(records, { origin: 'import' })
      } finally {
        under -= 1
      }
    }
    await expect(take(bytes, { submit: failing })).rejects.toThrow('the disk is full')
    expect(under).toBe(0)
    const { stored, pending, duplicate, refused } = await take(bytes)
    expect(stored + pending + duplicate).toBe(2_000)
    expect([refused, duplicate >= 768]).toEqual([0, true])
    expect(await door.store.summary(alice.avatar)).toMatchObject({ head: 2_000, pending: 0, records: 2_000 })
  })

  it('holds few records at once, however many there are', async () => {
    const alice = new Writer(1)
    const bytes = await archiveOf(alice.chain(3_000))
    let under = 0
    let greatest = 0
    const slow: ImportOptions['submit'] = async (records) => {
      under += records.length
      greatest = Math.max(greatest, under)
      await new Promise((resolve) => setImmediate(resolve))
      const results = await door.ingest.submit(records, { origin: 'import' })
      under -= records.length
      return results
    }
    const seen: number[] = []
    await take(bytes, { submit: slow, onProgress: ({ records }) => void seen.push(records) })
    expect(greatest).toBeLessThanOrEqual(8 * 256)
    expect(seen.at(-1)).toBe(3_000)
    expect(seen).toEqual(seen.toSorted((a, b) => a - b))
  })
})
