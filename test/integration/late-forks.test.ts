import { afterAll, beforeAll, expect, test } from 'vitest'
import { createCluster } from '../support/cluster.ts'
import type { Cluster, NodeProcess } from '../support/cluster.ts'
import { settled, statuses } from '../support/settle.ts'
import { createWriter } from '../support/writer.ts'
import type { Written } from '../support/writer.ts'

const FORKS = 5_000
const RECORDS_PER_POST = 500
const HISTORY = 300
const OTHER_WRITERS = 4
/**
 * The forks are compared with as many ordinary patches that arrive in the same way, since a node that is busy, or a
 * machine, answers everybody later. A fold of the history for every late record would cost many times as much.
 */
const MEDIAN_RATIO = 3
const MEDIAN_FLOOR_MS = 30
const WORST_RATIO = 10
const WORST_FLOOR_MS = 2_000

let cluster: Cluster
let nodes: NodeProcess[]

beforeAll(async () => {
  cluster = await createCluster()
  nodes = await cluster.line(2)
})

afterAll(async () => await cluster.close())

test(`${FORKS} late forks at counter 1 do not stall other writers`, async () => {
  const [node] = nodes as [NodeProcess, NodeProcess]
  const author = createWriter('forker')
  const history = Array.from({ length: HISTORY }, (_, index) => author.write({ [`key ${index % 40}`]: index }))
  expect(new Set(statuses(await node.api.write(history)))).toEqual(new Set(['stored']))
  const forks = Array.from({ length: FORKS }, (_, index) =>
    author.write({ [`fork ${index % 40}`]: index }, { prev: [] }),
  )
  const ordinary = createWriter('ordinary')
  const patches = Array.from({ length: FORKS }, (_, index) => ordinary.write({ [`key ${index % 40}`]: index }))

  const beside = await latenciesDuring(node, 'ordinary', async () => await post(node, patches))
  const during = await latenciesDuring(node, 'forks', async () => await post(node, forks))
  console.log(`other writers wait: ${text(beside)} beside ordinary patches, ${text(during)} beside late forks`)
  expect(median(during)).toBeLessThan(MEDIAN_RATIO * median(beside) + MEDIAN_FLOOR_MS)
  expect(Math.max(...during)).toBeLessThan(WORST_RATIO * Math.max(...beside) + WORST_FLOOR_MS)

  const shown = await settled(nodes, author.avatar, ({ tips_total }) => tips_total === FORKS + 1, 'all forks')
  expect(shown.head).toBe(HISTORY)
  expect(shown.tips).toHaveLength(16)
})

async function post(node: NodeProcess, records: readonly Written[]): Promise<void> {
  for (let start = 0; start < records.length; start += RECORDS_PER_POST) {
    const results = await node.api.write(records.slice(start, start + RECORDS_PER_POST))
    expect(new Set(statuses(results))).toEqual(new Set(['stored']))
  }
}

/** Milliseconds of each write that others had acknowledged while `work` was done, each writing one record at a time. */
async function latenciesDuring(node: NodeProcess, name: string, work: () => Promise<void>): Promise<number[]> {
  const taken: number[] = []
  let working = true
  const others = Array.from({ length: OTHER_WRITERS }, async (_, index) => {
    const writer = createWriter(`beside ${name} ${index}`)
    while (working) {
      const record = writer.write({ count: taken.length })
      const start = performance.now()
      const results = await node.api.write([record])
      taken.push(performance.now() - start)
      expect(statuses(results)).toEqual(['stored'])
    }
  })
  await work()
  working = false
  await Promise.all(others)
  return taken
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

function text(values: readonly number[]): string {
  return `median ${median(values).toFixed(1)} ms, worst ${Math.max(...values).toFixed(0)} ms of ${values.length}`
}
