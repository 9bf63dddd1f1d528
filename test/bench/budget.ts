import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCluster } from '../support/cluster.ts'
import type { NodeProcess } from '../support/cluster.ts'
import { sleep, until } from '../support/until.ts'
import { createWriter } from '../support/writer.ts'
import { drive, getRequest } from './http-load.ts'
import { AVATARS, ingestRequests } from './ingest.ts'
import { monotonicUs, readStages } from './profile.ts'
import type { Span, Stages } from './profile.ts'
import type { Bench, Row } from './report.ts'
import { perUnit, rateOn, threadCpu, threadsOf } from './threads.ts'
import type { ThreadCpu } from './threads.ts'

const PER_AVATAR = 40
const RECORDS = AVATARS * PER_AVATAR
const READS = 40_000
const READ_CONNECTIONS = 16
/** The node as compiled file by file, so that a profile names the files. */
const COMPILED = join(process.cwd(), '.cache/bench')
/** Samples of the profile are this far apart. */
const SAMPLE_US = 500
/** Stages below this are summed up. */
const SMALL_US = 2
/** The rates that these numbers of cores would give are worked out. */
const CORES = [2, 4, 8] as const
/** After this the node has nothing more to write, and its threads wait. */
const IDLE_MS = 1_000

/** Work for one node, and how many units of it. */
interface Path {
  readonly what: string
  readonly units: number
  /** Does the work that is not measured; the result does the work that is. */
  prepare(node: NodeProcess): Promise<() => Promise<unknown>>
}

const PATHS: readonly Path[] = [
  writes('single posts, 64 connections', 1, 64),
  writes('batches of 64, 8 connections', 64, 8),
  reads('GET of an avatar', (avatar) => `/v2/avatars/${avatar}`),
  reads('GET of one namespace', (avatar) => `/v2/avatars/${avatar}/nextid/${avatar}`),
]

export const budget: Bench = {
  name: 'budget',
  about: 'CPU of the node, µs a record or answer, by thread and by stage; records and contents of 460 bytes (Linux)',
  async run() {
    const rows: Row[] = []
    for (const path of PATHS) {
      const threads = await byThread(path)
      const stages = await byStage(path)
      rows.push(...threadRows(path.what, threads))
      rows.push(...stageRows('main', path.what, threads.main, stages.main))
      rows.push(...stageRows('verification', path.what, threads.verification, stages.verification))
    }
    return [...rows, ...threadRows('sync into an empty node', await takeOver())]
  },
}

function writes(what: string, batch: number, connections: number): Path {
  return {
    what,
    units: RECORDS,
    async prepare(node) {
      const port = Number(new URL(node.url).port)
      const { warmUp, measured } = await ingestRequests({ name: what, batch, connections, perAvatar: PER_AVATAR })
      await drive(port, warmUp)
      return async () => {
        const { bodies } = await drive(port, measured)
        const stored = bodies.reduce((sum, body) => sum + body.split('"status":"stored"').length - 1, 0)
        if (stored !== RECORDS) throw new Error(`Only ${stored} of ${RECORDS} were stored.`)
      }
    },
  }
}

function reads(what: string, pathOf: (avatar: string) => string): Path {
  return {
    what,
    units: READS,
    async prepare(node) {
      const port = Number(new URL(node.url).port)
      const writer = createWriter(what)
      await node.api.write([writer.write({ padding: 'x'.repeat(460) })])
      const request = getRequest(pathOf(writer.avatar))
      const each = Array.from({ length: READS / READ_CONNECTIONS }, () => request)
      const readAll = async () =>
        await drive(
          port,
          Array.from({ length: READ_CONNECTIONS }, () => each),
        )
      await readAll()
      return readAll
    },
  }
}

async function byThread(path: Path): Promise<ThreadCpu> {
  const cluster = await createCluster()
  try {
    const node = await cluster.start('budget')
    const atStart = threadsOf(node.pid)
    const work = await path.prepare(node)
    await sleep(IDLE_MS)
    const before = threadCpu(node.pid, atStart)
    await work()
    await sleep(IDLE_MS)
    return perUnit(before, threadCpu(node.pid, atStart), path.units)
  } finally {
    await cluster.close()
  }
}

/** The same work once more, under a profiler: its shares are used, not its times. */
async function byStage(path: Path): Promise<{ main: Stages; verification: Stages }> {
  const folder = await mkdtemp(join(tmpdir(), 'avatar-kv-profile-'))
  const cluster = await createCluster()
  try {
    const nodeFlags = ['--cpu-prof', `--cpu-prof-dir=${folder}`, `--cpu-prof-interval=${SAMPLE_US}`]
    for (const name of ['package.json', 'config/default.json']) await cp(name, join(COMPILED, name))
    const node = await cluster.start('budget', { main: join(COMPILED, 'src/main.js'), nodeFlags })
    const work = await path.prepare(node)
    const from = monotonicUs()
    await work()
    const span: Span = { from, to: monotonicUs() }
    await node.stop()
    return readStages(folder, span)
  } finally {
    await cluster.close()
    await rm(folder, { recursive: true, force: true })
  }
}

/** CPU of an empty node that takes over records from a peer. */
async function takeOver(): Promise<ThreadCpu> {
  const cluster = await createCluster()
  try {
    const full = await cluster.start('full', { syncIntervalSeconds: 1 })
    const { warmUp, measured } = await ingestRequests({
      name: 'take over',
      batch: 64,
      connections: 8,
      perAvatar: PER_AVATAR,
    })
    await drive(Number(new URL(full.url).port), warmUp)
    await drive(Number(new URL(full.url).port), measured)
    const { records } = await full.api.status()
    const empty = await cluster.start('empty', { syncIntervalSeconds: 1 })
    const atStart = threadsOf(empty.pid)
    const before = threadCpu(empty.pid, atStart)
    await full.stop()
    await full.restart({ peers: [empty.address] })
    await until(async () => (await empty.api.status()).records === records, 'the empty node has taken over all records')
    await sleep(IDLE_MS)
    return perUnit(before, threadCpu(empty.pid, atStart), records)
  } finally {
    await cluster.close()
  }
}

function threadRows(what: string, cpu: ThreadCpu): Row[] {
  const sum = cpu.main + cpu.verification + cpu.leveldb + cpu.pool
  const rows: [string, number][] = [
    ['all threads', sum],
    ['main', cpu.main],
    ['verification', cpu.verification],
    ["LevelDB's compaction", cpu.leveldb],
    ['libuv and V8', cpu.pool],
  ]
  return [
    ...rows
      .filter(([, value]) => value >= 0.1)
      .map(([name, value]) => ({ measure: name, column: what, value, unit: 'µs' })),
    ...CORES.map((cores) => ({
      measure: `most that ${cores} cores give, worked out`,
      column: what,
      value: rateOn(cores, cpu),
      unit: 'a second',
    })),
  ]
}

function stageRows(thread: string, what: string, total: number, stages: Stages): Row[] {
  const row = (stage: string, value: number) => ({ measure: `  ${thread}: ${stage}`, column: what, value, unit: 'µs' })
  const large = [...stages].filter(([, share]) => share * total >= SMALL_US)
  const rest = total - large.reduce((sum, [, share]) => sum + share * total, 0)
  const rows = large.map(([stage, share]) => row(stage, share * total))
  return large.length > 0 && rest >= SMALL_US ? [...rows, row('all else', rest)] : rows
}
