import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { systemEnvironment } from '../../src/platform/system.ts'
import { createDamageHouse, DAMAGES, levelFiles, open, TABLE, type DamageHouse } from '../store/damage-house.ts'
import { run } from './run.ts'

const MAIN = resolve('dist/main.js')

let house: DamageHouse

beforeAll(async () => {
  house = await createDamageHouse(Math.random)
})
afterAll(() => house.remove())

async function contentsOf(folder: string): Promise<Record<string, string>> {
  const contents: Record<string, string> = {}
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    contents[path] = entry.isFile() ? (await readFile(path)).toString('base64') : ''
  }
  return contents
}

/** A store beyond help: without `CURRENT` and manifests, an empty table, a flipped bit in another. */
async function ruin(): Promise<string> {
  const folder = await house.copy('killed')
  for (const name of await levelFiles(folder, /^(?:CURRENT|MANIFEST-.*|LOCK)$/)) await rm(join(folder, 'store', name))
  const tables = await levelFiles(folder, TABLE)
  expect(tables.length).toBeGreaterThan(2)
  await truncate(join(folder, 'store', tables.at(-1)!), 0)
  await DAMAGES['flipped']!(join(folder, 'store', tables[0]!), () => 0.4)
  await writeFile(join(folder, 'hosting.log'), 'a list\n')
  await writeFile(join(folder, 'peer.key'), 'a key')
  return folder
}

test('what is left of a store beyond help is saved to a new directory; the old one is only read', async () => {
  const folder = await ruin()
  const before = await contentsOf(folder)
  const cwd = dirname(folder)
  const { code, out, err } = await run(['repair', '--data-dir', folder, '--out', 'saved', '--json'], { cwd })
  expect(err).toBe('')
  expect(code).toBe(0)
  expect(await contentsOf(folder)).toEqual(before)
  const report = JSON.parse(out) as { records: number; damaged_files: string[] }
  expect(report).toMatchObject({ avatars: 4, network: 'main', carried: ['hosting.log', 'peer.key'], invalid: 0 })
  expect(report.damaged_files).toHaveLength(2)
  expect(report.records).toBeLessThan(house.records.length)
  expect(report.records).toBeGreaterThan(house.records.length / 4)
  expect(await readFile(join(cwd, 'saved', 'peer.key'), 'utf8')).toBe('a key')
  const store = await open(join(cwd, 'saved'))
  expect(store.totals()).toMatchObject({ avatars: 4, records: report.records })
  // What is lost comes back from wherever it still is.
  await store.commit(house.records)
  expect(store.totals().records).toBe(house.records.length)
  await store.close()
  await rm(join(cwd, 'saved'), { recursive: true })
})

test('nothing that is whole stays behind, and people read what was done', async () => {
  const folder = await house.copy('closed')
  await rm(join(folder, 'store', 'CURRENT'))
  const { code, out, err } = await run(['repair', '--data-dir', folder, '--out', 'whole'], { cwd: dirname(folder) })
  expect([code, err]).toEqual([0, ''])
  expect(out).toMatch(new RegExp(`^repaired {2}${house.records.length} records of 4 avatars, to .*whole; network main`))
  await rm(join(dirname(folder), 'whole'), { recursive: true })
})

test('a repair that cannot work says why and what to do', async () => {
  const folder = await ruin()
  const cwd = dirname(folder)
  const repair = (...args: string[]) => run(['repair', ...args], { cwd })
  expect(await repair('--data-dir', 'nowhere', '--out', 'new')).toMatchObject({
    code: 1,
    err: expect.stringMatching(/There is no store in .*nowhere.*--data-dir/),
  })
  expect(await repair('--data-dir', folder)).toMatchObject({ code: 2, err: expect.stringMatching(/--out/) })
  await mkdir(join(cwd, 'full'), { recursive: true })
  await writeFile(join(cwd, 'full', 'something'), '')
  expect(await repair('--data-dir', folder, '--out', 'full')).toMatchObject({
    code: 1,
    err: expect.stringMatching(/full is not empty/),
  })
  expect(await repair('--data-dir', folder, '--out', 'other', '--network', 'other')).toMatchObject({
    code: 1,
    err: expect.stringMatching(/No record .* verifies for the network other.*--network/),
  })
  // What it left is no data directory, and can be written over.
  expect(await repair('--data-dir', folder, '--out', 'other')).toMatchObject({ code: 0 })
  await rm(join(cwd, 'other'), { recursive: true })
})

test('a terminal shows how far a repair is, to the end', async () => {
  const folder = await house.copy('closed')
  const drawn: string[] = []
  const system = systemEnvironment()
  let now = system.clock.now()
  // Each look at the clock is a second later, so that each step is drawn.
  const environment = { ...system, clock: { ...system.clock, now: () => (now += 1_000) } }
  const options = { cwd: dirname(folder), environment, draw: (line: string) => void drawn.push(line) }
  expect(await run(['repair', '--data-dir', folder, '--out', 'drawn'], options)).toMatchObject({ code: 0, err: '' })
  expect(drawn.at(-1)).toBe('')
  expect(drawn.at(-2)).toMatch(new RegExp(`^repair \\[#{24}\\] 100 % ${house.records.length} records, [0-9.]+ MB, `))
  expect(drawn.some((line) => /^repair \[#+\.+\] [0-9]+ % [0-9]+ records, .* left$/.test(line))).toBe(true)
  await rm(join(dirname(folder), 'drawn'), { recursive: true })
})

test('Ctrl-C says what is left and what to do; a second repair does not disturb the first', async () => {
  const folder = await house.copy('closed')
  const cwd = dirname(folder)
  // Whoever opens it waits until another process writes to it.
  const pipe = join(folder, 'store', '999999.ldb')
  await promisify(execFile)('mkfifo', [pipe])
  const args = ['repair', '--data-dir', folder, '--out', 'cut', '--network', 'main']
  const child = execFile(process.execPath, [MAIN, ...args], { cwd })
  let err = ''
  child.stderr?.on('data', (text: string) => void (err += text))
  await expect.poll(() => existsSync(join(cwd, 'cut', 'store', 'CURRENT'))).toBe(true)
  const other = await house.copy('closed')
  const second = ['repair', '--data-dir', other, '--out', 'cut']
  await expect
    .poll(() => run(second, { cwd }))
    .toMatchObject({ code: 1, err: expect.stringMatching(/Another process .*cut now\. Wait until it ends/) })
  child.kill('SIGINT')
  expect(await once(child, 'exit')).toEqual([null, 'SIGINT'])
  expect(err).toBe(
    `avatar-kv: interrupted. ${folder} is unchanged. ${join(cwd, 'cut')} is not finished, and no node starts on it. ` +
      `Run the same command again; it begins from the start. Or remove ${join(cwd, 'cut')}.\n`,
  )
  await rm(pipe)
  expect(await run(args, { cwd })).toMatchObject({
    code: 0,
    out: expect.stringMatching(`^repaired {2}${house.records.length} `),
  })
  await rm(join(cwd, 'cut'), { recursive: true })
})
