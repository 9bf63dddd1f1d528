import { join } from 'node:path'
import { installPeers } from './peers/install.ts'
import { followedByNode } from './peers/nodes.ts'
import { followed, written } from './peers/processes.ts'
import { SUBJECTS } from './peers/subjects.ts'
import type { Subject } from './peers/subjects.ts'
import { median } from './report.ts'
import type { Bench, Row } from './report.ts'

/** Benches are started from the project's folder. */
const FOLDER = join(process.cwd(), '.cache/peers')
const BATCH = 100

/** What is measured: the unit, and whether it is a rate, of which more is better. */
const MEASURES = {
  single: { what: 'one value at a time, in process', unit: 'values/s' },
  singleCpu: { what: 'one value at a time: CPU of all threads', unit: 'µs a value' },
  batched: { what: `batches of ${BATCH}, in process`, unit: 'values/s' },
  batchedCpu: { what: `batches of ${BATCH}: CPU of all threads`, unit: 'µs a value' },
  presigned: { what: `batches of ${BATCH} that were signed before, in process`, unit: 'values/s' },
  live: { what: `batches of ${BATCH}, until a second process has them`, unit: 'values/s' },
  livePresigned: {
    what: `batches of ${BATCH} that were signed before, until a second process has them`,
    unit: 'values/s',
  },
  coldFromStart: { what: 'all, into an empty process, from its start', unit: 'values/s' },
  coldFromUp: { what: 'all, into an empty process, from where it is up', unit: 'values/s' },
  bytes: { what: 'on disk', unit: 'bytes a value' },
} as const

type Measure = keyof typeof MEASURES
type Measured = Partial<Record<Measure, number>>

export const peers: Bench = {
  name: 'peers',
  about: `one author's values of 500 bytes, this node and others in turn; median of the turns, a ratio is the median of the turns' ratios`,
  onlyByName: true,
  notes: SUBJECTS.map(({ name, signature, durable }) => `${name}: a signature is ${signature}; on disk: ${durable}`),
  async run() {
    await installPeers(FOLDER)
    const turns = Math.max(...SUBJECTS.map((subject) => subject.turns))
    const results = new Map<Subject, Measured[]>(SUBJECTS.map((subject) => [subject, []]))
    for (let turn = 0; turn < turns; turn++) {
      for (const subject of SUBJECTS) {
        if (turn >= subject.turns) continue
        console.error(`turn ${turn + 1} of ${subject.turns}: ${subject.name}`)
        results.get(subject)?.push(await measure(subject))
      }
    }
    return rowsOf(results)
  },
}

async function measure(subject: Subject): Promise<Measured> {
  const { system, fsync = false } = subject
  const job = { system, fsync, peers: FOLDER, role: 'write', batch: BATCH } as const
  const single = await written({ ...job, total: subject.single, batch: 1 })
  const batched = await written({ ...job, total: subject.batched })
  const measured = {
    single: subject.single / single.seconds,
    singleCpu: (single.cpuSeconds * 1e6) / subject.single,
    batched: subject.batched / batched.seconds,
    batchedCpu: (batched.cpuSeconds * 1e6) / subject.batched,
    bytes: batched.bytes / subject.batched,
  }
  if (subject.cold === 0) return measured
  const { cold, live } = subject
  if (system !== 'avatar-kv') {
    const times = await followed({ ...job, total: cold }, live)
    return { ...measured, ...ratesOf(cold, live, times) }
  }
  const presigned = await written({ ...job, total: subject.batched, presigned: true })
  const { livePresigned, ...times } = await followedByNode(cold, live, BATCH)
  return {
    ...measured,
    presigned: subject.batched / presigned.seconds,
    livePresigned: live / livePresigned,
    ...ratesOf(cold, live, times),
  }
}

function ratesOf(cold: number, live: number, seconds: Awaited<ReturnType<typeof followed>>): Measured {
  const rates = { coldFromStart: cold / seconds.coldFromStart, coldFromUp: cold / seconds.coldFromUp }
  return live === 0 ? rates : { ...rates, live: live / seconds.live }
}

function rowsOf(results: ReadonlyMap<Subject, readonly Measured[]>): Row[] {
  const [own] = SUBJECTS
  const ofOwn = results.get(own) ?? []
  const rows: Row[] = []
  for (const [name, { what, unit }] of Object.entries(MEASURES) as [Measure, (typeof MEASURES)[Measure]][]) {
    for (const [subject, turns] of results) {
      const values = turns.map((measured) => measured[name]).filter((value) => value !== undefined)
      if (values.length === 0) continue
      rows.push({ measure: what, column: subject.name, value: median(values), unit })
      if (subject === own) continue
      const ratios = values.map((value, turn) => (ofOwn[turn]?.[name] ?? Number.NaN) / value)
      rows.push({
        measure: `${what}: ${own.name} ÷ the other`,
        column: subject.name,
        value: median(ratios),
        unit: 'ratio',
      })
    }
  }
  return rows
}
