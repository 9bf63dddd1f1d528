import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { createCluster } from '../support/cluster.ts'
import type { Cluster, NodeProcess } from '../support/cluster.ts'
import { buildHouse, command, done, inventory, moveIn } from './migrate-house.ts'
import type { Command, House } from './migrate-house.ts'
import { until } from '../support/until.ts'
import { cite } from '../support/writer.ts'

const PATCHES = 200

let cluster: Cluster
let folder: string

beforeAll(async () => {
  cluster = await createCluster()
  folder = await mkdtemp(join(tmpdir(), 'avatar-kv-migrate-watch-'))
})

afterAll(async () => {
  await cluster.close()
  await rm(folder, { recursive: true, force: true })
})

const WAYS: readonly (readonly ['URL' | 'multiaddr', 'URL' | 'multiaddr'])[] = [
  ['URL', 'URL'],
  ['URL', 'multiaddr'],
  ['multiaddr', 'multiaddr'],
]

test.each(WAYS)(
  '--watch from %s to %s keeps both equal, whichever is written to, and across restarts',
  async (by, to) => {
    const [x, y] = [await cluster.start(`x ${by} ${to}`), await cluster.start(`y ${by} ${to}`)]
    const house = buildHouse(`watched ${by} ${to}`, PATCHES)
    await moveIn(x, house.records)
    const address = (node: NodeProcess, how: string): string => (how === 'URL' ? node.url : node.address)
    const watching = command(
      ['migrate', house.avatar, '--from', address(x, by), '--to', address(y, to), '--watch', '--json'],
      folder,
    )
    try {
      await until(async () => watching.err().includes('keeps both hosts equal'), 'both are watched', 60_000)
      expect(JSON.parse(watching.out().split('\n')[0] ?? '')).toMatchObject({ outcome: 'equal', pending: 5 })

      let tips = house.tips
      for (const [at, node] of [x, y, y, x].entries()) {
        const record = house.writer.write({ [`at ${node.name}`]: at }, { prev: tips })
        await moveIn(node, [record])
        tips = cite(record)
        await untilBothShow(house, [x, y], record.counter)
      }

      await y.kill()
      const record = house.writer.write({ 'while one was away': true }, { prev: tips })
      await moveIn(x, [record])
      await y.restart()
      await untilBothShow(house, [x, y], record.counter)
      await end(watching)
    } finally {
      watching.signal('SIGKILL')
    }
  },
)

test.each(['old', 'new'] as const)(
  '--watch gives the %s host everything again when its disk was lost, what it had handed out itself included',
  async (lost) => {
    const [x, y] = [await cluster.start(`x lost ${lost}`), await cluster.start(`y lost ${lost}`)]
    const house = buildHouse(`watched, ${lost} lost`, PATCHES)
    await moveIn(x, house.records)
    const watching = command(['migrate', house.avatar, '--from', x.url, '--to', y.url, '--watch'], folder)
    try {
      await until(async () => watching.err().includes('keeps both hosts equal'), 'both are watched', 60_000)
      const node = lost === 'old' ? x : y
      const record = house.writer.write({ at: lost }, { prev: house.tips })
      await moveIn(node, [record])
      await untilBothShow(house, [x, y], record.counter)
      const before = await inventory(x, house.avatar)

      await node.stop()
      await rm(node.dataDir, { recursive: true })
      await node.restart()
      await untilBothShow(house, [x, y], record.counter)
      for (const each of [x, y]) expect(await inventory(each, house.avatar)).toEqual(before)
      await end(watching)
    } finally {
      watching.signal('SIGKILL')
    }
  },
)

test('a peer that has nothing of the avatar, and one of another network, are found out', async () => {
  const [x, empty, y] = [await cluster.start('x'), await cluster.start('empty'), await cluster.start('y')]
  const house = buildHouse('nobody home', 20)
  await moveIn(x, house.records)
  const nothing = command(['migrate', house.avatar, '--from', empty.address, '--to', y.address], folder)
  expect(await nothing.ended()).toBe(1)
  expect(nothing.err()).toContain('has nothing of')

  const other = await cluster.start('other', { network: 'other' })
  const foreign = command(['migrate', house.avatar, '--from', x.url, '--to', other.address], folder)
  expect(await foreign.ended()).toBe(1)
  expect(foreign.err()).toContain('is of another network than main')
  await done(['migrate', house.avatar, '--from', x.address, '--to', y.address], folder)
  expect(await y.api.avatarText(house.avatar)).toBe(await x.api.avatarText(house.avatar))
})

async function untilBothShow(house: House, nodes: readonly NodeProcess[], head: number): Promise<void> {
  await until(
    async () => {
      const shown = await Promise.all(nodes.map((node) => node.api.avatar(house.avatar)))
      return shown.every((each) => each?.head === head && each.digest === shown[0]?.digest)
    },
    `both show head ${head}`,
    60_000,
  )
}

async function end(watching: Command): Promise<void> {
  watching.signal('SIGINT')
  expect(await watching.ended()).toBe(0)
}
