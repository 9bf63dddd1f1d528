import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createRelay } from '../integration/counting-relay.ts'
import { writeBody } from '../support/api.ts'
import { createCluster, type NodeProcess } from '../support/cluster.ts'
import { sleep, until } from '../support/until.ts'
import { payloadHead } from '../../src/record/payload-head.ts'
import type { SignedRecord } from '../../src/record/types.ts'
import { drive, postRequest } from './http-load.ts'
import { presign } from './presign.ts'
import type { Bench, Row } from './report.ts'
import { threadCpu, threadsOf } from './threads.ts'

const AVATARS = 10_000
const HOSTED = 10
const PER_AVATAR = 3
const BATCH = 64
const CONNECTIONS = 4
const PATIENCE_MS = 300_000
/** Sync by timer does not fall into the measurement. */
const OPTIONS = { syncIntervalSeconds: 3_600 }
/** What is done in the background ends. */
const REST_MS = 3_000

export const listed: Bench = {
  name: 'listed',
  about: `${AVATARS.toLocaleString('en')} avatars written to, ${PER_AVATAR} records of 460 bytes each, at another node (Linux)`,
  notes: [
    `The listed node hosts ${HOSTED} of the avatars and follows them at the node that is written to; the other one stores all and gossips.`,
    'Bytes are those of the connection with that node, in both directions. CPU is of all threads, and in it is what a node does at rest.',
  ],
  async run() {
    const records = await presign({
      name: 'listed',
      avatars: AVATARS,
      perAvatar: PER_AVATAR,
      payloadBytes: 460,
      keys: 10,
    })
    const hosted = [...new Set(records.map(({ payload }) => payloadHead(payload)?.avatar ?? ''))].slice(0, HOSTED)
    const cluster = await createCluster()
    try {
      const hub = await cluster.start('hub', OPTIONS)
      const bytes = { listed: 0, all: 0 }
      const relays = {
        listed: await createRelay(hub, (count) => (bytes.listed += count)),
        all: await createRelay(hub, (count) => (bytes.all += count)),
      }
      const flags = ['--hosting-mode', 'listed']
      const nodes = {
        listed: await cluster.start('listed', { ...OPTIONS, flags, peers: [relays.listed.address] }),
        all: await cluster.start('all', { ...OPTIONS, peers: [relays.all.address] }),
      }
      await host(nodes.listed, hosted)
      await until(
        async () => (await nodes.listed.api.metric('avatar_kv_follow_streams')) === 1,
        'it follows',
        PATIENCE_MS,
      )
      await until(async () => (await nodes.all.api.gossipPeers()) === 1, 'it gossips', PATIENCE_MS)
      await sleep(REST_MS)

      const before = { listed: cpuMs(nodes.listed), all: cpuMs(nodes.all), bytes: { ...bytes } }
      await write(hub, records)
      await untilHeld(nodes.listed, HOSTED * PER_AVATAR)
      await untilHeld(nodes.all, AVATARS * PER_AVATAR)
      await sleep(REST_MS)
      const rows = (['listed', 'all'] as const).flatMap((name): Row[] => {
        const column = name === 'listed' ? `hosts ${HOSTED} of ${AVATARS.toLocaleString('en')}` : 'stores all'
        return [
          { measure: 'sent and received', column, value: (bytes[name] - before.bytes[name]) / 1_000, unit: 'KB' },
          { measure: 'CPU', column, value: cpuMs(nodes[name]) - before[name], unit: 'ms' },
        ]
      })
      await Promise.all(Object.values(relays).map((relay) => relay.close()))
      return rows
    } finally {
      await cluster.close()
    }
  },
}

async function host(node: NodeProcess, avatars: readonly string[]): Promise<void> {
  const token = readFileSync(join(node.dataDir, 'operator-token'), 'utf8').trim()
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const body = JSON.stringify({ action: 'add', avatars })
  const answer = await fetch(`${node.url}/v2/operator/hosting`, { method: 'POST', headers, body })
  if (!answer.ok) throw new Error(await answer.text())
}

async function write(node: NodeProcess, records: readonly SignedRecord[]): Promise<void> {
  const requests: Buffer[][] = Array.from({ length: CONNECTIONS }, () => [])
  for (let start = 0, next = 0; start < records.length; start += BATCH, next++) {
    requests[next % CONNECTIONS]?.push(postRequest('/v2/records', writeBody(records.slice(start, start + BATCH))))
  }
  const { bodies } = await drive(Number(new URL(node.url).port), requests)
  const accepted = bodies.reduce((sum, body) => sum + (body.match(/"status":"(stored|pending)"/g)?.length ?? 0), 0)
  if (accepted !== records.length) throw new Error(`Only ${accepted} of ${records.length} were accepted.`)
}

const untilHeld = (node: NodeProcess, records: number): Promise<void> =>
  until(async () => (await node.api.status()).records === records, `${node.name} has ${records} records`, PATIENCE_MS)

/** CPU of all threads so far. */
function cpuMs({ pid }: NodeProcess): number {
  const { main, verification, leveldb, pool } = threadCpu(pid, threadsOf(pid))
  return (main + verification + leveldb + pool) / 1_000
}
