import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { privateKeySigner } from '../../src/client/signers.ts'
import type { Avatar } from '../../src/record/types.ts'
import { openReplica } from '../../src/replica/index.ts'
import { newKey } from '../support/keys.ts'
import { createCluster, type Cluster, type NodeProcess } from '../support/cluster.ts'
import { until } from '../support/until.ts'

const ROUNDS = 50
/** Every so often a round is online: then the process may die while it sends, or notes what was taken. */
const ONLINE_EVERY = 5
/** The process dies after up to this many acknowledgements of a round: in the midst of signing, or of a write. */
const MOST_WRITES = 20
const WRITER = join(process.cwd(), 'test/replica/offline-writer.js')

let cluster: Cluster
let node: NodeProcess
let folder: string
beforeAll(async () => {
  cluster = await createCluster()
  node = await cluster.start('replica')
  folder = await mkdtemp(join(tmpdir(), 'avatar-kv-replica-'))
})
afterAll(async () => {
  await cluster.close()
  await rm(folder, { recursive: true })
})

/** Resolves once the node got something twice: the process has noted by then that the first was taken. */
async function untilSent(avatar: Avatar): Promise<void> {
  for (let times = 0; times < 2; times += 1) {
    const before = (await node.api.avatar(avatar))?.head ?? 0
    await until(async () => ((await node.api.avatar(avatar))?.head ?? 0) > before, 'something is sent')
  }
}

test(`kill -9 while a replica writes offline loses nothing that it acknowledged, ${ROUNDS} times`, async () => {
  const key = newKey()
  const signer = privateKeySigner(key)
  const location = join(folder, 'data')
  const acknowledged = new Map<string, number>()
  const waiting: number[] = []
  let last = 0
  for (let round = 0; round < ROUNDS; round++) {
    const isOnline = round % ONLINE_EVERY === ONLINE_EVERY - 1
    const args = [WRITER, location, Buffer.from(key).toString('hex'), ...(isOnline ? [node.url] : [])]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const exited = once(child, 'exit')
    const writes = 1 + Math.floor(Math.random() * MOST_WRITES)
    let written = 0
    for await (const line of createInterface(child.stdout)) {
      const open = /^open (\d+) (\d+)$/.exec(line)
      if (open !== null) {
        // One more may have been on disk that was not acknowledged any more, and it is shown too.
        expect(Number(open[1]) - last).toBeOneOf([0, 1])
        waiting.push(Number(open[2]))
        last = Number(open[1])
        continue
      }
      const [n = '', id = ''] = line.split(' ')
      acknowledged.set(id, Number(n))
      last = Number(n)
      written += 1
      if (isOnline && written === 1) void untilSent(signer.avatar).finally(() => child.kill('SIGKILL'))
      if (!isOnline && written === writes) child.kill('SIGKILL')
    }
    expect(await exited).toEqual([null, 'SIGKILL'])
  }
  expect(acknowledged.size).toBeGreaterThanOrEqual(ROUNDS)
  // In rounds online some of it was sent: the process died with an empty queue, a full one, and in between.
  expect(waiting.some((count, round) => count < (waiting[round - 1] ?? 0))).toBe(true)

  const replica = await openReplica({ location, nodes: [node.url] })
  try {
    const before = replica.state(signer.avatar)
    expect(before.namespaces[0]?.content['n']).toBeOneOf([last, last + 1])
    await replica.sync()
    expect(replica.waiting()).toEqual([])
    const ids = await node.api.recordIds(signer.avatar)
    const answer = await node.api.avatar(signer.avatar)
    expect([...acknowledged.keys()].filter((id) => !ids.includes(id as `0x${string}`))).toEqual([])
    expect(new Set(ids).size).toBe(ids.length)
    // Each on the one before it, and nothing twice: as many records as counters.
    expect(answer).toMatchObject({ head: ids.length, tips_total: 1, pending: 0, digest: before.digest })
    expect(answer?.namespaces[0]?.content).toEqual(before.namespaces[0]?.content)
    expect(replica.info(signer.avatar).digest).toBe(before.digest)
    console.log(`${acknowledged.size} writes acknowledged in ${ROUNDS} rounds, ${ids.length} arrived`)
  } finally {
    await replica.close()
  }
})
