import { afterAll, beforeAll, expect, test } from 'vitest'
import { createCluster } from './cluster.ts'
import type { Cluster, NodeProcess } from './cluster.ts'
import { settled, statuses } from './settle.ts'
import { createWriter } from './writer.ts'
import type { Writer } from './writer.ts'

const FORKS = 5_000
const FORKS_PER_POST = 500
const HISTORY = 300
const OTHER_WRITERS = 4
const WRITES_BEFORE = 50
/** Room for a busy machine: a fold of the whole history once a late record would cost many times as much. */
const MEDIAN_RATIO = 20
const MEDIAN_FLOOR_MS = 100
const WORST_MS = 5_000

let cluster: Cluster
let nodes: NodeProcess[]

beforeAll(async () => {
  cluster = await createCluster()
  nodes = await cluster.line(2)
}, 60_000)

afterAll(async () => await cluster.close())

test(`${FORKS} late forks at counter 1 do not stall other writers`, async () => {
  const [node] = nodes as [NodeProcess, NodeProcess]
  const author = createWriter('forker')
  const history = Array.from({ length: HISTORY }, (_, index) => author.write({ [`key ${index % 40}`]: index }))
  expect(new Set(statuses(await node.api.write(history)))).toEqual(new Set(['stored']))
  const forks = Array.from({ length: FORKS }, (_, index) =>
    author.write({ [`fork ${index % 40}`]: index }, { prev: [] }),
  )

  const others = Array.from({ length: OTHER_WRITERS }, (_, index) => createWriter(`beside ${index}`))
  const before = (
    await Promise.all(others.map((writer) => latencies(node, writer, (done) => done >= WRITES_BEFORE)))
  ).flat()

  let flooding = true
  const measuring = Promise.all(others.map((writer) => latencies(node, writer, (done) => done >= 5 && !flooding)))
  for (let start = 0; start < FORKS; start += FORKS_PER_POST) {
    const results = await node.api.write(forks.slice(start, start + FORKS_PER_POST))
    expect(new Set(statuses(results))).toEqual(new Set(['stored']))
  }
  flooding = false
  const during = (await measuring).flat()

  const worst = Math.max(...during)
  console.log(
    `latency of other writers: median ${median(before).toFixed(1)} ms before; during the flood median ` +
      `${median(during).toFixed(1)} ms, worst ${worst.toFixed(0)} ms over ${during.length} writes`,
  )
  expect(median(during)).toBeLessThan(Math.max(MEDIAN_RATIO * median(before), MEDIAN_FLOOR_MS))
  expect(worst).toBeLessThan(WORST_MS)

  const shown = await settled(nodes, author.avatar, ({ tips_total }) => tips_total === FORKS + 1, 'all forks')
  expect(shown.head).toBe(HISTORY)
  expect(shown.tips).toHaveLength(16)
})

/** Milliseconds of each acknowledged write of a writer that writes one record at a time until `enough`. */
async function latencies(node: NodeProcess, writer: Writer, enough: (done: number) => boolean): Promise<number[]> {
  const taken: number[] = []
  while (!enough(taken.length)) {
    const record = writer.write({ count: taken.length })
    const start = performance.now()
    const results = await node.api.write([record])
    taken.push(performance.now() - start)
    expect(statuses(results)).toEqual(['stored'])
  }
  return taken
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
