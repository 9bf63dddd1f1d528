import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createCluster } from '../support/cluster.ts'
import type { Cluster, NodeProcess } from '../support/cluster.ts'
import { until } from '../support/until.ts'
import { cite, createWriter } from '../support/writer.ts'

interface Status {
  readonly records: number
  readonly epoch: string
  readonly damage: { readonly records_lost: number | null; readonly files: readonly string[] } | null
}

const AVATARS = 12
const RECORDS_EACH = 30

let cluster: Cluster
let node: NodeProcess
let peer: NodeProcess

beforeAll(async () => {
  cluster = await createCluster()
  node = await cluster.start('damaged', { syncIntervalSeconds: 30 })
  peer = await cluster.start('peer', { peers: [node.address], syncIntervalSeconds: 30 })
})

afterAll(async () => await cluster.close())

const statusOf = async ({ url }: NodeProcess): Promise<Status> =>
  (await (await fetch(`${url}/v2/status`)).json()) as Status

async function largest(end: string): Promise<string> {
  const folder = join(node.dataDir, 'store')
  const sized = await Promise.all(
    (await readdir(folder))
      .filter((name) => name.endsWith(end))
      .map(async (name) => ({ path: join(folder, name), bytes: (await readFile(join(folder, name))).length })),
  )
  return sized.sort((a, b) => b.bytes - a.bytes)[0]!.path
}

/** Kills the node once the mark beside its store, which follows within a second, counts all records. */
async function killWithMark(): Promise<void> {
  const { records } = await statusOf(node)
  const mark = async () => JSON.parse(await readFile(join(node.dataDir, 'store.mark.json'), 'utf8')) as Status
  await until(async () => (await mark()).records === records, 'the mark counts all records')
  await node.kill()
}

async function flipMiddle(path: string): Promise<void> {
  const bytes = await readFile(path)
  bytes[Math.floor(bytes.length / 2)]! ^= 8
  await writeFile(path, bytes)
}

test('what damage costs a node it says, and gets back from its peer at once', async () => {
  const writers = Array.from({ length: AVATARS }, (_, index) => createWriter(`damage ${index}`))
  const total = AVATARS * RECORDS_EACH
  for (const writer of writers) {
    let last = writer.write({ a: 0 })
    const chain = [last]
    while (chain.length < RECORDS_EACH) {
      last = writer.write({ a: chain.length, [`k${chain.length % 7}`]: 'x'.repeat(300) }, { prev: cite(last) })
      chain.push(last)
    }
    await node.api.write(chain)
  }
  await until(async () => (await statusOf(peer)).records === total, 'the peer has all')
  const stop = async (): Promise<unknown> => expect(await node.stop()).toBe(0)
  for (const [end, damage] of [
    // Only a killed node leaves rows in its log.
    [killWithMark, async () => flipMiddle(await largest('.log'))],
    [stop, async () => flipMiddle(await largest('.ldb'))],
    // Last: a table that was repaired is as large as before, and holds less.
    [stop, async () => truncate(await largest('.ldb'), 0)],
  ] as const) {
    const before = await statusOf(node)
    expect(before.records).toBe(total)
    await end()
    await damage()
    await node.restart({ peers: [peer.address], syncIntervalSeconds: 3_600 })
    const found = (await statusOf(node)).damage
    expect(found?.files.length).toBeGreaterThan(0)
    expect(found?.records_lost).toBeGreaterThan(0)
    await until(async () => (await statusOf(node)).records === total, 'all is back')
    const after = await statusOf(node)
    expect(after.epoch).not.toBe(before.epoch)
    for (const { avatar } of writers) {
      expect((await node.api.avatar(avatar))?.digest).toBe((await peer.api.avatar(avatar))?.digest)
      expect(await node.api.recordIds(avatar)).toHaveLength(RECORDS_EACH)
    }
  }
  // A lost log, right after writes that are in no table yet.
  const late = createWriter('damage late')
  const first = late.write({ late: true })
  await node.api.write([first, late.write({ late: 2 }, { prev: cite(first) })])
  await until(async () => (await statusOf(peer)).records === total + 2, 'the peer has these too')
  await killWithMark()
  await rm(await largest('.log'))
  await node.restart({ peers: [peer.address], syncIntervalSeconds: 3_600 })
  expect((await statusOf(node)).damage?.records_lost).toBeGreaterThanOrEqual(2)
  await until(async () => (await statusOf(node)).records === total + 2, 'all is back')
})
