/** Several nodes on one PostgreSQL database: processes are killed, the server is restarted, and nothing is lost or told twice. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import pg from 'pg'
import type { Avatar, RecordBody, RecordId } from '../../src/record/types.ts'
import { canonicalText } from '../oracle/canonical-text.ts'
import { naiveFold } from '../oracle/naive-fold.ts'
import { createCluster, type Cluster, type NodeProcess } from '../support/cluster.ts'
import { makeCluster, type Cluster as Server } from '../support/postgres.ts'
import { sleep, until } from '../support/until.ts'
import { createWriter, type Written } from '../support/writer.ts'

const NODES = 4
const WRITERS = 16
const AVATARS = 50
const KILLS = 20
const SERVER_RESTARTS = 5
/** Pause between two faults, in which there are writes. */
const ROUND_MS = 300

/** The events of one node, read across its restarts. */
class Stream {
  readonly sequences: number[] = []
  readonly ids: RecordId[] = []
  resets = 0
  #cursor: string | undefined
  #isClosed = false
  readonly #abort = new AbortController()

  constructor(node: NodeProcess) {
    void this.#follow(node)
  }

  get last(): number {
    return this.sequences.at(-1) ?? 0
  }

  get hasBegun(): boolean {
    return this.#cursor !== undefined
  }

  close(): void {
    this.#isClosed = true
    this.#abort.abort()
  }

  async #follow(node: NodeProcess): Promise<void> {
    while (!this.#isClosed) {
      try {
        const after = this.#cursor === undefined ? '' : `?after=${this.#cursor}`
        const { body } = await fetch(`${node.url}/v2/events${after}`, { signal: this.#abort.signal })
        let rest = ''
        for await (const chunk of body ?? []) {
          const blocks = (rest + Buffer.from(chunk).toString()).split('\n\n')
          rest = blocks.pop() ?? ''
          for (const block of blocks) this.#take(block)
        }
      } catch {
        // The node is away.
      }
      await sleep(20)
    }
  }

  #take(block: string): void {
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1]
    const cursor = field('id')
    if (cursor !== undefined) this.#cursor = cursor
    const event = field('event')
    if (event === 'reset') this.resets += 1
    if (event !== 'record' && event !== 'superseded') return
    this.sequences.push(Number(cursor?.split('-')[1]))
    this.ids.push((JSON.parse(field('data') ?? '{}') as { id: RecordId }).id)
  }
}

describe('four nodes on one database', () => {
  let server: Server
  let cluster: Cluster
  let nodes: NodeProcess[]
  let streams: Stream[]

  beforeAll(async () => {
    server = await makeCluster({ durable: true })
    await server.start()
    await server.createDatabase('kv')
    cluster = await createCluster()
    const env = { AVATAR_KV_STORE: server.url('kv') }
    nodes = []
    for (let at = 0; at < NODES; at += 1) nodes.push(await cluster.start(`node-${at}`, { env, gossip: false }))
    streams = nodes.map((node) => new Stream(node))
    // Without a cursor, a stream that reconnects would begin at the next event.
    await until(() => streams.every(({ hasBegun }) => hasBegun), 'every stream has a cursor')
  })

  afterAll(async () => {
    for (const stream of streams ?? []) stream.close()
    await cluster?.close()
    await server?.remove()
  })

  it('lose nothing, tell everything once and in order, and agree with the oracle', async () => {
    const avatars = Array.from({ length: AVATARS }, (_, at) => createWriter(`shared avatar ${at}`))
    const acknowledged = new Map<RecordId, Written & { readonly avatar: Avatar }>()
    let isDone = false
    let turn = 0

    const anyNode = (): NodeProcess => nodes[(turn += 1) % NODES] as NodeProcess

    /** Gives a record to one node after the other until one acknowledges it. */
    async function give(record: Written): Promise<string> {
      for (;;) {
        try {
          const [result] = await anyNode().api.write([record])
          if (result !== undefined && result.retry !== true) return result.status
        } catch {
          // The node, or its database, is away.
        }
        await sleep(20)
      }
    }

    async function write(by: number): Promise<void> {
      for (let count = 0; !isDone; count += 1) {
        const writer = avatars[(by * 7 + count * 3) % AVATARS]!
        const known = await anyNode()
          .api.avatar(writer.avatar)
          .catch(() => null)
        if (known === null) continue
        const record = writer.write({ [`w${by}`]: count, last: by }, { prev: known?.tips ?? [] })
        const status = await give(record)
        expect(['stored', 'pending', 'duplicate']).toContain(status)
        acknowledged.set(record.id, { ...record, avatar: writer.avatar })
      }
    }

    const writing = Array.from({ length: WRITERS }, (_, by) => write(by))
    for (let round = 0; round < KILLS; round += 1) {
      await sleep(ROUND_MS)
      const node = nodes[(round * 7 + 3) % NODES] as NodeProcess
      await node.kill()
      if (round % (KILLS / SERVER_RESTARTS) === 1) {
        // Once with a checkpoint, once as after a crash.
        await server.stop(round % 8 === 1 ? 'SIGINT' : 'SIGQUIT')
        await server.start()
      }
      await node.restart()
    }
    await sleep(ROUND_MS)
    isDone = true
    await Promise.all(writing)

    const stored = await storedRecords(server.url('kv'))
    // Nothing that was acknowledged is lost.
    expect([...acknowledged.keys()].filter((id) => !stored.has(id))).toEqual([])
    expect(acknowledged.size).toBeGreaterThan(KILLS)

    // The feed has no gap, and every stream has each position once, in order.
    const last = Math.max(...[...stored.values()].map(({ sequence }) => sequence))
    expect([...stored.values()].map(({ sequence }) => sequence).sort((a, b) => a - b)).toEqual(
      Array.from({ length: last }, (_, at) => at + 1),
    )
    for (const [at, stream] of streams.entries()) {
      await until(() => stream.last >= last, `stream ${at} has every event (${stream.last} of ${last})`)
      expect(stream.resets).toBe(0)
      expect(stream.sequences).toEqual([...new Set(stream.sequences)].sort((a, b) => a - b))
      expect(new Set(stream.ids).size).toBe(stream.ids.length)
      expect(stream.sequences.at(-1)).toBe(last)
    }
    // A stream begins with the first event after it was opened, before the first write.
    for (const stream of streams) expect(stream.ids.length).toBe(last)

    // All nodes show what the oracle makes of the stored records.
    for (const { avatar } of avatars) {
      const own = [...stored.values()].filter(({ body }) => body.avatar === avatar)
      const fold = naiveFold(avatar, own)
      const texts = await Promise.all(nodes.map((node) => node.api.avatarText(avatar)))
      expect(new Set(texts).size).toBe(1)
      const shown = await (nodes[0] as NodeProcess).api.avatar(avatar)
      expect(shown?.digest).toBe(fold.digest)
      expect(shown?.namespaces.map(({ content }) => canonicalText(content))).toEqual(
        fold.namespaces.map(({ content }) => canonicalText(content)),
      )
    }
    const forked = await Promise.all(avatars.map(({ avatar }) => (nodes[1] as NodeProcess).api.avatar(avatar)))
    expect(forked.filter((shown) => (shown?.tips_total ?? 0) > 1).length).toBeGreaterThan(0)

    // No lock is left.
    for (const writer of avatars) expect(await give(writer.write({ after: true }))).toBe('stored')
  })
})

async function storedRecords(
  url: string,
): Promise<Map<RecordId, { readonly id: RecordId; readonly body: RecordBody; readonly sequence: number }>> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query<{ id: Buffer; payload: string; sequence: string }>(
    'SELECT id, payload, sequence FROM records',
  )
  await client.end()
  return new Map(
    rows.map(({ id, payload, sequence }) => {
      const record: RecordId = `0x${id.toString('hex')}`
      return [record, { id: record, body: JSON.parse(payload) as RecordBody, sequence: Number(sequence) }]
    }),
  )
}
