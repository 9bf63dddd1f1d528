import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Level } from 'level'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createMetrics } from '../../src/observe/metrics.ts'
import * as keys from '../../src/store/keys.ts'
import { openStore } from '../../src/store/store.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'
import { verified, type OpenStore } from './harness.ts'
import { Writer } from './writer.ts'

const components = {
  environment: systemEnvironment(),
  logger: pino({ level: 'silent' }),
  metrics: createMetrics(),
  engine: await selectEngine(),
}
const writer = new Writer(1)
const RECORDS = writer.chain(40)

let folder: string
let location: string
let mark: string

const open = (): Promise<OpenStore> => openStore({ ...components }, { location, network: 'main' })

/** Every file under the folder but LevelDB's own log and lock, with its bytes. */
async function snapshotOf(): Promise<Record<string, string>> {
  const files: Record<string, string> = {}
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || /^LO(?:G|G\.old|CK)$/.test(entry.name)) continue
    const path = join(entry.parentPath, entry.name)
    files[path] = (await readFile(path)).toString('hex')
  }
  return files
}

const namesLike = async (pattern: RegExp): Promise<string[]> =>
  (await readdir(location)).filter((name) => pattern.test(name))

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'avatar-kv-lost-'))
  location = join(folder, 'store')
  mark = join(folder, 'store.mark.json')
  const store = await open()
  await store.commit(verified(RECORDS))
  await store.close()
  // Opened once more, LevelDB makes a table of the log.
  await (await open()).close()
})
afterEach(() => rm(folder, { recursive: true }))

describe('a store that lost files is left as it is, with word of what to do', () => {
  it.each([
    ['CURRENT', /^CURRENT$/],
    ['MANIFEST', /^MANIFEST-/],
    ['CURRENT and MANIFEST', /^(?:CURRENT$|MANIFEST-)/],
    ['its tables', /\.ldb$/],
    ['all but its tables', /^(?!.*\.ldb$)/],
    ['all of its files', /^/],
  ])('%s', async (_, lost) => {
    const names = await namesLike(lost)
    expect(names.length).toBeGreaterThan(0)
    for (const name of names) await rm(join(location, name))
    const before = await snapshotOf()
    for (const attempt of [1, 2]) {
      const error = await open().catch((each: unknown) => each)
      expect(error, `attempt ${attempt}`).toMatchObject({ name: 'StoreError', code: 'incomplete' })
      expect(String(error)).toMatch(/Restore a backup.*avatar-kv repair.*move/s)
    }
    expect(await snapshotOf()).toEqual(before)
  })

  it('the whole directory', async () => {
    await rm(location, { recursive: true })
    await expect(open()).rejects.toMatchObject({ code: 'incomplete' })
    expect(await readdir(folder)).toEqual(['store.mark.json'])
  })

  it.each(['', 'MANIFEST-', 'x\n'])('the content of CURRENT: %j', async (content) => {
    await writeFile(join(location, 'CURRENT'), content)
    const before = await snapshotOf()
    await expect(open()).rejects.toMatchObject({ code: 'incomplete' })
    expect(await snapshotOf()).toEqual(before)
  })

  it('CURRENT of a store of an earlier version, which has no mark', async () => {
    await rm(mark)
    await rm(join(location, 'CURRENT'))
    const before = await snapshotOf()
    await expect(open()).rejects.toMatchObject({ code: 'incomplete' })
    expect(await snapshotOf()).toEqual(before)
  })

  it('put back, it opens with everything in it', async () => {
    const current = join(location, 'CURRENT')
    const content = await readFile(current)
    await rm(current)
    await expect(open()).rejects.toMatchObject({ code: 'incomplete' })
    await writeFile(current, content)
    const store = await open()
    expect(store.totals().records).toBe(RECORDS.length)
    await store.close()
  })
})

describe('the mark', () => {
  it('is given to a store of an earlier version, and again where it is damaged or of another store', async () => {
    const written = await readFile(mark, 'utf8')
    for (const content of [
      undefined,
      '',
      '{"format":"avatar-kv-st',
      'null',
      '{"epoch":7}',
      '{"epoch":"0000000000000000"}',
    ]) {
      if (content === undefined) await rm(mark)
      else await writeFile(mark, content)
      const store = await open()
      expect(store.totals().records, `mark ${content}`).toBe(RECORDS.length)
      await store.close()
      expect(await readFile(mark, 'utf8'), `mark ${content}`).toBe(written)
    }
  })

  it('a damaged one still shows that there was a store', async () => {
    await writeFile(mark, '')
    await rm(location, { recursive: true })
    await expect(open()).rejects.toMatchObject({ code: 'incomplete' })
  })

  it('moved away with the directory, a new store begins', async () => {
    await cp(location, join(folder, 'old'), { recursive: true })
    await rm(location, { recursive: true })
    await rm(mark)
    const store = await open()
    expect(store.totals().records).toBe(0)
    await store.close()
    expect(JSON.parse(await readFile(mark, 'utf8'))).toMatchObject({ epoch: store.epoch })
  })

  it.each([
    ['before LevelDB wrote a file', []],
    ['before CURRENT names the first manifest', ['MANIFEST-000001', '000001.dbtmp']],
  ])('a creation that was interrupted begins again: %s', async (_, names) => {
    await rm(mark)
    for (const name of await namesLike(/^(?!LO(?:G|CK)$)/)) await rm(join(location, name))
    for (const name of names) await writeFile(join(location, name), '')
    const store = await open()
    expect(await store.commit(verified(RECORDS.slice(0, 1)))).toMatchObject([{ status: 'stored' }])
    await store.close()
  })

  it('a creation that was interrupted before its first rows were on disk begins again', async () => {
    await rm(location, { recursive: true })
    await rm(mark)
    const db = new Level(location)
    await db.open()
    await db.close()
    const store = await open()
    expect(store.totals().records).toBe(0)
    await store.close()
    expect(JSON.parse(await readFile(mark, 'utf8'))).toMatchObject({ epoch: store.epoch })
  })

  it('a store that no longer says what it is is not begun again over its records', async () => {
    const db = new Level<Uint8Array, Uint8Array>(location, { keyEncoding: 'view', valueEncoding: 'view' })
    await db.open()
    await db.del(keys.metaKey('schema'))
    await db.close()
    for (const hasMark of [true, false]) {
      if (!hasMark) await rm(mark)
      await expect(open(), `with a mark: ${hasMark}`).rejects.toMatchObject({ code: 'unreadable' })
    }
  })
})
