import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { createCluster } from '../support/cluster.ts'
import type { Cluster } from '../support/cluster.ts'
import { buildHouse, done, inventory, moveIn, writeAsVersion1 } from './migrate-house.ts'
import { cite } from '../support/writer.ts'

const PATCHES = 3_000
const WRITTEN_MEANWHILE = 40

let cluster: Cluster
let folder: string

beforeAll(async () => {
  cluster = await createCluster()
  folder = await mkdtemp(join(tmpdir(), 'avatar-kv-migrate-file-'))
})

afterAll(async () => {
  await cluster.close()
  await rm(folder, { recursive: true, force: true })
})

test('an avatar moves by file, while it is written to; then its old host is gone', async () => {
  const [x, y] = [await cluster.start('x'), await cluster.start('y')]
  const house = buildHouse('house by file', PATCHES)
  const { avatar } = house
  await moveIn(x, house.records)
  let tips = house.tips
  const write = async (): Promise<void> => {
    const record = house.writer.write({ meanwhile: tips.length }, { prev: tips })
    await moveIn(x, [record])
    tips = cite(record)
  }
  const exported = async (file: string): Promise<{ records: number }> =>
    JSON.parse(await done(['export', avatar, '--node', x.url, '--out', file, '--gzip', '--json'], folder)) as {
      records: number
    }

  let isWriting = true
  const writing = (async () => {
    for (let at = 0; at < WRITTEN_MEANWHILE || isWriting; at += 1) await write()
  })()
  const first = await exported('first.ndjson.gz')
  await done(['import', 'first.ndjson.gz', '--node', y.url], folder)
  isWriting = false
  await writing
  expect(first.records).toBeGreaterThanOrEqual(PATCHES)

  // What was written meanwhile comes with the next file, which only adds to what is there.
  await exported('second.ndjson.gz')
  await done(['verify', 'second.ndjson.gz'], folder)
  await done(['import', 'second.ndjson.gz', '--node', y.url], folder)
  const last = await x.api.avatarText(avatar)
  const before = await inventory(x, avatar)
  await x.kill()

  expect(before.length).toBeGreaterThanOrEqual(PATCHES + WRITTEN_MEANWHILE)
  expect(await inventory(y, avatar)).toEqual(before)
  expect(await y.api.avatarText(avatar)).toBe(last)
  expect(await y.api.avatar(avatar)).toMatchObject({ pending: 5, missing: { total: 1, ids: [house.lost.id] } })
  const proofs = await writeAsVersion1(y.url, house, { platform: 'twitter', identity: 'Alice', patch: { moved: true } })
  expect(proofs.find(({ platform }) => platform === 'twitter')?.content).toMatchObject({ moved: true })
})
