import { readFile, readdir } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { ArchiveSource } from '../../src/archive/format.ts'
import { nodePlatform } from '../../src/archive/node.ts'
import { writeArchive } from '../../src/archive/writer.ts'
import { CREATED_AT } from '../archive/archives.ts'
import { createCluster, type Cluster } from '../support/cluster.ts'
import { sleep, until } from '../support/until.ts'
import { createWriter } from '../support/writer.ts'
import { open } from './call.ts'
import { PROXIES } from './proxies.ts'

/** Archives of more than 100 MB go through each proxy of docs/deploy, in and out, and neither proxy nor node holds one in memory. */
const ARCHIVE_MB = 100
/** The most that a proxy takes more than before: buffers, not the archive. Measured: 1. */
const PROXY_MB = 40
/** The most that the node takes more for a second archive, which goes in, and out together with the first: 350 MB. Measured: 32 to 44. */
const NODE_MB = 100
/** A reader that pauses makes the proxy hold what it takes from the node meanwhile. */
const PAUSE_MS = 2000
const SAMPLE_MS = 20
const AVATARS = 60
const PATCHES = 120
const PATCH_CHARACTERS = 16_000

/** An archive whose values replace each other, so that what an avatar shows is far less than its history. */
function archiveOf(name: string): ArchiveSource {
  const writers = new Map(
    Array.from({ length: AVATARS }, (_, at) => createWriter(`${name} ${at}`)).map((each) => [each.avatar, each]),
  )
  return {
    async *avatars() {
      yield* [...writers.keys()].sort()
    },
    async *records(avatar) {
      for (let at = 0; at < PATCHES; at++) {
        const record = writers.get(avatar)?.write({ [`k${at % 3}`]: 'x'.repeat(PATCH_CHARACTERS) })
        if (record !== undefined) yield record
      }
    },
  }
}

let cluster: Cluster
beforeAll(async () => {
  // As the unit and the image have it.
  vi.stubEnv('MALLOC_ARENA_MAX', '2')
  cluster = await createCluster()
})
afterAll(async () => {
  vi.unstubAllEnvs()
  await cluster.close()
})

describe.each(PROXIES)('$name', ({ name, start }) => {
  it('passes archives in and out in bounded memory', async () => {
    const node = await cluster.start(`behind ${name}`)
    const proxy = await start(new URL(node.url).host)
    const [atProxy, atNode] = [await watchMemory(await processesOf(proxy.pid)), await watchMemory([node.pid])]
    const recordsOf = async () => (await node.api.status()).records

    async function passInAndOut(which: string): Promise<void> {
      const counts = { sent: 0, atFirstRecord: 0 }
      const before = await recordsOf()
      const response = await open(`${proxy.url}/v2/archives`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-ndjson' },
        body: counted(archiveOf(which), counts, async () => (await recordsOf()) > before),
      })
      expect(JSON.parse(await textOf(response))).toMatchObject({ stored: AVATARS * PATCHES })
      expect(counts.sent).toBeGreaterThan(ARCHIVE_MB * 1e6)
      // The proxy did not collect the body before it sent it on.
      expect(counts.atFirstRecord).toBeLessThan(counts.sent / 2)

      const back = await open(`${proxy.url}/v2/archives`)
      let received = 0
      for await (const piece of back) {
        if (received === 0) await sleep(PAUSE_MS)
        received += (piece as Uint8Array).length
      }
      expect(back.statusCode).toBe(200)
      expect(received).toBeGreaterThan(counts.sent * 0.99)
    }
    try {
      // The first fills caches and queues, which have limits of their own. The second needs little more.
      await passInAndOut('first')
      const first = atNode.most()
      await passInAndOut('second')
      const grown = { proxy: atProxy.most(), first, second: atNode.most() - first }
      if (process.env['DEPLOY_FIGURES'] !== undefined) console.log(name, grown)
      expect(grown.proxy).toBeLessThan(PROXY_MB)
      expect(grown.second).toBeLessThan(NODE_MB)
    } finally {
      atProxy.stop()
      atNode.stop()
      await proxy.close()
      await node.kill()
    }
  })
})

/** The bytes of an archive. After 10 MB it waits until the node has stored records, which a proxy that collects bodies never lets happen. */
async function* counted(
  archive: ArchiveSource,
  counts: { sent: number; atFirstRecord: number },
  hasRecords: () => Promise<boolean>,
): AsyncGenerator<Uint8Array> {
  for await (const piece of writeArchive(nodePlatform, archive, {
    network: 'main',
    createdAt: CREATED_AT,
    history: false,
  })) {
    counts.sent += piece.length
    yield piece
    if (counts.atFirstRecord > 0 || counts.sent < 10e6) continue
    await until(hasRecords, 'records of the first 10 MB are stored')
    counts.atFirstRecord = counts.sent
  }
}

async function textOf(stream: AsyncIterable<unknown>): Promise<string> {
  let text = ''
  for await (const piece of stream) text += String(piece)
  return text
}

/** A process and its children, such as the workers of nginx. */
async function processesOf(pid: number): Promise<number[]> {
  const found = [pid]
  for (const each of (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))) {
    const status = await readFile(`/proc/${each}/status`, 'utf8').catch(() => '')
    if (/^PPid:\s+(\d+)/m.exec(status)?.[1] === String(pid)) found.push(Number(each))
  }
  return found
}

/** Watches the memory that processes have of their own, without mapped files. `most` returns the most that they grew so far, in MB. */
async function watchMemory(pids: readonly number[]): Promise<{ most(): number; stop(): void }> {
  const now = async () => {
    const texts = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/status`, 'utf8')))
    return texts.reduce((sum, text) => sum + Number(/RssAnon:\s+(\d+)/.exec(text)?.[1] ?? Number.NaN), 0)
  }
  const before = await now()
  let most = before
  const take = (kib: number) => void (most = Math.max(most, kib))
  const timer = setInterval(() => void now().then(take, () => {}), SAMPLE_MS)
  return { most: () => ((most - before) * 1024) / 1e6, stop: () => clearInterval(timer) }
}
