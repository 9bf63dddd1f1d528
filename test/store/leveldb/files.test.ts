import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Level } from 'level'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { inspectDirectory } from '../../../src/store/leveldb/directory.ts'
import { readLog, writeLog } from '../../../src/store/leveldb/log-format.ts'
import { decodeManifest } from '../../../src/store/leveldb/manifest.ts'
import { checkTable, repairTable, rowsOf } from '../../../src/store/leveldb/table-format.ts'
import { decodeBatch } from '../../../src/store/leveldb/write-batch.ts'
import { crc32c } from '../../../src/store/leveldb/crc32c.ts'

/** Files of a real database, beside what LevelDB itself reads from them. */
let location: string
const rows = new Map<string, string>()

beforeEach(async () => {
  location = await mkdtemp(join(tmpdir(), 'avatar-kv-leveldb-'))
  rows.clear()
})
afterEach(() => rm(location, { recursive: true }))

const open = async (compression = true): Promise<Level<string, string>> => {
  const db = new Level<string, string>(location, { writeBufferSize: 65_536, compression })
  await db.open()
  return db
}

async function fill(compression: boolean): Promise<void> {
  const db = await open(compression)
  for (let batch = 0; batch < 200; batch += 1) {
    const puts = Array.from({ length: 20 }, (_, at) => {
      const key = `key ${(batch * 7_919 + at * 104_729) % 5_000}`
      const value =
        at % 3 === 0
          ? `${batch} `.repeat(at * 9)
          : Math.sin(batch * 20 + at)
              .toString(36)
              .repeat(3)
      rows.set(key, value)
      return { type: 'put', key, value } as const
    })
    await db.batch(puts, { sync: batch % 50 === 0 })
  }
  await db.close()
}

const files = async (end: string): Promise<string[]> =>
  (await readdir(location)).filter((name) => name.endsWith(end)).sort()
const bytesOf = (name: string): Promise<Buffer> => readFile(join(location, name))

async function manifest() {
  const name = (await readFile(join(location, 'CURRENT'), 'utf8')).trim()
  return decodeManifest(await bytesOf(name))
}

async function read(): Promise<Map<string, string>> {
  const db = await open()
  const found = new Map(await db.iterator().all())
  await db.close()
  return found
}

test('the checksum is the one that everybody computes', () => {
  const text = Buffer.from('xxxxx123456789xx')
  expect(crc32c(text, 5, 14)).toBe(0xe3069283)
  expect(crc32c(text, 3, 3)).toBe(0)
})

test.each([true, false])('tables and logs have the rows that LevelDB reads (compression %s)', async (compression) => {
  await fill(compression)
  const found = new Map<string, string>()
  const state = (await manifest())!
  expect(state.tables.size).toBeGreaterThan(1)
  // A compaction that closing interrupts leaves tables that are not part of the database.
  const tables = (await files('.ldb')).filter((name) => state.tables.has(Number.parseInt(name, 10)))
  expect(tables).toHaveLength(state.tables.size)
  for (const name of tables) {
    const file = await bytesOf(name)
    const { bytes } = state.tables.get(Number.parseInt(name, 10))!
    expect(file.length).toBe(bytes)
    const { isWhole, blocks } = checkTable(file, bytes)
    expect(isWhole).toBe(true)
    expect(blocks.length).toBeGreaterThan(1)
    for (const [key] of blocks.flatMap((block) => rowsOf(file, block))) found.set(Buffer.from(key).toString(), '')
    // Without its index, the same blocks are found.
    const scanned = checkTable(file, bytes + 1)
    expect(scanned.isWhole).toBe(false)
    expect(scanned.blocks.map(({ offset, length }) => [offset, length])).toEqual(
      blocks.map(({ offset, length }) => [offset, length]),
    )
  }
  let next: number | undefined
  for (const name of await files('.log')) {
    const { records, isDamaged } = readLog(await bytesOf(name))
    expect(isDamaged).toBe(false)
    for (const record of records) {
      const batch = decodeBatch(record)!
      if (next !== undefined) expect(batch.sequence).toBe(next)
      next = batch.sequence + batch.count
      for (const [key] of batch.puts) found.set(Buffer.from(key).toString(), '')
    }
  }
  expect([...found.keys()].sort()).toEqual([...rows.keys()].sort())
})

test('a repaired table has the rows of its whole blocks, for LevelDB too, with index and without', async () => {
  await fill(true)
  const state = (await manifest())!
  for (const [at, [number, { bytes }]] of [...state.tables].entries()) {
    const name = (await files('.ldb')).find((each) => Number.parseInt(each, 10) === number)!
    const file = await bytesOf(name)
    const { blocks } = checkTable(file, bytes)
    const broken = blocks[Math.floor(blocks.length / 2)]!
    file[broken.offset + 5]! ^= 0x10
    if (at % 3 === 1) file[bytes - 3]! ^= 1
    const left = checkTable(at % 3 === 2 ? file.subarray(0, broken.offset + 9) : file, bytes)
    expect(left.isWhole).toBe(false)
    expect(left.blocks).toHaveLength(at % 3 === 0 ? blocks.length - 1 : Math.floor(blocks.length / 2))
    const repaired = repairTable(file, bytes, left.blocks)
    expect(checkTable(repaired, bytes)).toEqual({ isWhole: true, blocks: left.blocks })
    await writeFile(join(location, name), repaired)
  }
  const db = await open()
  const found = new Map(await db.iterator().all())
  expect(found.size).toBeLessThan(rows.size)
  expect(found.size).toBeGreaterThan(rows.size / 4)
  await (db as unknown as { compactRange(from: string, to: string): Promise<void> }).compactRange('', '~')
  expect(new Map(await db.iterator().all())).toEqual(found)
  await db.close()
})

test('a log that is written again is read as it was, in pieces too', async () => {
  const records = [0, 1, 7, 32_754, 32_761, 32_762, 100_000, 65_522, 3].map((length) =>
    Buffer.alloc(length, length % 251),
  )
  const { records: found, isDamaged } = readLog(writeLog(records))
  expect(isDamaged).toBe(false)
  expect(found.map((record) => Buffer.from(record).equals(records[found.indexOf(record)]!))).toEqual(
    records.map(() => true),
  )
  await fill(true)
  const [name] = await files('.log')
  const before = readLog(await bytesOf(name!))
  await writeFile(join(location, name!), writeLog(before.records))
  expect(new Map(await read())).toEqual(rows)
})

test('a log that was cut off anywhere is whole up to there; one that is damaged says so', async () => {
  await fill(true)
  const [name] = await files('.log')
  const file = await bytesOf(name!)
  const whole = readLog(file)
  for (let cut = 0; cut < 400; cut += 1) {
    const end = Math.floor((file.length * cut) / 400)
    const { records, isDamaged } = readLog(file.subarray(0, end))
    expect(isDamaged).toBe(false)
    expect(records.length).toBeLessThan(whole.records.length)
  }
  for (let flip = 0; flip < 400; flip += 1) {
    const at = Math.floor((file.length * flip) / 400)
    const broken = Buffer.from(file)
    broken[at]! ^= 1 << (flip % 8)
    const { records, isDamaged } = readLog(broken)
    expect([flip, isDamaged]).toEqual([flip, true])
    expect(whole.records.length - records.length).toBeLessThan(20)
  }
})

test('a quick look finds tables that are cut off or have no index; a thorough one all damage', async () => {
  await fill(true)
  const state = (await manifest())!
  const quick = () => inspectDirectory(location, { deepBytes: 0 })
  const thorough = () => inspectDirectory(location, { deepBytes: Infinity })
  expect([await quick(), await thorough()]).toEqual([[], []])
  const [number, { bytes }] = [...state.tables].at(-1)!
  const name = (await files('.ldb')).find((each) => Number.parseInt(each, 10) === number)!
  const file = await bytesOf(name)
  for (const [change, isQuick] of [
    [file.subarray(0, bytes - 1), true],
    [flippedAt(file, bytes - 60), true],
    [flippedAt(file, bytes - 3), true],
    [flippedAt(file, 10), false],
  ] as const) {
    await writeFile(join(location, name), change)
    expect(await quick()).toHaveLength(isQuick ? 1 : 0)
    expect(await thorough()).toMatchObject([{ kind: 'table', file: name }])
  }
})

const flippedAt = (file: Buffer, at: number): Buffer => {
  const copy = Buffer.from(file)
  copy[at]! ^= 4
  return copy
}

test('a damaged manifest is not believed', async () => {
  await fill(true)
  const name = (await readFile(join(location, 'CURRENT'), 'utf8')).trim()
  const file = await bytesOf(name)
  const { records } = readLog(file)
  const edits = [...records.keys()].map((count) => decodeManifest(Buffer.from(writeLog(records.slice(0, count)))))
  let damaged = 0
  for (let at = 0; at < file.length; at += 7) {
    const broken = Buffer.from(file)
    broken[at]! ^= 1 << (at % 8)
    // The last edit may look as if it had been cut off; then the state before it is left.
    const state = decodeManifest(broken)
    if (state !== undefined) expect(edits).toContainEqual(state)
    else damaged += 1
  }
  expect(damaged).toBeGreaterThan(file.length / 8)
  expect(decodeManifest(Buffer.alloc(0))).toBeUndefined()
})
