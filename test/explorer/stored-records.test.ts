import { MemoryLevel } from 'memory-level'
import { expect, it, vi } from 'vitest'
import { storedRecords } from '../../src/explorer/verify/stored-records.ts'
import type { CacheUpdate } from '../../src/client/types.ts'
import type { Avatar, SignedRecord, VerifiedRecord } from '../../src/record/types.ts'
import type { Disk } from '../../src/replica/disk.ts'
import { levelDisk } from '../../src/replica/level-disk.ts'
import { createWriter } from '../support/writer.ts'

const writer = createWriter('stored')
const NODE = 'http://node.example'

async function openDisk(): Promise<Disk> {
  const level = new MemoryLevel<string, Uint8Array>({ valueEncoding: 'view' })
  await level.open()
  return levelDisk(level)
}

function update(records: readonly SignedRecord[], added: readonly SignedRecord[], bytes = 1_000): CacheUpdate {
  const verified = (all: readonly SignedRecord[]) => all as readonly VerifiedRecord[]
  return {
    network: 'main',
    records: verified(records),
    added: verified(added),
    cursors: [[NODE, `c${records.length}`]],
    bytes,
    base: null,
  }
}

/** What a later visit finds. */
async function found(disk: Disk, avatar: Avatar = writer.avatar, network = 'main') {
  const loaded = await storedRecords(() => Promise.resolve(disk), network).load(avatar)
  return (
    loaded && {
      texts: [...loaded.records].map(({ payload }) => Buffer.from(payload).toString()),
      cursors: [...loaded.cursors],
    }
  )
}

const textOf = ({ payload }: SignedRecord): string => Buffer.from(payload).toString()

it('a later visit finds what was saved, to the byte, and what was added since', async () => {
  const disk = await openDisk()
  const cache = storedRecords(() => Promise.resolve(disk), 'main')
  expect(await cache.load(writer.avatar)).toBe(undefined)
  const records = Array.from({ length: 3 }, (_, n) => writer.write({ n, text: 'ü\n"' }))
  await cache.save(writer.avatar, update(records, records))
  const more = writer.write({ more: 1 })
  await cache.save(writer.avatar, update([...records, more], [more]))
  await vi.waitFor(async () =>
    expect(await found(disk)).toEqual({ texts: [...records, more].map(textOf), cursors: [[NODE, 'c4']] }),
  )
  const loaded = await storedRecords(() => Promise.resolve(disk), 'main').load(writer.avatar)
  expect([...(loaded?.records ?? [])].map(({ signature }) => Buffer.from(signature).toString('hex'))).toEqual(
    [...records, more].map(({ signature }) => Buffer.from(signature).toString('hex')),
  )
  expect(await found(disk, writer.avatar, 'other')).toBe(undefined)
})

it('many small additions become one row again, and a snapshot that drops records replaces all', async () => {
  const disk = await openDisk()
  const cache = storedRecords(() => Promise.resolve(disk), 'main')
  const records: SignedRecord[] = []
  for (let n = 0; n < 70; n++) {
    const record = writer.write({ n })
    records.push(record)
    await cache.save(writer.avatar, update(records, [record], 1_000 + n))
  }
  await vi.waitFor(async () => expect((await found(disk))?.texts).toEqual(records.map(textOf)))
  let rows = 0
  for await (const [key] of disk.rows({ after: 'records!', before: 'records!~' }))
    rows += Number(key.startsWith('records!'))
  expect(rows).toBeLessThanOrEqual(32)
  await cache.save(writer.avatar, update(records.slice(-1), [], 100))
  await vi.waitFor(async () => expect((await found(disk))?.texts).toEqual(records.slice(-1).map(textOf)))
})

it('the storage is bounded: avatars that are too large are not stored, and those used longest ago go', async () => {
  const disk = await openDisk()
  const cache = storedRecords(() => Promise.resolve(disk), 'main')
  const record = writer.write({ a: 1 })
  const avatars = Array.from({ length: 6 }, (_, n): Avatar => `0x02${String(n).repeat(64)}`)
  for (const [n, avatar] of avatars.entries()) {
    vi.spyOn(Date, 'now').mockReturnValue(n)
    await cache.save(avatar, update([record], [record], 15 * 1024 * 1024))
    await vi.waitFor(async () => expect(await found(disk, avatar)).toBeDefined())
  }
  vi.restoreAllMocks()
  expect(await Promise.all(avatars.map(async (each) => (await found(disk, each)) !== undefined))).toEqual([
    ...[false, false, true, true, true, true],
  ])
  await cache.save(avatars[5]!, update([record], [], 17 * 1024 * 1024))
  await vi.waitFor(async () => expect(await found(disk, avatars[5])).toBe(undefined))
})

it('a storage that fails, hangs, or holds nonsense is no storage', async () => {
  const broken = storedRecords(() => Promise.reject(new Error('denied')), 'main')
  expect(await broken.load(writer.avatar)).toBe(undefined)
  await broken.save(writer.avatar, update([], []))
  vi.useFakeTimers()
  const hanging = storedRecords(() => new Promise(() => {}), 'main').load(writer.avatar)
  await vi.advanceTimersByTimeAsync(2_000)
  expect(await hanging).toBe(undefined)
  vi.useRealTimers()

  const disk = await openDisk()
  const cache = storedRecords(() => Promise.resolve(disk), 'main')
  const record = writer.write({ a: 1 })
  await cache.save(writer.avatar, update([record], [record]))
  await vi.waitFor(async () => expect(await found(disk)).toBeDefined())
  await disk.batch([
    { type: 'put', key: `records!${writer.avatar}!000002`, value: Buffer.from('{"payload":1\nnull\n') },
  ])
  expect((await found(disk))?.texts).toEqual([textOf(record)])
})
