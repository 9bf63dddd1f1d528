import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { pino } from 'pino'
import { afterAll, beforeAll, expect, it } from 'vitest'

import { importDoor } from '../../src/ingest/retry.ts'
import { decodeFrames } from '../../src/backup/frames.ts'
import type { BackupEnd } from '../../src/backup/manifest.ts'
import { readBackup } from '../../src/backup/read.ts'
import { restoreRecords } from '../../src/backup/restore.ts'
import { writeBackup } from '../../src/backup/write.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { openWholeStore } from '../../src/offline/open.ts'
import { OPERATOR_TOKEN, startHttpNode } from '../http/node.ts'
import type { HttpNode } from '../http/node.ts'
import { newKey, postRecords, signedPatch, signedSnapshot } from '../http/writer.ts'
import { viewOf } from '../store/read-whole.ts'

let node: HttpNode
let folder: string
beforeAll(async () => {
  node = await startHttpNode()
  folder = await mkdtemp(join(tmpdir(), 'avatar-kv-backup-'))
})
afterAll(async () => {
  await node.close()
  await rm(folder, { recursive: true })
})

const PATH = '/v2/operator/backup'
const environment = systemEnvironment()
const logger = pino({ level: 'silent' })

const asked = (token: string) => node.fetch(PATH, { headers: { authorization: `Bearer ${token}` } })

it('gives everything to the operator, and nothing to others', async () => {
  const history = newKey()
  const first = signedPatch(history)
  const second = signedPatch(history, { prev: [first.citation] })
  const forks = [signedPatch(history, { prev: [second.citation] }), signedPatch(history, { prev: [second.citation] })]
  const lost = signedPatch(history, { prev: [forks[0]!.citation] })
  const pending = signedPatch(history, { prev: [lost.citation] })
  const owner = newKey()
  const old = signedPatch(owner)
  const snapshot = signedSnapshot(owner, [old.citation], [])
  const blocked = newKey()
  await postRecords(node, [first, second, ...forks, pending, old, snapshot, signedPatch(blocked)])
  await node.hosting.block([blocked.avatar], { forget: false })

  for (const token of ['', 'cd'.repeat(32)]) expect((await asked(token)).status).toBe(401)
  expect((await node.fetch(PATH)).status).toBe(401)

  const response = await asked(OPERATOR_TOKEN)
  expect(response.status).toBe(200)
  expect(response.headers.get('access-control-allow-origin')).toBe(null)
  const { chunks, end } = decodeFrames(response.body as AsyncIterable<Uint8Array>)
  const path = join(folder, 'backup')
  const manifest = await writeBackup(path, { chunks, facts: () => ({ ...end(), peer_id: null }), files: {} })
  expect(manifest).toMatchObject({ avatars: 3, live: 7, epoch: node.store.epoch, network: 'main' })

  const dataDir = join(folder, 'restored')
  const place = (await openWholeStore({ dataDir, network: 'main' }, { environment, logger }, { create: true }))!
  const submit = importDoor(place.ingest, environment.timers)
  const options = { submit, store: place.store, onProgress: () => {} }
  const report = await restoreRecords(path, await readBackup(path), options)
  expect(report).toMatchObject({ records: manifest.records, pending: 1, refused: 0, invalid: 0, sound: true })
  for (const { avatar } of [history, owner, blocked]) {
    expect(await viewOf(place.store, avatar)).toEqual(await viewOf(node.store, avatar))
  }
  expect(place.store.epoch).not.toBe(manifest.epoch)

  // What was written since makes another state, which the backup must not be taken for.
  await place.ingest.submit([signedPatch(newKey())], { origin: 'import' })
  await expect(restoreRecords(path, manifest, options)).rejects.toMatchObject({ code: 'incomplete' })
  await place.close()
})

it('says what a record that is refused keeps from being restored', async () => {
  const key = newKey()
  const path = join(folder, 'ahead')
  await postRecords(node, [signedPatch(key)])
  const { chunks, end } = decodeFrames((await asked(OPERATOR_TOKEN)).body as AsyncIterable<Uint8Array>)
  const manifest = await writeBackup(path, { chunks, facts: () => ({ ...end(), peer_id: null }), files: {} })
  const early = { ...environment, clock: { now: () => Date.now() - 24 * 3_600_000 } }
  const dataDir = join(folder, 'early')
  const place = (await openWholeStore({ dataDir, network: 'main' }, { environment: early, logger }, { create: true }))!
  const submit = importDoor(place.ingest, environment.timers)
  const restoring = restoreRecords(path, manifest, { submit, store: place.store, onProgress: () => {} })
  await expect(restoring).rejects.toThrow(
    /Not everything could be restored: \d+ records were refused, created_at_ahead/,
  )
  await place.close()
})

it('gives one backup at a time, and lets go of one whose reader has left', async () => {
  const key = newKey()
  // More than fits into the buffers on the way, and hardly compresses.
  for (let round = 0; round < 8; round++) {
    const noise = Array.from({ length: 10 }, () =>
      signedPatch(key, { patch: { noise: randomBytes(180_000).toString('base64') } }),
    )
    await postRecords(node, noise)
  }
  const headers = { authorization: `Bearer ${OPERATOR_TOKEN}` }
  const request = get({ port: node.port, path: PATH, headers })
  const response = await new Promise<import('node:http').IncomingMessage>(
    (resolve) => void request.on('response', resolve),
  )
  response.pause()
  const second = await node.json(PATH, { headers })
  expect([second.status, second.body.code]).toEqual([503, 'busy'])
  request.destroy()
  await expect.poll(async () => (await finished()).records).toBeGreaterThan(80)
})

/** The end of a backup that was read to it; nothing where there is none. */
async function finished(): Promise<Partial<BackupEnd>> {
  const response = await asked(OPERATOR_TOKEN)
  if (response.status !== 200) {
    await response.arrayBuffer()
    return {}
  }
  const { chunks, end } = decodeFrames(response.body as AsyncIterable<Uint8Array>)
  for await (const _ of chunks);
  return end()
}
