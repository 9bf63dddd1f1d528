import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

import type { CheckReport } from '../../src/archive/check.ts'
import type { ImportReport } from '../../src/ingest/import-archive.ts'
import type { ExportReport } from '../../src/cli/export.ts'
import { createProgress, sizeText } from '../../src/cli/lib/progress.ts'
import { run } from '../cli/run.ts'
import type { Outcome } from '../cli/run.ts'
import { post, startHttpNode } from '../http/node.ts'
import type { HttpNode } from '../http/node.ts'
import { posted } from '../http/writer.ts'
import { testKey } from '../oracle/signing.ts'
import { Writer } from '../store/writer.ts'
import { archiveOf, joined, linesOf } from './archives.ts'

let node: HttpNode
let cwd: string
const [alice, bob] = [new Writer(1), new Writer(2)]
const aliceRecords = alice.chain(40)
const records = [...aliceRecords, alice.patch([aliceRecords[5]!], { fork: 1 }), ...bob.chain(10)]
beforeAll(async () => {
  node = await startHttpNode()
  await node.json('/v2/records', post({ records: records.map(posted) }))
})
afterAll(() => node.close())
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'avatar-kv-archive-'))
  return () => rmSync(cwd, { recursive: true })
})

function call(...args: string[]): Promise<Outcome> {
  return run(args, { cwd, env: { AVATAR_KV_NODE: node.url('').replace(/\/$/, '') } })
}

async function json<T>(...args: string[]): Promise<T> {
  const { out } = await call(...args, '--json')
  return JSON.parse(out) as T
}

describe('export', () => {
  it('writes what a node holds, whole and under a safe name', async () => {
    const report = await json<ExportReport>('export', alice.avatar)
    expect(report).toMatchObject({ network: 'main', avatars: [alice.avatar], records: 41, gzip: false })
    expect(report.file).toMatch(/main-[0-9a-f]{12}-\d{8}T\d{6}Z\.avatar-kv\.ndjson$/)
    expect(readFileSync(report.file!)).toHaveLength(report.bytes)
    expect(readdirSync(cwd)).toHaveLength(1)
    expect(await json<CheckReport>('verify', report.file!)).toMatchObject({ valid: 41, sound: true, forked: 1 })

    const all = await call('export', '--all', '--gzip', '--out', 'all.gz')
    expect(all).toMatchObject({ code: 0, err: '' })
    expect(all.out).toMatch(/^exported {2}51 records, \d+\.\d kB, to .*all\.gz\n$/)
    expect(gunzipSync(readFileSync(join(cwd, 'all.gz'))).toString()).toContain(bob.avatar)
  })

  it('replaces no file unless told to, and leaves nothing behind where it fails', async () => {
    writeFileSync(join(cwd, 'mine'), 'precious')
    expect(await call('export', '--all', '--out', 'mine')).toMatchObject({ code: 1, out: '' })
    expect(readFileSync(join(cwd, 'mine'), 'utf8')).toBe('precious')
    expect((await call('export', '--all', '--out', 'mine', '--force')).code).toBe(0)
    expect((await call('verify', 'mine')).code).toBe(0)
    const unknown = await call('export', new Writer(9).avatar, '--out', 'none')
    expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining('unknown_avatar')])
    expect((await call('export', '--all', '--out', 'no/such/folder')).code).toBe(1)
    expect(readdirSync(cwd)).toEqual(['mine'])
  })

  it('writes bytes alone to standard output', async () => {
    const { code, out, err } = await call('export', bob.avatar, '--out', '-')
    expect([code, err]).toEqual([0, expect.stringMatching(/^exported {2}\d/)])
    expect(out.startsWith('{"avatars":["')).toBe(true)
    expect(out.trimEnd().split('\n')).toHaveLength(12)
    const checked = await run(['verify', '-'], { cwd, stdin: out })
    expect(checked).toMatchObject({ code: 0, err: 'sound and complete\n' })
  })

  it.each([
    [['export'], 'Name the avatars'],
    [['export', '--all', alice.avatar], 'not both'],
    [['export', 'nobody'], 'An avatar is'],
    [['export', '--all', '--network', 'main'], 'go with --data-dir only'],
    [['export', '--all', '--node', 'http://127.0.0.1:1', '--data-dir', 'data'], 'not both'],
    [['import', 'x', '--only', 'nobody'], 'An avatar is'],
  ])('%#: is told how it is typed', async (args, message) => {
    const { code, err } = await call(...args)
    expect([code, err]).toEqual([2, expect.stringContaining(message)])
    expect(readdirSync(cwd)).toEqual([])
  })
})

describe('import', () => {
  it('moves everything between nodes and data directories', async () => {
    await call('export', '--all', '--out', 'a')
    const first = await json<ImportReport>('import', 'a', '--data-dir', 'data')
    expect(first).toMatchObject({ records: 51, stored: 51, sound: true })
    expect(await json<ImportReport>('import', 'a', '--data-dir', 'data')).toMatchObject({ stored: 0, duplicate: 51 })
    const back = await json<ExportReport>('export', '--all', '--data-dir', 'data', '--out', 'b')
    expect(back).toMatchObject({ records: 51, avatars: 'all' })
    expect(linesOf(readFileSync(join(cwd, 'b'))).slice(1, -1)).toEqual(
      linesOf(readFileSync(join(cwd, 'a'))).slice(1, -1),
    )
    const other = await startHttpNode()
    try {
      const url = other.url('')
      const only = ['--only', bob.avatar, '--node', url]
      expect(await json<ImportReport>('import', 'b', ...only)).toMatchObject({ stored: 10, skipped: 41, sound: true })
      const nobody = testKey(77).avatar
      const none = await call('import', 'b', '--only', nobody, '--node', url)
      expect([none.code, none.err]).toEqual([
        1,
        expect.stringContaining(`no sound record of ${nobody}, which was asked`),
      ])
      const { code, out, err } = await call('import', 'b', '--node', url)
      expect([code, err]).toEqual([0, ''])
      expect(out).toMatch(/records +51 read.*\nstored +41 new.*\nduplicate +10 were/)
      const views = await Promise.all([node, other].map((each) => each.json(`/v2/avatars/${alice.avatar}`)))
      expect(views[1]!.body.digest).toBe(views[0]!.body.digest)
    } finally {
      await other.close()
    }
  })

  it('takes what is sound, says what is not, and where', async () => {
    const lines = linesOf(await archiveOf(bob.chain(0).concat(records)))
    writeFileSync(
      join(cwd, 'damaged'),
      joined([...lines.slice(0, 20), lines[20]!.replace('{\\"k', '{\\"K'), ...lines.slice(21, -1)]),
    )
    const { code, out, err } = await call('import', 'damaged', '--data-dir', 'data')
    expect(code).toBe(1)
    expect(out).toMatch(/\ninvalid +1 are not genuine/)
    expect(err).toMatch(/not sound:\n {2}line 21: bad_record \(invalid_signature\): .*\n {2}line 53: trailer_missing/)
    const again = await call('verify', 'damaged')
    expect([again.code, again.err]).toEqual([1, expect.stringContaining('NOT sound')])
    expect(again.out).toContain('trailer  MISSING')
  })

  it.each([
    ['no file', undefined, 'there is no such file'],
    ['no archive', 'hello\n', 'is not an archive'],
    ['another network', '{"created_at":1,"format":"avatar-kv-archive/2","network":"test"}\n', 'wrong_network'],
    ['a newer one', '{"created_at":1,"format":"avatar-kv-archive/9","network":"main"}\n', 'wrong_format'],
  ])('has a clear word for %s', async (_what, text, message) => {
    if (text !== undefined) writeFileSync(join(cwd, 'file'), text)
    for (const args of [
      ['import', 'file'],
      ['import', 'file', '--data-dir', 'data'],
      ['verify', 'file', '--network', 'main'],
    ]) {
      const { code, err } = await call(...args)
      expect([code, err]).toEqual([1, expect.stringContaining(message)])
    }
  })

  it('says that a node runs on a data directory, or that there is none', async () => {
    await call('export', '--all', '--out', 'a')
    expect((await call('export', '--all', '--data-dir', 'data')).err).toContain('There are no data of a node')
    expect(existsSync(join(cwd, 'data'))).toBe(false)
    await call('import', 'a', '--data-dir', 'data', '--network', 'main')
    const wrong = await call('import', 'a', '--data-dir', 'data', '--network', 'test')
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringContaining('network')])
    // Two at once: one of them finds the directory locked.
    const both = await Promise.all([
      call('import', 'a', '--data-dir', 'data'),
      call('import', 'a', '--data-dir', 'data'),
    ])
    expect(both.map(({ code }) => code).sort()).toEqual([0, 1])
    expect(both.map(({ err }) => err).join('')).toContain('stop it, or use it with --node URL')
  })
})

describe('progress', () => {
  it('leaves no half of a line behind when a signal ends the process, and says what to do', () => {
    const environment = { clock: { now: () => 1_000 } } as Parameters<typeof createProgress>[0]['environment']
    const seen: string[] = []
    const cleanups = new Set<() => void>()
    const onInterrupt = (clean: () => void) => {
      cleanups.add(clean)
      return () => void cleanups.delete(clean)
    }
    const streams = { environment, onInterrupt, note: (text: string) => void seen.push(text) }
    const options = { label: 'import', totalBytes: 10, interrupted: 'Run it again.' }
    const progress = createProgress({ ...streams, draw: (line) => void seen.push(line) }, options)
    progress.at({ records: 1, bytes: 5 })
    for (const clean of cleanups) clean()
    expect(seen).toEqual([expect.stringMatching(/^import \[/), '', 'avatar-kv: interrupted. Run it again.'])
    progress.end()
    expect(cleanups.size).toBe(0)
  })

  it('shows how far it is where there is a terminal, and nothing elsewhere', () => {
    let now = 0
    const drawn: string[] = []
    const streams = { note: () => undefined, onInterrupt: () => () => undefined }
    const environment = { clock: { now: () => now } } as Parameters<typeof createProgress>[0]['environment']
    const progress = createProgress(
      { environment, ...streams, draw: (line) => void drawn.push(line) },
      { label: 'import', totalBytes: 1_000, interrupted: 'Run it again.' },
    )
    progress.at({ records: 1, bytes: 100 })
    now = 50
    progress.at({ records: 2, bytes: 200 })
    now = 4_000
    progress.at({ records: 5_000, bytes: 500 })
    progress.end()
    expect(drawn).toEqual([
      'import [############............] 50 %, 5000 records, 500 B, 1250/s, 4 s left'.replace('%,', '%'),
      '',
    ])
    const silent = createProgress({ environment, ...streams, draw: undefined }, { label: 'x', interrupted: '' })
    expect(() => silent.at({ records: 1 })).not.toThrow()
    expect([0, 999, 1_500, 2_500_000, 3e9].map(sizeText)).toEqual(['0 B', '999 B', '1.5 kB', '2.5 MB', '3.0 GB'])
  })
})
