import { mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createMetrics } from '../../src/observe/metrics.ts'
import { openStore } from '../../src/store/store.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'
import { createDamageHouse, DAMAGES, LOG, levelFiles, MANIFEST, TABLE, type DamageHouse } from './damage-house.ts'

interface Line {
  readonly level: number
  readonly msg: string
  readonly records_lost?: number
  readonly deleted?: number
  readonly bytes?: number
}

const WARN = 40
let house: DamageHouse

beforeAll(async () => {
  house = await createDamageHouse(Math.random)
})
afterAll(() => house.remove())

/** Opens the store in a folder and tells what it said and counted. */
async function opened(folder: string) {
  const lines: Line[] = []
  const logger = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line) as Line) })
  const metrics = createMetrics()
  const store = await openStore(
    { environment: systemEnvironment(), logger, metrics, engine: await selectEngine() },
    { location: join(folder, 'store'), network: 'main' },
  )
  const { text } = await metrics.expose()
  const counted = [...text.matchAll(/^avatar_kv_corruption_total\{kind="(\w+)"\} (\d+)$/gm)].map((match) => match[1])
  return { store, warnings: lines.filter(({ level }) => level >= WARN), counted }
}

async function damage(folder: string, pattern: RegExp, change: (path: string) => Promise<void>): Promise<void> {
  await change(join(folder, 'store', (await levelFiles(folder, pattern)).at(-1)!))
}

const markOf = async (folder: string) =>
  JSON.parse(await readFile(join(folder, 'store.mark.json'), 'utf8')) as { epoch: string; records: number }

test.each([
  ['a flipped bit in the middle of its log', LOG, (path: string) => DAMAGES['flipped']!(path, () => 0.5)],
  ['a log that was cut off', LOG, (path: string) => truncate(path, 40_000)],
  ['an empty log', LOG, (path: string) => truncate(path, 0)],
  ['a lost log', LOG, (path: string) => rm(path)],
  ['a flipped bit in a table', TABLE, (path: string) => DAMAGES['flipped']!(path, () => 0.3)],
  ['an empty table', TABLE, (path: string) => truncate(path, 0)],
] as const)(
  '%s: told once, counted, in the status, with a new epoch and no sequence given twice',
  async (_, file, change) => {
    // A clean stop leaves nothing in the log.
    const folder = await house.copy(file === LOG ? 'killed' : 'closed')
    await damage(folder, file, change)
    const { epoch, records } = await markOf(folder)
    const { store, warnings, counted } = await opened(folder)
    const lost = house.records.length - store.totals().records
    expect(lost).toBeGreaterThan(0)
    expect(records).toBe(house.records.length)
    expect(store.damage()).toMatchObject({ recordsLost: lost })
    expect(warnings.filter(({ msg }) => /has lost records.*restore/.test(msg))).toMatchObject([{ records_lost: lost }])
    expect(counted).toEqual([file === LOG ? 'log' : 'table'])
    expect(store.epoch).not.toBe(epoch)
    expect(store.lastSequence()).toBeGreaterThanOrEqual(house.records.length)
    expect(await store.events({ after: store.lastSequence(), limit: 1 })).toEqual([])
    await store.close()
    const again = await opened(folder)
    expect([again.warnings, again.counted]).toEqual([[], []])
    expect(again.store.damage()).toEqual(store.damage())
    expect(again.store.epoch).toBe(store.epoch)
    await again.store.close()
  },
)

test('the originals of damaged files are kept', async () => {
  const folder = await house.copy('closed')
  await damage(folder, TABLE, (path) => DAMAGES['flipped']!(path, () => 0.5))
  const [name] = (await levelFiles(folder, TABLE)).slice(-1) as [string]
  const original = await readFile(join(folder, 'store', name))
  await (await opened(folder)).store.close()
  expect(await readFile(join(folder, 'store.damaged', name))).toEqual(original)
})

test.each([
  ['number', 300, 10, 256],
  ['size', 5, 100_000_000, 3],
] as const)(
  'originals of earlier damage are bounded by %s; those of the last damage stay',
  async (_, count, bytes, most) => {
    const folder = await house.copy('closed')
    const kept = join(folder, 'store.damaged')
    await mkdir(kept)
    // Older than the damage, with higher numbers than its file has.
    const earlier = Array.from({ length: count }, (__, index) => `${900_000 + index}.ldb`)
    for (const name of earlier) {
      await writeFile(join(kept, name), '')
      await truncate(join(kept, name), bytes)
    }
    await damage(folder, TABLE, (path) => DAMAGES['flipped']!(path, () => 0.5))
    const [name] = (await levelFiles(folder, TABLE)).slice(-1) as [string]
    const original = await readFile(join(folder, 'store', name))
    const { store, warnings } = await opened(folder)
    await store.close()
    expect((await readdir(kept)).toSorted()).toEqual([name, ...earlier.slice(1 - most)])
    expect(await readFile(join(kept, name))).toEqual(original)
    const gone = count + 1 - most
    expect(warnings.filter(({ msg }) => msg.includes('deleted'))).toMatchObject([
      { deleted: gone, bytes: gone * bytes },
    ])
  },
)

test('a damaged manifest: nothing is opened or changed, and the message says what to do', async () => {
  const folder = await house.copy('closed')
  const [name] = (await levelFiles(folder, MANIFEST)) as [string]
  const path = join(folder, 'store', name)
  const bytes = await readFile(path)
  bytes[Math.floor(bytes.length / 3)]! ^= 4
  await writeFile(path, bytes)
  await expect(opened(folder)).rejects.toThrow(/MANIFEST-[0-9]+ is damaged\. .*avatar-kv repair.*avatar-kv restore/)
  expect(await readFile(path)).toEqual(bytes)
})

test('a store that was killed is whole: no word, and the epoch stays', async () => {
  const folder = await house.copy('killed')
  const { epoch } = await markOf(folder)
  const { store, warnings, counted } = await opened(folder)
  expect([warnings, counted, store.damage(), store.epoch]).toEqual([[], [], undefined, epoch])
  expect(store.totals().records).toBe(house.records.length)
  await store.close()
})

test('files of an earlier moment than the mark are a loss too', async () => {
  const folder = await house.copy('closed')
  const path = join(folder, 'store.mark.json')
  const mark = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>
  await writeFile(path, JSON.stringify({ ...mark, last_sequence: 1_000, records: 900 }))
  const { store } = await opened(folder)
  expect(store.damage()).toMatchObject({ files: [], recordsLost: 900 - house.records.length })
  expect(store.lastSequence()).toBe(1_000)
  await store.close()
})
