import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { createRelay } from './counting-relay.ts'
import type { CountingRelay } from './counting-relay.ts'
import { createCluster } from '../support/cluster.ts'
import type { Cluster, NodeProcess } from '../support/cluster.ts'
import { buildHouse, command, done, inventory, moveIn } from './migrate-house.ts'
import type { House } from './migrate-house.ts'

/** On each of the three sides, by URL and by multiaddr: 30 in all. */
const POINTS = 5
const PATCHES = 300
/** Moments are random bytes on the line, from this; name one in MIGRATE_SEED to have them again. */
const SEED = process.env['MIGRATE_SEED'] ?? String(Date.now())

type Side = 'source' | 'target' | 'migration'
type Way = 'url' | 'address'

const SIDES: readonly Side[] = ['source', 'target', 'migration']
const WAYS: readonly Way[] = ['url', 'address']

let cluster: Cluster
let folder: string
let source: NodeProcess
let target: NodeProcess
let relays: readonly [CountingRelay, CountingRelay]
/** Bytes that went over the relays since it was last set to 0, and who waits for some number of them. */
let passed = 0
let waiting: { readonly bytes: number; readonly reached: () => void } | undefined
/** Bytes of an undisturbed migration. */
const whole: Record<Way, number> = { url: 0, address: 0 }

beforeAll(async () => {
  console.log(`MIGRATE_SEED=${SEED}`)
  cluster = await createCluster()
  folder = await mkdtemp(join(tmpdir(), 'avatar-kv-migrate-kill-'))
  source = await cluster.start('source')
  target = await cluster.start('target')
  const count = (bytes: number): void => {
    passed += bytes
    if (waiting !== undefined && passed >= waiting.bytes) waiting.reached()
  }
  relays = [await createRelay(source, count), await createRelay(target, count)]
  for (const way of WAYS) {
    const house = buildHouse(`kill: undisturbed ${way}`, PATCHES)
    await moveIn(source, house.records)
    passed = 0
    await done(argsFor(house, way, 1), folder)
    whole[way] = passed
  }
})

afterAll(async () => {
  for (const relay of relays) await relay.close()
  await cluster.close()
  await rm(folder, { recursive: true, force: true })
})

test.each(SIDES.flatMap((side) => WAYS.map((way) => [side, way] as const)))(
  `kill -9 of the %s at ${POINTS} random moments, by %s: run again, it ends equal`,
  async (side, way) => {
    let midway = 0
    for (let point = 0; point < POINTS; point += 1) {
      const house = buildHouse(`kill: ${side} ${way} ${point}`, PATCHES)
      await moveIn(source, house.records)
      const args = argsFor(house, way, point)
      passed = 0
      const moving = command(args, folder)
      await Promise.race([bytesOnLine(whole[way] * random(`${side} ${way} ${point}`)), moving.ended()])
      if (moving.isRunning()) midway += 1
      await kill(side, moving)
      await moving.ended()
      await done(args, folder)
      await expectEqual(house)
    }
    // Otherwise the moments would have proved nothing.
    expect(midway).toBeGreaterThanOrEqual(POINTS - 1)
  },
)

/** Resolves once so many bytes have gone between the migration and the two nodes. */
function bytesOnLine(bytes: number): Promise<void> {
  return new Promise((reached) => {
    waiting = { bytes, reached }
  })
}

/** With a folder that stays and without, in turns. */
function argsFor({ avatar }: House, way: Way, point: number): string[] {
  const args = ['migrate', avatar, '--from', relays[0][way], '--to', relays[1][way]]
  return point % 2 === 0 ? [...args, '--work-dir', 'work'] : args
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
