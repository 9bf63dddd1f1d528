import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Citation, RecordId } from '../../src/record/types.ts'
import { createCluster } from '../support/cluster.ts'
import type { Cluster, NodeProcess } from '../support/cluster.ts'
import { until } from '../support/until.ts'
import { cite, createWriter } from '../support/writer.ts'
import type { Writer } from '../support/writer.ts'

const ROUNDS = 50
const WRITERS = 4
/** The process dies once each writer has had up to this many acknowledgements, so somewhere within some commit. */
const MOST_WRITES = 30

interface Stream {
  readonly writer: Writer
  /** Ids in the order in which the node acknowledged them. */
  readonly acknowledged: RecordId[]
  /** What the node showed when it last came up, and what it has acknowledged since. */
  head: number
  tips: readonly Citation[]
}

let cluster: Cluster
let node: NodeProcess

beforeAll(async () => {
  cluster = await createCluster()
  node = await cluster.start('crash')
})

afterAll(async () => await cluster.close())

test(`kill -9 during a stream of acknowledged writes loses none of them, ${ROUNDS} times`, async () => {
  const streams: Stream[] = Array.from({ length: WRITERS }, (_, index) => ({
    writer: createWriter(`crash ${index}`),
    acknowledged: [],
    head: 0,
    tips: [],
  }))

  let killedWhileWriting = 0
  for (let round = 0; round < ROUNDS; round++) {
    let killed = false
    const before = streams.map(({ acknowledged }) => acknowledged.length)
    const writes = 1 + Math.floor(Math.random() * MOST_WRITES)
    const writing = Promise.all(streams.map((stream) => writeUntilKilled(stream, () => killed)))
    const enough = until(
      () => streams.every(({ acknowledged }, index) => acknowledged.length >= (before[index] ?? 0) + writes),
      `each writer has ${writes} more acknowledgements`,
    )
    // A writer that fails before the kill ends the round, and the test, at once.
    await Promise.race([writing, enough])
    killed = true
    await node.kill()
    killedWhileWriting += (await writing).filter((inFlight) => inFlight).length
    await node.restart()
    // What was being written when the process died is no damage.
    expect(await damageOf(node)).toBeNull()

    for (const stream of streams) {
      const answer = await node.api.avatar(stream.writer.avatar)
      expect(answer?.head ?? 0).toBeGreaterThanOrEqual(stream.head)
      expect(answer?.pending ?? 0).toBe(0)
      if (answer) expect(answer.namespaces[0]?.content['last']).toBe(answer.head)
      stream.head = answer?.head ?? 0
      stream.tips = answer?.tips ?? []
    }
  }

  for (const { writer, acknowledged } of streams) {
    const held = new Set(await node.api.recordIds(writer.avatar))
    expect(acknowledged.filter((id) => !held.has(id))).toEqual([])
  }
  // Otherwise the rounds would have proved nothing: in most, writes were under way when the process died.
  expect(killedWhileWriting).toBeGreaterThan(ROUNDS)
})

const damageOf = async ({ url }: NodeProcess): Promise<unknown> =>
  ((await (await fetch(`${url}/v2/status`)).json()) as { damage: unknown }).damage

/** Writes on the node's tips, one record at a time, until the node is gone; tells whether a write was then under way. */
async function writeUntilKilled(stream: Stream, killed: () => boolean): Promise<boolean> {
  while (!killed()) {
    const { head, tips } = stream
    const record = stream.writer.write({ last: head + 1, [`slot ${head % 50}`]: 'x'.repeat(200) }, { prev: tips })
    try {
      const [result] = await node.api.write([record])
      if (result?.status !== 'stored') throw new Error(`Not stored: ${JSON.stringify(result)}`)
    } catch (error) {
      if (killed()) return true
      throw error
    }
    stream.acknowledged.push(record.id)
    stream.head = record.counter
    stream.tips = cite(record)
  }
  return false
}
