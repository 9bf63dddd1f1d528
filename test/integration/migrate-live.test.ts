import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { createCluster } from '../support/cluster.ts'
import type { Cluster, NodeProcess } from '../support/cluster.ts'
import { buildHouse, command, done, inventory, moveIn, writeAsVersion1 } from './migrate-house.ts'
import type { House } from './migrate-house.ts'
import { until } from '../support/until.ts'
import { cite } from '../support/writer.ts'

const PATCHES = 3_000
/** Written one by one while the avatar moves. */
const WRITTEN_MEANWHILE = 60

let cluster: Cluster
let folder: string
let house: House

beforeAll(async () => {
  cluster = await createCluster()
  folder = await mkdtemp(join(tmpdir(), 'avatar-kv-migrate-'))
  house = buildHouse('house', PATCHES)
})

afterAll(async () => {
  await cluster.close()
  await rm(folder, { recursive: true, force: true })
})

const addresses: readonly [string, (node: NodeProcess) => string][] = [
  ['URL', ({ url }) => url],
  ['multiaddr', ({ address }) => address],
]

test.each(addresses)(
  'an avatar moves live by %s, while it is written to; then its old host is gone',
  async (by, addressOf) => {
    const [x, y] = [await cluster.start(`x ${by}`), await cluster.start(`y ${by}`)]
    await moveIn(x, house.records)
    const { avatar } = house
    const moving = command(['migrate', avatar, '--from', addressOf(x), '--to', addressOf(y), '--watch'], folder)

    let tips = house.tips
    for (let at = 0; at < WRITTEN_MEANWHILE; at += 1) {
      const record = house.writer.write({ meanwhile: at }, { prev: tips, platform: 'twitter', identity: 'Alice' })
      await moveIn(x, [record])
      tips = cite(record)
    }
    const last = await x.api.avatarText(avatar)
    await until(async () => (await y.api.avatarText(avatar)) === last, 'the new host shows the last write', 60_000)
    const before = await inventory(x, avatar)
    expect(before).toHaveLength(PATCHES + WRITTEN_MEANWHILE)

    // The loss of a host is told. It may take a silent stream (45 s), the longest pause before a retry (30 s) and a request (15 s).
    await x.kill()
    await until(async () => moving.err().includes('Warning:'), 'the loss of the old host is told', 120_000)
    expect(moving.isRunning()).toBe(true)
    moving.signal('SIGINT')
    expect(await moving.ended()).toBe(0)
    expect(moving.out()).toContain(`is at ${addressOf(y)} now`)

    expect(await y.api.avatarText(avatar)).toBe(last)
    expect(await inventory(y, avatar)).toEqual(before)
    expect(await y.api.avatar(avatar)).toMatchObject({ pending: 5, missing: { total: 1, ids: [house.lost.id] } })

    const proofs = await writeAsVersion1(y.url, house, {
      platform: 'github',
      identity: 'alice',
      patch: { 'moved in': true },
    })
    expect(proofs).toHaveLength(4)
    expect(proofs.find(({ platform }) => platform === 'github')?.content).toMatchObject({ 'moved in': true })
    await y.stop()
  },
)

test('it moves back and forth, and nobody ever gets less', async () => {
  const [x, y] = [await cluster.start('forth'), await cluster.start('back')]
  await moveIn(x, house.records.slice(0, 600))
  const { avatar } = house
  const move = async (from: string, to: string): Promise<Record<string, unknown>> =>
    JSON.parse(await done(['migrate', avatar, '--from', from, '--to', to, '--json'], folder)) as Record<string, unknown>

  const first = await move(x.url, y.address)
  expect(first).toMatchObject({
    outcome: 'equal',
    moved: { read: 600, given: 600, extra: 0 },
    receipt: null,
    homes: null,
  })
  const [proof] = await writeAsVersion1(y.url, house, { platform: 'twitter', identity: 'Alice', patch: { back: 1 } })
  expect(proof).toBeDefined()
  const second = await move(y.address, x.url)
  expect(second).toMatchObject({ outcome: 'equal', receipt: { avatar, peer_id: (await x.api.status()).peer_id } })
  expect(await x.api.avatarText(avatar)).toBe(await y.api.avatarText(avatar))
  const third = await move(x.url, y.url)
  expect(third).toMatchObject({ outcome: 'equal', moved: { read: 601, given: 0, extra: 0 }, rounds: 1 })
})
