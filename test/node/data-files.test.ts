import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { loadConfig } from '../../src/config/load.ts'
import { createNode, type Started } from '../../src/node/node.ts'
import { createLogger } from '../../src/observe/logger.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { run, type Outcome } from '../cli/run.ts'
import { Writer } from '../store/writer.ts'

const NOTES = 'data-files.json'
const blocked = new Writer(9).avatar

let cwd: string
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'avatar-kv-data-files-'))
})
afterEach(() => rm(cwd, { recursive: true, force: true }))

const at = (name: string): string => join(cwd, 'data', name)
const read = (name: string): Promise<string> => readFile(at(name), 'latin1')
const call = (...args: readonly string[]): Promise<Outcome> => run([...args, '--data-dir', 'data'], { cwd })

/** Starts a node on the directory and stops it. */
async function visit(): Promise<{ readonly started: Started; readonly warnings: readonly string[] }> {
  const lines: { part?: string; msg: string }[] = []
  const logger = createLogger(
    { level: 'warn', pretty: false },
    { write: (line) => void lines.push(JSON.parse(line) as (typeof lines)[number]) },
  )
  const flags = { data_dir: 'data', http: '127.0.0.1:0', listen: ['/ip4/127.0.0.1/tcp/0'] }
  const config = loadConfig({ flags, env: {}, cwd })
  const node = await createNode(config, { environment: systemEnvironment(), logger })
  try {
    const started = await node.start()
    // Run from its sources, a node has no threads that verify, and says so.
    return { started, warnings: lines.filter(({ part }) => part !== 'verify').map(({ msg }) => msg) }
  } finally {
    await node.stop()
  }
}

/** A data directory whose node ran, and whose operator blocked an avatar. */
async function used(): Promise<void> {
  await visit()
  expect(await call('host', 'block', blocked)).toMatchObject({ code: 0 })
}

test('a start notes the files that it makes, and the next start finds all as it was', async () => {
  const first = await visit()
  expect(JSON.parse(await read(NOTES))).toEqual({
    format: 'avatar-kv-data-files/1',
    made: ['hosting.log', 'operator-token', 'peer.key'],
  })
  const token = await read('operator-token')
  const second = await visit()
  expect(second.started.peer_id).toBe(first.started.peer_id)
  expect(await read('operator-token')).toBe(token)
  expect([...first.warnings, ...second.warnings]).toEqual([])
})

test('a data directory of an earlier version opens as before and gets its notes', async () => {
  await used()
  const notes = await read(NOTES)
  await rm(at(NOTES))
  expect((await visit()).warnings).toEqual([])
  expect(await read(NOTES)).toBe(notes)
  expect((await call('host', 'list', '--blocked')).out).toContain(blocked)
})

test.each([
  ['missing', () => rm(at('hosting.log'))],
  ['empty', () => truncate(at('hosting.log'), 0)],
  ['cut within its first line', () => truncate(at('hosting.log'), 20)],
  ['missing, and the notes are damaged', () => Promise.all([rm(at('hosting.log')), writeFile(at(NOTES), '{"ma')])],
])('where hosting.log is %s, no node starts and no command takes the lists for empty ones', async (_, lose) => {
  await used()
  await lose()
  const before = await read('hosting.log').catch(() => undefined)
  await expect(visit()).rejects.toMatchObject({
    name: 'HostingError',
    code: 'lost',
    message: expect.stringMatching(
      /hosting\.log are lost.*Restore.*backup.*empty lists.*remove .*data-files\.json/,
    ) as string,
  })
  for (const args of [
    ['host', 'list'],
    ['host', 'add', blocked],
    ['invite', 'create'],
  ]) {
    const { code, out, err } = await call(...args)
    expect([code, out]).toEqual([1, ''])
    expect(err).toContain('hosting.log are lost')
  }
  expect(await read('hosting.log').catch(() => undefined)).toBe(before)
})

test('lists begin empty where the operator says so', async () => {
  await used()
  await rm(at('hosting.log'))
  await rm(at(NOTES))
  expect((await visit()).warnings).toEqual([])
  expect((await call('host', 'list', '--blocked')).out).toBe('')
})

test('a node whose hosting.log came back from a backup goes on with it', async () => {
  await used()
  const lists = await read('hosting.log')
  await rm(at('hosting.log'))
  await expect(visit()).rejects.toMatchObject({ code: 'lost' })
  await writeFile(at('hosting.log'), lists)
  await visit()
  expect((await call('host', 'list', '--blocked')).out).toContain(blocked)
})

test('a node that lost its peer key or its operator token says so once', async () => {
  const { started } = await visit()
  await rm(at('peer.key'))
  await rm(at('operator-token'))
  const again = await visit()
  expect(again.started.peer_id).not.toBe(started.peer_id)
  expect(again.warnings).toEqual([
    expect.stringMatching(/^The peer key is lost.*new peer id.*Receipts/),
    expect.stringMatching(/^The operator token is lost/),
  ])
  expect((await visit()).warnings).toEqual([])
})

test('neither a backup nor a repair passes over a lost file', async () => {
  await used()
  for (const name of ['hosting.log', 'peer.key', 'operator-token']) await rm(at(name))
  const backup = await call('backup', 'saved')
  expect([backup.code, backup.out]).toEqual([1, ''])
  expect(backup.err).toContain('hosting.log are lost, so no backup was made')
  const repair = await call('repair', '--out', 'repaired')
  for (const name of ['hosting.log', 'peer.key', 'operator-token']) {
    expect(repair.err).toContain(`Warning: ${name} is missing.`)
  }
})
