import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { gzip, nodePlatform } from '../../src/archive/node.ts'
import { writeArchive } from '../../src/archive/writer.ts'
import { RECORDS_FILE } from '../../src/backup/manifest.ts'
import { readBackup } from '../../src/backup/read.ts'
import { beginTarget, finishTarget, isRestoring } from '../../src/backup/target.ts'
import { writeBackup } from '../../src/backup/write.ts'
import type { BackupContents } from '../../src/backup/write.ts'
import { isInUse } from '../../src/offline/open.ts'
import { newKey, signedPatch } from '../http/writer.ts'

let folder: string
let path: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'avatar-kv-backup-'))
  path = join(folder, 'deep', 'backup')
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const FACTS = {
  avatars: 1,
  records: 2,
  live: 2,
  state: 'ab'.repeat(32),
  created_at: 1_790_000_000,
  version: '0.1.0',
  network: 'main',
  epoch: '0123456789abcdef',
  peer_id: null,
}

/** A backup of two records, whose totals are taken at their word. */
function contents(change: Partial<typeof FACTS> = {}): BackupContents {
  const key = newKey()
  const records = [signedPatch(key), signedPatch(key)].toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const source = {
    async *avatars() {
      yield key.avatar
    },
    async *records() {
      yield* records
    },
  }
  const lines = writeArchive(nodePlatform, source, { network: 'main', createdAt: 1_790_000_000, history: true })
  return { chunks: gzip(lines), facts: () => ({ ...FACTS, ...change }), files: { 'peer.key': Buffer.from('secret') } }
}

describe('a backup directory', () => {
  it('is whole, for its owner alone, and reads back', async () => {
    const manifest = await writeBackup(path, contents())
    expect((await readdir(path)).toSorted()).toEqual(['backup.json', 'peer.key', RECORDS_FILE])
    expect(await readdir(join(folder, 'deep'))).toEqual(['backup'])
    expect((await stat(path)).mode & 0o777).toBe(0o700)
    for (const name of await readdir(path)) expect((await stat(join(path, name))).mode & 0o777).toBe(0o600)
    expect(await readBackup(path)).toEqual(manifest)
  })

  it('never replaces one that is there', async () => {
    await writeBackup(path, contents())
    const before = await readFile(join(path, 'backup.json'), 'utf8')
    await expect(writeBackup(path, contents())).rejects.toMatchObject({ code: 'not_empty' })
    expect(await readFile(join(path, 'backup.json'), 'utf8')).toBe(before)
  })

  it('takes the place of what an ended one left, and of nothing else', async () => {
    await mkdir(`${path}.part`, { recursive: true })
    await writeFile(join(`${path}.part`, RECORDS_FILE), 'half')
    await writeBackup(path, contents())
    expect(await readdir(join(folder, 'deep'))).toEqual(['backup'])
    await rm(path, { recursive: true })
    await mkdir(`${path}.part`)
    await writeFile(join(`${path}.part`, 'thesis.txt'), 'years of work')
    await expect(writeBackup(path, contents())).rejects.toMatchObject({ code: 'not_empty' })
    expect(await readFile(join(`${path}.part`, 'thesis.txt'), 'utf8')).toBe('years of work')
  })

  it.each<[string, () => BackupContents]>([
    ['its records are fewer than they should be', () => contents({ records: 3 })],
    ['its records are of another network', () => contents({ network: 'test' })],
    [
      'its source fails',
      () => ({
        ...contents(),
        chunks: (async function* () {
          yield Buffer.from('x')
          throw new Error('the source fails')
        })(),
      }),
    ],
  ])('is not there where %s', async (_, make) => {
    await expect(writeBackup(path, make())).rejects.toThrow(/instead of 3|network|the source fails/)
    expect(await readdir(join(folder, 'deep'))).toEqual([])
  })

  it('is not taken once a file of it was changed, cut or removed', async () => {
    await writeBackup(path, contents())
    const file = join(path, RECORDS_FILE)
    const bytes = await readFile(file)
    const flipped = Buffer.from(bytes)
    flipped[40] = (flipped[40] ?? 0) ^ 1
    for (const wrong of [flipped, bytes.subarray(0, -1), Buffer.concat([bytes, Buffer.from('x')])]) {
      await writeFile(file, wrong)
      await expect(readBackup(path)).rejects.toMatchObject({ code: 'damaged' })
    }
    await rm(file)
    await expect(readBackup(path)).rejects.toMatchObject({ code: 'damaged' })
    await rm(join(path, 'backup.json'))
    await expect(readBackup(path)).rejects.toMatchObject({ code: 'not_a_backup' })
    await expect(readBackup(join(folder, 'nowhere'))).rejects.toMatchObject({ code: 'not_a_backup' })
  })

  it('says so where the disk does not take it', async () => {
    await writeFile(join(folder, 'file'), '')
    const within = join(folder, 'file', 'within')
    await expect(writeBackup(within, contents())).rejects.toMatchObject({ code: 'unwritable' })
    await expect(beginTarget(within, isInUse)).rejects.toMatchObject({ code: 'unwritable' })
  })
})

describe('a directory that is restored to', () => {
  it('may be new or empty, and is no node until it is finished', async () => {
    for (const name of ['new/one', 'empty']) {
      const dataDir = join(folder, name)
      if (name === 'empty') await mkdir(dataDir)
      await beginTarget(dataDir, isInUse)
      expect(await isRestoring(dataDir)).toBe(true)
      await finishTarget(dataDir, { 'peer.key': Buffer.from('secret') })
      expect(await isRestoring(dataDir)).toBe(false)
      expect(await readdir(dataDir)).toEqual(['peer.key'])
      expect((await stat(join(dataDir, 'peer.key'))).mode & 0o777).toBe(0o600)
    }
  })

  it('is cleared of what an ended restore left', async () => {
    const dataDir = join(folder, 'data')
    await beginTarget(dataDir, isInUse)
    await mkdir(join(dataDir, 'store'))
    await writeFile(join(dataDir, 'store', '000001.log'), 'half')
    await writeFile(join(dataDir, 'store.mark.json'), '{"format":"avatar-kv-store/1"}')
    await writeFile(join(dataDir, 'store.mark.json.new'), '{"form')
    await writeFile(join(dataDir, 'peer.key'), 'half')
    await beginTarget(dataDir, isInUse)
    expect(await readdir(dataDir)).toEqual(['restoring.json'])
  })

  it.each([
    ['the data of a node', ['store', 'peer.key']],
    ['anything else', ['thesis.txt']],
    ['a restore and something else', ['restoring.json', 'thesis.txt']],
  ])('is left as it is where it holds %s', async (_, names) => {
    const dataDir = join(folder, 'data')
    await mkdir(dataDir)
    for (const name of names) await writeFile(join(dataDir, name), name)
    await expect(beginTarget(dataDir, isInUse)).rejects.toMatchObject({ code: 'not_empty' })
    expect((await readdir(dataDir)).toSorted()).toEqual(names.toSorted())
  })
})
