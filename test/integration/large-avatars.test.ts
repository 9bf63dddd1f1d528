import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { get } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, it } from 'vitest'

import { createMetrics } from '../../src/observe/metrics.ts'
import type { Avatar, Citation, PatchBody, VerifiedRecord } from '../../src/record/types.ts'
import { openStore } from '../../src/store/store.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'
import { createCluster } from '../support/cluster.ts'
import type { Cluster, NodeProcess } from '../support/cluster.ts'
import { sleep, until } from '../support/until.ts'
import { createWriter } from '../support/writer.ts'

const MIB = 1024 * 1024
/** What one reader of 550 MB may cost in all. Measured: 260 MB. */
const ONE_READER_BYTES = 700 * MIB
/** Limit of all answers that wait for readers: `output` in src/http/lib/limits.ts. */
const ANSWERS_BYTES = 192 * MIB
/** Read and write buffer of one connection, by Node's default high-water marks of 64 KiB. */
const SOCKET_BYTES = 128 * 1024
/** Room for what V8 has not collected yet: three parts of 16 MiB of young objects, and as much again of old ones. */
const UNCOLLECTED_BYTES = 96 * MIB

/**
 * The most that a node may have with deaf readers: what it had before they came, the limit of answers, their connections, and
 * garbage. Measured: 324 MiB before, 414 MiB with 40 readers, 490 MiB with 400 from 8 addresses; the sum is 662 MiB.
 */
const mostRss = (restBytes: number, readers: number): number =>
  restBytes + ANSWERS_BYTES + readers * SOCKET_BYTES + UNCOLLECTED_BYTES

const MEMBER_CHARACTERS = 245_000
const COMMITTED_AT_ONCE = 25
/** Half a gigabyte is written, and read three times; on a machine that does other things as well this takes minutes. */
const TIMEOUT_MS = 600_000

let cluster: Cluster
let node: NodeProcess
const sockets: Socket[] = []

beforeEach(async () => {
  cluster = await createCluster()
  node = await cluster.start('small', {
    nodeFlags: ['--max-old-space-size=512'],
    flags: ['--http-trusted-proxies', 'none'],
  })
})
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await cluster.close()
})

async function rssBytes(): Promise<number> {
  const metrics = await (await fetch(`${node.url}/metrics`)).text()
  return Number(/^process_resident_memory_bytes (\S+)$/m.exec(metrics)?.[1])
}

/** Calls `work` and tells the most memory that the node had meanwhile. */
async function mostDuring(work: () => Promise<void>): Promise<number> {
  let most = 0
  let isOver = false
  const watching = until(
    async () => {
      most = Math.max(most, await rssBytes())
      await sleep(200)
      return isOver
    },
    'the work is done',
    TIMEOUT_MS,
  )
  try {
    await work()
  } finally {
    isOver = true
    await watching
  }
  return most
}

/** A reader at another address of this machine. */
async function readFrom(localAddress: string, path: string): Promise<{ status: number; body: string }> {
  const { hostname: host, port } = new URL(node.url)
  const [response] = (await once(get({ host, port, path, localAddress, agent: false }), 'response')) as [
    IncomingMessage,
  ]
  return { status: response.statusCode ?? 0, body: await text(response) }
}

function deafReader(path: string, localAddress: string): void {
  const { hostname: host, port } = new URL(node.url)
  const socket = connect({ host, port: Number(port), localAddress }).pause()
  socket.on('error', () => {})
  socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`)
  sockets.push(socket)
}

it('400 readers of 24 MB that never read do not end a node with 512 MiB of heap, nor keep others from reading', async () => {
  const writer = createWriter('large')
  const records = Array.from({ length: 100 }, (_, n) =>
    writer.write({ [`m${n}`]: `${n}${'x'.repeat(MEMBER_CHARACTERS)}` }, { platform: 'twitter', identity: 'alice' }),
  )
  for (let n = 0; n < records.length; n += 20) await node.api.write(records.slice(n, n + 20))
  const small = createWriter('small')
  await node.api.write([small.write({ a: 1 })])
  const path = `/v2/avatars/${writer.avatar}`
  const routes = [path, `${path}/twitter/alice`, `/v1/kv?avatar=${writer.avatar}`, `${path}/records?limit=1000`]

  const restBytes = await rssBytes()
  for (const readers of [40, 400]) {
    const most = await mostDuring(async () => {
      for (let n = sockets.length; n < readers; n++) deafReader(routes[n % 4] ?? '', `127.0.1.${1 + (n % 8)}`)
      await sleep(3_000)
      const whole = await readFrom('127.0.0.2', path)
      expect(whole.status).toBe(200)
      expect(Object.keys(JSON.parse(whole.body).namespaces[0].content)).toHaveLength(100)
      expect((await readFrom('127.0.0.2', `/v2/avatars/${small.avatar}`)).body).toContain('"content":{"a":1')
      await node.api.write([small.write({ readers })])
    })
    expect(most).toBeLessThan(mostRss(restBytes, readers))
  }
})

it(
  'an avatar larger than any JavaScript string is read in full',
  async () => {
    const members = 2_250
    await node.stop()
    const avatar = await fillStore(join(node.dataDir, 'store'), members)
    await node.restart()

    const expected = createHash('sha256').update('{')
    const names = Array.from({ length: members }, (_, n) => nameOf(n))
    for (const [at, name] of names.entries()) expected.update(`${at === 0 ? '' : ','}"${name}":"${valueOf(name)}"`)
    const digest = expected.update('}').digest('hex')

    const most = await mostDuring(async () => {
      const content = await fetch(`${node.url}/v2/avatars/${avatar}/twitter/alice`)
      expect(content.status === 200 ? '' : await content.text()).toBe('')
      const read = createHash('sha256')
      let bytes = 0
      for await (const chunk of content.body ?? []) {
        read.update(chunk)
        bytes += chunk.length
      }
      expect(bytes).toBeGreaterThan(512 * MIB)
      expect(read.digest('hex')).toBe(digest)
      expect(content.headers.get('etag')).toBe(`"${digest.slice(0, 32)}"`)

      const document = await fetch(`${node.url}/v2/avatars/${avatar}`)
      const whole = createHash('sha256')
      let documentBytes = 0
      let start = ''
      for await (const chunk of document.body ?? []) {
        // The content stands between what the first chunk begins with and `}]}`.
        const from = documentBytes === 0 ? Buffer.from(chunk).indexOf('"content":') + '"content":'.length : 0
        if (documentBytes === 0) start = Buffer.from(chunk.subarray(0, from)).toString()
        const rest = bytes + start.length - documentBytes
        whole.update(chunk.subarray(from, Math.max(from, Math.min(chunk.length, rest))))
        documentBytes += chunk.length
      }
      expect(whole.digest('hex')).toBe(digest)
      expect(documentBytes).toBe(start.length + bytes + '}]}'.length)
    })
    expect(most).toBeLessThan(ONE_READER_BYTES)
  },
  TIMEOUT_MS,
)

const nameOf = (n: number) => `m${String(n).padStart(5, '0')}`
const valueOf = (name: string) => name.repeat(Math.ceil(MEMBER_CHARACTERS / name.length))

/** Commits one record for each member. Their signatures are noise: to sign 550 MB is not what is tested here. */
async function fillStore(location: string, members: number): Promise<Avatar> {
  const { avatar } = createWriter('larger than a string')
  const parts = { environment: systemEnvironment(), logger: pino({ level: 'silent' }), metrics: createMetrics() }
  const store = await openStore({ ...parts, engine: await selectEngine() }, { location, network: 'main' })
  try {
    let prev: Citation[] = []
    let batch: VerifiedRecord[] = []
    for (let n = 0; n < members; n++) {
      const name = nameOf(n)
      const body: PatchBody = {
        ...{ avatar, counter: n + 1, created_at: 1_790_000_000, network: 'main', uuid: randomUUID(), version: '2' },
        ...{ type: 'patch', platform: 'twitter', identity: 'alice', prev, patch: { [name]: valueOf(name) } },
      }
      const place: Citation = { counter: n + 1, id: `0x${randomBytes(32).toString('hex')}` }
      const payload = Buffer.from(JSON.stringify(body))
      const record = { id: place.id, body, payload, signature: randomBytes(64) } as unknown as VerifiedRecord
      prev = [place]
      if (batch.push(record) < COMMITTED_AT_ONCE && n < members - 1) continue
      await store.commit(batch)
      batch = []
    }
  } finally {
    await store.close()
  }
  return avatar
}
