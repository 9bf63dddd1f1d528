import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Avatar } from '../../src/record/types.ts'
import { run } from '../cli/run.ts'
import { createCluster } from '../support/cluster.ts'
import type { Cluster, NodeProcess } from '../support/cluster.ts'
import { chains, heldBy, load, untilAtRest } from './sync-watch.ts'
import { until } from '../support/until.ts'

const OPTIONS = { syncIntervalSeconds: 1 }
const LISTED = ['--hosting-mode', 'listed']
const SLOW_MS = 600_000

let cluster: Cluster
beforeAll(async () => {
  cluster = await createCluster()
})
afterAll(async () => await cluster.close())

/** The operator of a node that runs. */
async function host(node: NodeProcess, ...args: string[]): Promise<string> {
  const { code, out, err } = await run(['host', ...args, '--data-dir', node.dataDir, '--node', node.url], { cwd: '/' })
  expect([code, err]).toEqual([0, args[0] === 'list' ? expect.any(String) : ''])
  return out
}

async function untilHeld(node: NodeProcess, records: number): Promise<void> {
  await until(async () => (await heldBy(node)) === records, `${node.name} holds ${records} records`, 60_000)
}

/** What a read of an avatar is answered with. */
async function answerOf(
  node: NodeProcess,
  avatar: Avatar,
): Promise<{ status: number; code?: string; homes?: string[] }> {
  const response = await fetch(`${node.url}/v2/avatars/${avatar}`)
  return { ...((await response.json()) as object), status: response.status }
}

test(
  'a listed node among nodes that keep everything has just its avatars, all of them find each other equal, and rest',
  async () => {
    const first = await cluster.start('first', OPTIONS)
    const second = await cluster.start('second', { ...OPTIONS, peers: [first.address] })
    const listed = await cluster.start('listed', { ...OPTIONS, flags: LISTED, peers: [first.address, second.address] })
    const nodes = [first, second, listed]
    const ours = chains('ours', 3, 20)
    const theirs = chains('theirs', 5, 20)
    const [a, b, c] = ours.writers.map(({ avatar }) => avatar) as [Avatar, Avatar, Avatar]
    await host(listed, 'add', a, b)

    await load(first, ours.records)
    await load(second, theirs.records)
    await Promise.all([first, second].map((node) => untilHeld(node, 160)))
    await untilHeld(listed, 40)
    for (const avatar of [a, b]) {
      expect(await listed.api.avatarText(avatar)).toBe(await first.api.avatarText(avatar))
    }
    await untilAtRest(nodes, 2)
    expect(await heldBy(listed)).toBe(40)
    expect(await answerOf(listed, c)).toMatchObject({ status: 404, code: 'not_hosted' })
    const [refused] = await listed.api.write(ours.records.filter(({ id }) => id === ours.records[2]?.id))
    expect(refused).toMatchObject({ status: 'refused', code: 'not_hosted', retry: false })
    const { hosting } = (await (await fetch(`${listed.url}/v2/status`)).json()) as { hosting: object }
    expect(hosting).toEqual({ mode: 'listed', policy: 'closed', listed: 2 })

    // Taken in while all of them run: its records come at once, without a restart.
    await host(listed, 'add', c)
    await untilHeld(listed, 60)
    expect(await listed.api.avatarText(c)).toBe(await second.api.avatarText(c))
    await untilAtRest(nodes, 2)

    // And let go: nothing of it is left, nothing of it comes back, and the others keep it.
    await host(listed, 'remove', a)
    await untilHeld(listed, 40)
    expect(await answerOf(listed, a)).toMatchObject({ status: 404, code: 'not_hosted' })
    await untilAtRest(nodes, 2)
    await listed.kill()
    await listed.restart()
    await untilAtRest(nodes, 1)
    expect(await heldBy(listed)).toBe(40)
    expect(await heldBy(first)).toBe(160)
    expect(JSON.parse(await host(listed, 'list', '--json'))).toMatchObject({
      mode: 'listed',
      counts: { hosted: 2, gone: 1 },
    })
  },
  SLOW_MS,
)

test(
  'two listed nodes with different lists share what is on both, and rest',
  async () => {
    const left = await cluster.start('left', { ...OPTIONS, flags: LISTED })
    const right = await cluster.start('right', { ...OPTIONS, flags: LISTED, peers: [left.address] })
    const { writers, records } = chains('lists', 4, 10)
    const avatars = writers.map(({ avatar }) => avatar)
    await host(left, 'add', ...avatars.slice(0, 3))
    await host(right, 'add', ...avatars.slice(1))
    for (const node of [left, right]) {
      const results = await node.api.write(records)
      expect(results.filter(({ status }) => status === 'refused')).toHaveLength(10)
    }
    await untilAtRest([left, right], 2)
    expect(await Promise.all([heldBy(left), heldBy(right)])).toEqual([30, 30])
    const only = writers[0]!.write({ more: true })
    const both = writers[1]!.write({ more: true })
    expect((await left.api.write([only, both])).map(({ status }) => status)).toEqual(['stored', 'stored'])
    await untilHeld(right, 31)
    await untilAtRest([left, right], 2)
    expect(await Promise.all([heldBy(left), heldBy(right)])).toEqual([32, 31])
  },
  SLOW_MS,
)

test(
  'a blocked avatar is neither taken nor shown, and its peers say why they differ; unblocked it comes back',
  async () => {
    const open = await cluster.start('open', OPTIONS)
    const strict = await cluster.start('strict', { ...OPTIONS, peers: [open.address] })
    const { writers, records } = chains('blocked', 2, 10)
    const avatar = writers[0]!.avatar
    await load(open, records)
    await untilHeld(strict, 20)
    await host(strict, 'block', avatar, '--forget')
    await untilHeld(strict, 10)
    expect(await answerOf(strict, avatar)).toMatchObject({ status: 404, code: 'blocked' })
    await open.api.write([writers[0]!.write({ more: true })])
    await until(async () => {
      const [peer] = await strict.api.peers()
      return peer?.sync?.last?.outcome === 'equal_except_refused'
    }, 'the nodes are equal but for what is refused')
    expect(await heldBy(strict)).toBe(10)
    await host(strict, 'unblock', avatar)
    await untilHeld(strict, 21)
    await untilAtRest([open, strict], 2)
    expect(await strict.api.avatarText(avatar)).toBe(await open.api.avatarText(avatar))
  },
  SLOW_MS,
)
