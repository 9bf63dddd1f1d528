import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { createCluster } from '../support/cluster.ts'
import type { Cluster } from '../support/cluster.ts'
import { buildHouse, command, done, moveIn } from './migrate-house.ts'
import type { House } from './migrate-house.ts'

const PATCHES = 120
const QUOTA_RECORDS = 80

let cluster: Cluster
let folder: string

beforeAll(async () => {
  cluster = await createCluster()
  folder = await mkdtemp(join(tmpdir(), 'avatar-kv-migrate-policy-'))
})

afterAll(async () => {
  await cluster.close()
  await rm(folder, { recursive: true, force: true })
})

/** Runs a migration that must fail, and returns what it says. */
async function refused({ avatar }: House, from: string, to: string): Promise<string> {
  const moving = command(['migrate', avatar, '--from', from, '--to', to, '--work-dir', 'work'], folder)
  expect(await moving.ended()).toBe(1)
  expect(moving.out()).toBe('')
  return moving.err()
}

test('a node that keeps just its own avatars takes one once it is on the list, by URL and by multiaddr', async () => {
  const x = await cluster.start('x')
  const listed = await cluster.start('listed', { flags: ['--hosting-mode', 'listed'] })
  const house = buildHouse('not on the list', PATCHES)
  await moveIn(x, house.records)
  expect(await refused(house, x.url, listed.url)).toContain('not_hosted')
  expect(await refused(house, x.address, listed.address)).toContain('shows nothing of the avatar')
  expect(await refused(house, listed.url, x.url)).toContain('not_hosted')

  await done(['host', 'add', house.avatar, '--data-dir', listed.dataDir, '--node', listed.url], folder)
  await done(['migrate', house.avatar, '--from', x.address, '--to', listed.address, '--work-dir', 'work'], folder)
  expect(await listed.api.avatarText(house.avatar)).toBe(await x.api.avatarText(house.avatar))
})

test('an avatar that is larger than a node grants moves once its owner has made a snapshot', async () => {
  const x = await cluster.start('large')
  const small = await cluster.start('small', { flags: ['--quota-avatar-records', String(QUOTA_RECORDS)] })
  const house = buildHouse('too large', PATCHES)
  const settled = house.records.slice(0, 100)
  await moveIn(x, settled)
  const said = await refused(house, x.url, small.url)
  expect(said).toContain('avatar_quota')
  expect(said).toContain('avatar-kv snapshot')
  // What it took is old, and nothing but old.
  expect(await small.api.avatar(house.avatar)).toMatchObject({ head: expect.any(Number), pending: 0 })

  const key = createHash('sha256').update(`test writer ${house.name}`).digest('hex')
  await writeFile(join(folder, 'large.key'), `${key}\n`, { mode: 0o600 })
  await done(['snapshot', '--key', 'large.key', '--node', x.url, '--yes'], folder)
  await done(['migrate', house.avatar, '--from', x.url, '--to', small.url, '--work-dir', 'work'], folder)
  expect(await small.api.avatarText(house.avatar)).toBe(await x.api.avatarText(house.avatar))
  expect(await small.api.avatar(house.avatar)).toMatchObject({ base: { counter: expect.any(Number) } })
})
