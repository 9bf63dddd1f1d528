import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import type { ImportReport } from '../../src/ingest/import-archive.ts'
import type { ExportReport } from '../../src/cli/export.ts'
import { archiveOf } from '../archive/archives.ts'
import { Writer } from '../store/writer.ts'
import { run, type Outcome } from './run.ts'

const RECORDS = 6
const alice = new Writer(1)
const patches = alice.chain(RECORDS - 1)
const snapshot = alice.snapshot(patches.slice(-1), [])

let cwd: string
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'avatar-kv-data-dir-'))
})
afterEach(() => rmSync(cwd, { recursive: true }))

const call = (args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> =>
  run([...args, '--data-dir', 'data'], { cwd, env })

async function json<T>(args: readonly string[], env: Record<string, string> = {}): Promise<T> {
  return JSON.parse((await call([...args, '--json'], env)).out) as T
}

async function kept(env: Record<string, string> = {}): Promise<number | null> {
  return (await json<ExportReport>(['export', '--all', '--history', '--out', 'b', '--force'], env)).records
}

/** The data of a node that was told to keep history, and has some. */
async function archived(): Promise<void> {
  writeFileSync(join(cwd, 'a'), await archiveOf([...patches, snapshot]))
  const report = await json<ImportReport>(['import', 'a'], { AVATAR_KV_ARCHIVE: 'true' })
  expect(report).toMatchObject({ records: RECORDS, sound: true })
  expect(await kept({ AVATAR_KV_ARCHIVE: 'true' })).toBe(RECORDS)
}

describe('a command on the data of a node that keeps history', () => {
  it.each<[string, readonly string[]]>([
    ['export', ['export', '--all', '--out', 'c']],
    ['import', ['import', 'a']],
    ['invite create', ['invite', 'create']],
    ['host list', ['host', 'list']],
    ['host block', ['host', 'block', new Writer(9).avatar]],
    ['host tidy', ['host', 'tidy']],
  ])('%s leaves it all there', async (_, args) => {
    await archived()
    for (let turn = 0; turn < 2; turn++)
      expect(await call([...args, ...(args[0] === 'export' ? ['--force'] : [])])).toMatchObject({ code: 0 })
    expect(await kept()).toBe(RECORDS)
  })

  it('drops it where that was said', async () => {
    await archived()
    writeFileSync(join(cwd, 'config.json'), JSON.stringify({ archive: false }))
    // What is pruned is pruned in the background, while the directory is open.
    await expect
      .poll(async () => {
        await call(['host', 'list', '--config', 'config.json'])
        return kept()
      })
      .toBe(1)
  })
})

describe('a command on the data of a node says what it assumes of that', () => {
  it('where its outcome depends on it and nobody has said it', async () => {
    writeFileSync(join(cwd, 'a'), await archiveOf(patches))
    expect((await call(['import', 'a'])).err).toBe('')
    const quotas = 'quota_avatar_bytes 0, quota_avatar_records 0, quota_total_bytes 0, quota_total_records 0'
    const tail = 'Name them with --config FILE.\n'
    expect((await call(['import', 'a'])).err).toContain(`Assumed: hosting_mode all, ${quotas}. ${tail}`)
    expect((await call(['host', 'list'])).err).toContain(`Assumed: hosting_mode all, hosting_policy closed. ${tail}`)
    expect((await call(['host', 'tidy'])).err).toContain(`Assumed: hosting_mode all. ${tail}`)
    expect((await call(['export', '--all', '--out', 'c'])).err).toBe('')
    expect((await call(['invite', 'create'])).err).toBe('')

    writeFileSync(join(cwd, 'config.json'), JSON.stringify({ hosting_mode: 'listed', hosting_policy: 'invite' }))
    const told = await call(['host', 'list', '--config', 'config.json'])
    expect(told.err).toBe('mode listed, policy invite: 0 on the list, 0 blocked, 0 gone, 1 unused code\n')
    expect((await call(['host', 'tidy', '--config', 'config.json'])).out).toBe('1 avatar deleted\n')
  })
})
