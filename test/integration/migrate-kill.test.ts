import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { createCluster } from './cluster.ts'
import type { Cluster, NodeProcess } from './cluster.ts'
import { buildHouse, command, done, inventory, moveIn } from './migrate-house.ts'
import type { House } from './migrate-house.ts'
import { sleep } from './until.ts'

/** On each of the three sides. */
const POINTS = 10
const PATCHES = 400
/** Before this part of an undisturbed migration its process only starts. */
const FIRST_PART = 0.35
/** Moments are random, from this; name one in MIGRATE_SEED to have them again. */
const SEED = process.env['MIGRATE_SEED'] ?? String(Date.now())

let cluster: Cluster
let folder: string
let source: NodeProcess
let target: NodeProcess
/** Duration of an undisturbed migration by URL, its process's start included. */
let wholeMs = 0

beforeAll(async () => {
  console.log(`MIGRATE_SEED=${SEED}`)
  cluster = await createCluster()
  folder = await mkdtemp(join(tmpdir(), 'avatar-kv-migrate-kill-'))
  source = await cluster.start('source')
  target = await cluster.start('target')
  const house = buildHouse('kill: undisturbed', PATCHES)
  await moveIn(source, house.records)
  const startMs = performance.now()
  await done(['migrate', house.avatar, '--from', source.url, '--to', target.url], folder)
  wholeMs = performance.now() - startMs
}, 120_000)

afterAll(async () => {
  await cluster.close()
  await rm(folder, { recursive: true, force: true })
})

type Side = 'source' | 'target' | 'migration'

test.each<Side>(['source', 'target', 'migration'])(
  `kill -9 of the %s at ${POINTS} random moments: run again, it ends equal`,
  async (side) => {
    let midway = 0
    for (let point = 0; point < POINTS; point += 1) {
      const house = buildHouse(`kill: ${side} ${point}`, PATCHES)
      await moveIn(source, house.records)
      const args = argsFor(house, point)
      const moving = command(args, folder)
      await sleep(wholeMs * (FIRST_PART + (1 - FIRST_PART) * random(`${side} ${point}`)))
      if (moving.isRunning()) midway += 1
      await kill(side, moving)
      await moving.ended()
      await done(args, folder)
      await expectEqual(house)
    }
    // Otherwise the moments would have proved nothing.
    expect(midway).toBeGreaterThanOrEqual(POINTS / 2)
  },
  240_000,
)

/** By URL and by multiaddr in turns, with a folder that stays and without. */
function argsFor({ avatar }: House, point: number): string[] {
  const [from, to] = point % 2 === 0 ? [source.url, target.url] : [source.address, target.address]
  const args = ['migrate', avatar, '--from', from, '--to', to]
  return point % 4 < 2 ? [...args, '--work-dir', 'work'] : args
}

/** A node that was killed comes back at once; the migration may still be under way then. */
async function kill(side: Side, moving: ReturnType<typeof command>): Promise<void> {
  if (side === 'migration') return moving.signal('SIGKILL')
  const node = side === 'source' ? source : target
  await node.kill()
  await node.restart()
}

async function expectEqual({ avatar, records, lost }: House): Promise<void> {
  const shown = await target.api.avatarText(avatar)
  expect(shown).toBe(await source.api.avatarText(avatar))
  expect(JSON.parse(shown)).toMatchObject({ pending: 5, missing: { total: 1, ids: [lost.id] } })
  expect(await inventory(target, avatar)).toEqual(records.map(({ id }) => id).toSorted())
}

/** From 0 to 1, by the seed. */
function random(name: string): number {
  return createHash('sha256').update(`${SEED} ${name}`).digest().readUInt32BE() / 2 ** 32
}
