import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { pino } from 'pino'
import { afterEach, beforeEach, expect, it } from 'vitest'

import { importDoor } from '../../src/ingest/retry.ts'
import { restoreRecords } from '../../src/backup/restore.ts'
import { backupSource, totalsOf } from '../../src/backup/source.ts'
import { writeBackup } from '../../src/backup/write.ts'
import type { SignedRecord } from '../../src/record/types.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { openWholeStore } from '../../src/offline/open.ts'
import { newKey, signedPatch, signedSnapshot } from '../http/writer.ts'
import type { Written } from '../http/writer.ts'
import { viewOf } from '../store/read-whole.ts'

const environment = systemEnvironment()
const logger = pino({ level: 'silent' })

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'avatar-kv-backup-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function open(name: string) {
  const at = { dataDir: join(folder, name), network: 'main' }
  const place = (await openWholeStore(at, { environment, logger }, { create: true }))!
  return { ...place, submit: importDoor(place.ingest, environment.timers) }
}

async function copied(place: Awaited<ReturnType<typeof open>>) {
  const readSnapshot = await place.store.exportSnapshot()
  const source = backupSource(readSnapshot, { network: 'main', createdAt: 1_790_000_000 })
  const facts = { created_at: 1_790_000_000, version: '1', network: 'main', epoch: place.store.epoch, peer_id: null }
  const path = join(folder, 'backup')
  const manifest = await writeBackup(path, {
    chunks: source.chunks,
    files: {},
    facts: () => ({ ...source.totals(), ...facts }),
  })
  expect(await totalsOf(readSnapshot)).toEqual(source.totals())
  await readSnapshot.close()
  return { path, manifest }
}

it('holds superseded history too, and more of it that never was visible than may wait at once', async () => {
  const key = newKey()
  const first = signedPatch(key)
  const second = signedPatch(key, { prev: [first.citation] })
  const third = signedPatch(key, { prev: [second.citation] })
  const snapshot = signedSnapshot(key, [third.citation], [])
  const after = signedPatch(key, { prev: [snapshot.citation] })
  const lost = signedPatch(key, { prev: [first.citation] })
  // They arrive when the snapshot is there, and so wait for nothing; without it 1,024 may wait.
  const stray = (): Written => signedPatch(key, { prev: [lost.citation] })
  const strays: SignedRecord[] = Array.from({ length: 1100 }, stray)

  const from = await open('from')
  await from.submit([first, second, third])
  await from.submit([snapshot, after])
  for (let at = 0; at < strays.length; at += 250) await from.submit(strays.slice(at, at + 250))
  const { path, manifest } = await copied(from)
  expect(manifest).toMatchObject({ avatars: 1, records: 1105, live: 2 })

  const to = await open('to')
  const options = { submit: to.submit, store: to.store, onProgress: () => {} }
  const report = await restoreRecords(path, manifest, options)
  expect(report).toMatchObject({ sound: true, records: 1105, refused: 0 })
  expect(await viewOf(to.store, key.avatar)).toEqual(await viewOf(from.store, key.avatar))
  await Promise.all([from.close(), to.close()])
})
