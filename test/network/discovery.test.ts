import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'

import { until } from '../support/until.ts'
import { startFinder } from './finder.ts'
import { addressOf, record, recordingLogger, startNode, stopAll, stopNode } from './nodes.ts'
import type { TestNode } from './nodes.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'avatar-kv-discovery-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))
afterEach(stopAll)

const idsOf = (node: TestNode): string[] => node.network.peers().map(({ peer_id }) => peer_id)

/** Whether each node reaches each other one over connections. */
function isOneMesh(nodes: readonly TestNode[]): boolean {
  const byId = new Map(nodes.map((node) => [node.network.peerId, node]))
  const seen = new Set<string>()
  const next = [...byId.keys()].slice(0, 1)
  for (let id = next.pop(); id !== undefined; id = next.pop()) {
    const node = byId.get(id)
    if (node === undefined || seen.has(id)) continue
    seen.add(id)
    next.push(...idsOf(node))
  }
  return seen.size === nodes.length
}

const known = async (path: string): Promise<number> =>
  (JSON.parse(await readFile(path, 'utf8')) as { peers: unknown[] }).peers.length

test('20 nodes with one seed form a mesh; the seed dies; they stay connected, and find each other again by their books', async () => {
  const seed = await startFinder([])
  const paths = Array.from({ length: 19 }, (_, at) => join(folder, `book-${at}.json`))
  const nodes = await Promise.all(paths.map((path) => startFinder([addressOf(seed)], {}, path)))
  const [first] = nodes as [TestNode]
  await until(() => nodes.every((node) => idsOf(node).length >= 8), 'every node has eight connections')
  expect(isOneMesh([seed, ...nodes])).toBe(true)

  await stopNode(seed)
  await until(() => nodes.every((node) => !idsOf(node).includes(seed.network.peerId)), 'the loss of the seed is seen')
  expect(isOneMesh(nodes)).toBe(true)
  first.network.publish([record('stored:without the seed')])
  await until(() => nodes.slice(1).every(({ ingest }) => ingest.payloads.length > 0), 'all hear by gossip')

  const listen = nodes.map((node) => [addressOf(node).replace(/\/p2p\/.*$/, '')])
  await Promise.all(nodes.map(stopNode))
  for (const path of paths) expect(await known(path)).toBeGreaterThan(3)
  const again = await Promise.all(
    nodes.map(({ privateKey }, at) => startFinder([], { privateKey, listen: listen[at] as string[] }, paths[at])),
  )
  await until(() => again.every((node) => idsOf(node).length >= 4) && isOneMesh(again), 'they find each other again')
})

test('a damaged book is ignored with a warning, and written again', async () => {
  const path = join(folder, 'damaged.json')
  await writeFile(path, '{"format":"avatar-kv-peers/1","peers":[{"record"')
  const { logger, lines } = recordingLogger()
  const seed = await startFinder([])
  const node = await startFinder([addressOf(seed)], { logger }, path)
  await until(
    async () => (await node.metrics.expose()).text.includes('avatar_kv_known_peers_tried 1\n'),
    'the node knows the seed',
  )
  expect(lines.find(({ level }) => level === 40)).toMatchObject({ file: path })
  await stopNode(node)
  expect(await known(path)).toBe(1)
  // One entry whose signature is broken, beside a good one.
  const { peers } = JSON.parse(await readFile(path, 'utf8')) as { peers: { record: string }[] }
  const bytes = Buffer.from(peers[0]?.record ?? '', 'base64')
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
  const broken = { ...peers[0], record: bytes.toString('base64') }
  await writeFile(path, JSON.stringify({ format: 'avatar-kv-peers/1', peers: [broken, ...peers] }))
  const again = recordingLogger()
  const second = await startFinder([], { logger: again.logger }, path)
  expect(again.lines.find(({ level }) => level === 40)).toMatchObject({ damaged: 1 })
  await until(() => idsOf(second).length === 1, 'the good entry is dialled')
})

test('a node without discovery is told of to nobody', async () => {
  const plain = await startNode()
  const finder = await startFinder([addressOf(plain)])
  await until(() => idsOf(plain).length === 1, 'the plain node is used as a seed')
  const other = await startFinder([addressOf(finder)])
  await until(
    async () => (await other.metrics.expose()).text.includes('avatar_kv_known_peers_tried 1\n'),
    'the other node knows the finder',
  )
  expect((await other.metrics.expose()).text).toContain('avatar_kv_known_peers 1\n')
  expect(idsOf(plain)).toEqual([finder.network.peerId])
})

test('a seed that cannot be reached is named, with why, once', async () => {
  const { logger, lines } = recordingLogger()
  const gone = await startFinder([])
  const address = addressOf(gone)
  await stopNode(gone)
  await startFinder([address, '/dnsaddr/no-such-seed.invalid'], { logger })
  const failures = (): Record<string, unknown>[] =>
    lines.filter(({ msg }) => msg === 'cannot reach a seed; the node tries again')
  await until(() => failures().length >= 4, 'both were tried twice')
  expect(
    failures()
      .filter(({ level }) => level === 40)
      .map(({ seed }) => seed)
      .toSorted(),
  ).toEqual(['/dnsaddr/no-such-seed.invalid', address].toSorted())
})
