import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { SignedRecord } from '../../src/record/types.ts'
import { writeBody } from '../support/api.ts'
import { createCluster } from '../support/cluster.ts'
import type { NodeProcess } from '../support/cluster.ts'
import { sleep } from '../support/until.ts'
import { drive, postRequest } from './http-load.ts'
import { presign } from './presign.ts'
import { median } from './report.ts'
import type { Bench, Row } from './report.ts'
import { perUnit, threadCpu, threadsOf } from './threads.ts'

const CHUNKS = 20
const CHUNK_AVATARS = 500
const CHUNK_PER_AVATAR = 100
const CHUNK_RECORDS = CHUNK_AVATARS * CHUNK_PER_AVATAR
const MANY_AVATARS = 50_000
const BATCH = 64
const CONNECTIONS = 8
/** After an opening, one record is posted at a time for this long. */
const AFTER_OPENING_MS = 10_000
const OPENINGS = 3
const IDLE_MS = 3_000

export const million: Bench = {
  name: 'million',
  about: 'a node of 1,000,000 records of 460 bytes of 10,000 avatars, and one of 50,000 avatars of two records (Linux)',
  async run() {
    return [...(await manyRecords()), ...(await manyAvatars())]
  },
}

async function manyRecords(): Promise<Row[]> {
  const cluster = await createCluster()
  try {
    const node = await cluster.start('million')
    const atStart = threadsOf(node.pid)
    let before = threadCpu(node.pid, atStart)
    let seconds = 0
    for (let chunk = 0; chunk < CHUNKS; chunk++) {
      const records = await presignChunk(`million ${chunk}`, CHUNK_AVATARS, CHUNK_PER_AVATAR)
      if (chunk === CHUNKS - 2) before = threadCpu(node.pid, atStart)
      seconds = await write(node, records)
    }
    await sleep(IDLE_MS)
    const last = perUnit(before, threadCpu(node.pid, atStart), 2 * CHUNK_RECORDS)
    const records = CHUNKS * CHUNK_RECORDS
    const rows = [
      { measure: 'the last 50,000 records', value: CHUNK_RECORDS / seconds, unit: 'records/s' },
      { measure: 'the last 100,000 records: main', value: last.main, unit: 'µs of CPU a record' },
      { measure: "the last 100,000 records: LevelDB's compaction", value: last.leveldb, unit: 'µs of CPU a record' },
      { measure: 'most memory (VmHWM)', value: peakMegabytes(node.pid), unit: 'MB' },
      { measure: 'on disk', value: bytesBelow(join(node.dataDir, 'store')) / records, unit: 'bytes a record' },
    ]
    return [...rows, ...(await openings(node))]
  } finally {
    await cluster.close()
  }
}

/** Opens a store of a million records again and again, writes and reads at once. */
async function openings(node: NodeProcess): Promise<Row[]> {
  const writes = await presignChunk('after the opening', 1, OPENINGS * 15_000)
  const firstMs: number[] = []
  const slowestMs: number[] = []
  for (let opening = 0; opening < OPENINGS; opening++) {
    await node.stop()
    const startedMs = performance.now()
    await node.restart()
    await node.api.write(writes.splice(0, 1))
    firstMs.push(performance.now() - startedMs)
    let slowest = 0
    while (performance.now() - startedMs < AFTER_OPENING_MS) {
      const [record] = writes.splice(0, 1)
      if (record === undefined) throw new Error('More records must be signed in advance.')
      const sentMs = performance.now()
      await node.api.write([record])
      slowest = Math.max(slowest, performance.now() - sentMs)
    }
    slowestMs.push(slowest)
  }
  return [
    { measure: 'opened again: from process start to the first write, on disk', value: median(firstMs), unit: 'ms' },
    { measure: 'opened again: slowest write of the first 10 s', value: median(slowestMs), unit: 'ms' },
  ]
}

async function manyAvatars(): Promise<Row[]> {
  const cluster = await createCluster()
  try {
    const node = await cluster.start('avatars')
    await write(node, await presignChunk('many', MANY_AVATARS, 2))
    return [{ measure: '50,000 avatars of two records: most memory', value: peakMegabytes(node.pid), unit: 'MB' }]
  } finally {
    await cluster.close()
  }
}

async function presignChunk(name: string, avatars: number, perAvatar: number): Promise<SignedRecord[]> {
  return await presign({ name, avatars, perAvatar, payloadBytes: 460, keys: 10 })
}

/** Seconds that it takes. */
async function write(node: NodeProcess, records: readonly SignedRecord[]): Promise<number> {
  const requests: Buffer[][] = Array.from({ length: CONNECTIONS }, () => [])
  for (let start = 0, next = 0; start < records.length; start += BATCH, next++) {
    requests[next % CONNECTIONS]?.push(postRequest('/v2/records', writeBody(records.slice(start, start + BATCH))))
  }
  const { seconds, bodies } = await drive(Number(new URL(node.url).port), requests)
  const accepted = bodies.reduce((sum, body) => sum + (body.match(/"status":"(stored|pending)"/g)?.length ?? 0), 0)
  if (accepted !== records.length) throw new Error(`Only ${accepted} of ${records.length} were accepted.`)
  return seconds
}

function peakMegabytes(pid: number): number {
  const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return (Number(kibibytes) * 1024) / 1e6
}

function bytesBelow(folder: string): number {
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
}
