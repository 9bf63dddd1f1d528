import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Level, type OpenOptions } from 'level'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RecordId } from '../../src/record/types.ts'
import { createMetrics } from '../../src/observe/metrics.ts'
import { bytesOf } from '../../src/store/batch.ts'
import * as keys from '../../src/store/keys.ts'
import { totalsOperation } from '../../src/store/totals.ts'
import { createStore } from '../../src/store/store.ts'
import type { JsonSnapshot } from '../../src/store/types.ts'
import { guardWrites } from '../../src/store/write-guard.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'
import { verified, type OpenStore } from './harness.ts'
import { Writer } from './writer.ts'
import { viewOf } from './read-whole.ts'

const components = {
  environment: systemEnvironment(),
  logger: pino({ level: 'silent' }),
  metrics: createMetrics(),
  engine: await selectEngine(),
}

let location: string
let db: Level<Uint8Array, Uint8Array>
let store: OpenStore
/** Of the next write: whether it fails, and whether it is on disk all the same. */
let next: 'works' | 'fails' | 'fails, and is there'
let opened: number

beforeEach(async () => {
  location = await mkdtemp(join(tmpdir(), 'avatar-kv-store-'))
  db = new Level(location, { keyEncoding: 'view', valueEncoding: 'view' })
  await db.open()
  guardWrites(db)
  next = 'works'
  opened = 0
  db.on('open', () => (opened += 1))
  const batch = db.batch.bind(db)
  const guarded = (): unknown => {
    const made = batch()
    const write = made.write.bind(made)
    made.write = (async (options: Parameters<typeof write>[0]) => {
      const how = next
      next = 'works'
      if (how !== 'fails') await write(options)
      if (how !== 'works') throw new Error('No space left on device')
    }) as typeof made.write
    return made
  }
  db.batch = guarded as typeof db.batch
  store = await createStore({ ...components, db }, { network: 'main', location })
})
afterEach(async () => {
  await store.close()
  await rm(location, { recursive: true })
})

describe('after a write that failed', () => {
  it.each(['fails', 'fails, and is there'] as const)('and %s, the store knows what is on disk', async (how) => {
    const writer = new Writer(1)
    const [one, two, three] = writer.chain(3)
    await store.commit(verified([one!]))
    const told: string[] = []
    store.onCommit((events) => void told.push(...events.map(({ id }) => id)))
    next = how
    await expect(store.commit(verified([two!]))).rejects.toThrow('No space left')
    const isThere = how === 'fails, and is there'

    const results = await store.commit(verified([two!, three!]))
    expect(results.map(({ status }) => status)).toEqual([isThere ? 'duplicate' : 'stored', 'stored'])
    expect(opened).toBe(1)
    expect(told).toEqual([two!.id, three!.id])
    expect(store.lastSequence()).toBe(3)
    expect(store.totals()).toMatchObject({ avatars: 1, records: 3 })
    expect((await viewOf(store, writer.avatar))?.summary).toMatchObject({ head: 3, pending: 0 })
    const readSnapshot = await store.sync.readSnapshot('all')
    expect(readSnapshot.size()).toBe(3)
    await readSnapshot.close()
  })

  it('nothing is written before, reads go on, and what waits for its turn fails', async () => {
    const writer = new Writer(2)
    const records = writer.chain(4)
    await store.commit(verified([records[0]!]))
    next = 'fails'
    const both = await Promise.allSettled([
      store.commit(verified([records[1]!])),
      store.forget(new Writer(3).avatar),
      store.rebuild(writer.avatar),
    ])
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected'])
    expect((both[2] as PromiseRejectedResult).reason).toMatchObject({ name: 'StoreError', code: 'write_failed' })
    expect((await viewOf(store, writer.avatar))?.summary.head).toBe(1)
    expect(await store.rebuild()).toEqual({ records: 1, quarantined: 0 })
    expect(opened).toBe(1)
  })

  it('a feed that cannot be trimmed fails no commit, is told of first, and is trimmed later', async () => {
    const [one, two, three] = new Writer(5).chain(3)
    await store.commit(verified([one!]))
    await store.close()
    await db.open()
    const { key, value } = totalsOperation({
      lastSequence: 20_000,
      avatars: 1,
      records: 1,
      bytes: bytesOf(verified([one!])[0]!),
      keptRecords: 1,
      keptBytes: bytesOf(verified([one!])[0]!),
    }) as { key: Uint8Array; value: Uint8Array }
    await db.put(key, value)
    store = await createStore({ ...components, db }, { network: 'main', location, feedEntries: 100 })
    const told: string[] = []
    store.onCommit((events) => void told.push(...events.map(({ id }) => id)))
    const clear = db.clear.bind(db)
    db.clear = () => Promise.reject(new Error('Input/output error'))
    expect(await store.commit(verified([two!]))).toMatchObject([{ status: 'stored' }])
    expect(told).toEqual([two!.id])
    // What is partly gone is not shown as all there was.
    expect(await store.events({ after: 0, limit: 10 })).toBe('reset')
    db.clear = clear
    expect(await store.commit(verified([three!]))).toMatchObject([{ status: 'stored' }])
    expect(told).toEqual([two!.id, three!.id])
    expect(store.totals()).toMatchObject({ records: 3 })
    expect((await db.keys({ gte: keys.feedKey(0), lte: keys.feedKey(1) }).all()).length).toBe(0)
    expect(await store.events({ after: 20_000, limit: 10 })).toMatchObject([{ id: two!.id }, { id: three!.id }])
  })

  it('a metric, a cache or a listener that fails after a commit fails nothing', async () => {
    const metrics = createMetrics()
    metrics.commit = () => {
      throw new Error('a metric failed')
    }
    await store.close()
    await db.open()
    store = await createStore({ ...components, metrics, db }, { network: 'main', location })
    const told: string[] = []
    store.onCommit(() => {
      throw new Error('a listener failed')
    })
    store.onCommit((events) => void told.push(...events.map(({ id }) => id)))
    const [one, two] = new Writer(6).chain(2)
    expect(await store.commit(verified([one!]))).toMatchObject([{ status: 'stored' }])
    expect(await store.commit(verified([two!]))).toMatchObject([{ status: 'stored' }])
    expect(told).toEqual([one!.id, two!.id])
  })

  it('a database that does not open is tried again with the next write', async () => {
    const writer = new Writer(4)
    const [one, two] = writer.chain(2)
    next = 'fails'
    await expect(store.commit(verified([one!]))).rejects.toThrow('No space left')
    const open = db.open.bind(db)
    db.open = () => Promise.reject(new Error('Input/output error'))
    await expect(store.commit(verified([one!]))).rejects.toMatchObject({ code: 'unreadable' })
    db.open = open
    expect(await store.commit(verified([one!, two!]))).toMatchObject([{ status: 'stored' }, { status: 'stored' }])
    expect((await viewOf(store, writer.avatar))?.summary.head).toBe(2)
  })

  const READS: Readonly<Record<string, (of: Writer, id: RecordId) => Promise<unknown>>> = {
    summary: ({ avatar }) => store.summary(avatar),
    async openView({ avatar }) {
      const readSnapshot = await store.openView(avatar)
      return [readSnapshot!.summary, await textOf(readSnapshot!)]
    },
    openContent: async ({ avatar }) => textOf((await store.openContent(avatar, 'p', 'i'))!),
    member: ({ avatar }) => store.member(avatar, { platform: 'p', identity: 'i' }, 'k'),
    record: (_, id) => store.record(id),
    records: ({ avatar }) => store.records(avatar, { after: 0, limit: 10 }),
    history: ({ avatar }) => store.history(avatar, { limit: 10, superseded: true }),
    avatars: () => store.avatars({ limit: 10 }),
    claims: () => store.claims('p', 'i', { limit: 10 }),
    events: () => store.events({ after: 0, limit: 10 }),
    'events of one': ({ avatar }) => store.events({ after: 0, avatar, limit: 10 }),
    'sync.avatarSums': ({ avatar }) => store.sync.avatarSums([avatar]),
    'sync.held': (_, id) => store.sync.held([idBytes(id)]),
    'sync.signed': (_, id) => store.sync.signed([idBytes(id)]),
    'sync.from': () => store.sync.from({ timestamp: 0, id: new Uint8Array(0) }, { records: 10, bytes: 1_000 }),
    async 'sync.moment of all'() {
      const readSnapshot = await store.sync.readSnapshot('all')
      return [readSnapshot.size(), [...(await readSnapshot.items(0, readSnapshot.size()))], await readSnapshot.close()]
    },
    async 'sync.moment of one'({ avatar }) {
      const readSnapshot = await store.sync.readSnapshot([avatar])
      return [readSnapshot.size(), [...(await readSnapshot.items(0, readSnapshot.size()))], await readSnapshot.close()]
    },
    async exportSnapshot({ avatar }) {
      const readSnapshot = await store.exportSnapshot()
      const found: unknown[] = [await readSnapshot.summary(avatar)]
      for await (const each of readSnapshot.avatars()) found.push(each)
      for await (const each of readSnapshot.records(avatar, { history: true })) found.push(each)
      await readSnapshot.close()
      return found
    },
  }

  describe.each(Object.entries(READS))('%s', (_, read) => {
    const writer = new Writer(7)
    const first = writer.patch([], { k: 1 }, { platform: 'p', identity: 'i' })
    const records = [first, writer.patch([first], { k: 2 }, { platform: 'p', identity: 'i' })]

    it('waits for a reopening, and begins one where an earlier one has failed', async () => {
      await store.commit(verified([records[0]!]))
      const before = await read(writer, records[0]!.id)
      const open = db.open.bind(db)
      let isOpening = false
      db.open = async (options?: OpenOptions) => {
        isOpening = true
        await new Promise((resolve) => void setTimeout(resolve, 20))
        await open(options ?? {})
        isOpening = false
      }
      next = 'fails'
      await expect(store.commit(verified([records[1]!]))).rejects.toThrow('No space left')
      const committed = store.commit([])
      while (!isOpening) await new Promise((resolve) => void setImmediate(resolve))
      expect(await read(writer, records[0]!.id)).toEqual(before)
      await committed

      next = 'fails'
      await expect(store.commit(verified([records[1]!]))).rejects.toThrow('No space left')
      db.open = () => Promise.reject(new Error('Input/output error'))
      await expect(store.commit([])).rejects.toMatchObject({ code: 'unreadable' })
      await expect(read(writer, records[0]!.id)).rejects.toMatchObject({ name: 'StoreError', code: 'unreadable' })
      db.open = open
      expect(await read(writer, records[0]!.id)).toEqual(before)
    })

    it('is not cut off by a reopening', async () => {
      await store.commit(verified(records))
      const before = await read(writer, records[0]!.id)
      for (let round = 0; round < 3; round += 1) {
        next = 'fails'
        await expect(store.commit(verified(new Writer(8).chain(1)))).rejects.toThrow('No space left')
        const reads = Array.from({ length: 5 }, () => read(writer, records[0]!.id))
        const [committed, ...found] = await Promise.allSettled([store.commit([]), ...reads])
        expect(committed.status).toBe('fulfilled')
        // A moment is gone where it had begun; what it gave before was of that moment.
        for (const each of found) {
          if (each.status === 'fulfilled') expect(each.value).toEqual(before)
          else expect(each.reason).toMatchObject({ name: 'StoreError', code: 'reopened' })
        }
      }
    })
  })

  it('a moment does not go on with another one', async () => {
    const writer = new Writer(9)
    const [one, two] = writer.chain(2)
    await store.commit(verified([one!]))
    const exported = await store.exportSnapshot()
    const synced = await store.sync.readSnapshot('all')
    next = 'fails'
    await expect(store.commit(verified([two!]))).rejects.toThrow('No space left')
    expect(await exported.summary(writer.avatar)).toMatchObject({ head: 1 })
    await store.commit(verified([two!]))
    await expect(exported.summary(writer.avatar)).rejects.toMatchObject({ code: 'reopened' })
    await expect(exported.avatars()[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'reopened' })
    await expect(synced.items(0, 1)).rejects.toMatchObject({ code: 'reopened' })
    await exported.close()
    await synced.close()
  })

  it('a damaged row is repaired by a read, for which the data are opened again', async () => {
    const writer = new Writer(10)
    const records = writer.chain(2)
    await store.commit(verified(records))
    await db.put(keys.summaryKey(writer.avatar), new Uint8Array(9))
    next = 'fails'
    await expect(store.commit(verified(new Writer(11).chain(1)))).rejects.toThrow('No space left')
    expect(await store.summary(writer.avatar)).toMatchObject({ head: 2 })
    expect(opened).toBe(1)
  })

  it('what was not told of because the disk gave nothing is told of later', async () => {
    const [one, two, three] = new Writer(12).chain(3)
    await store.commit(verified([one!]))
    const told: string[] = []
    store.onCommit((events) => void told.push(...events.map(({ id }) => id)))
    next = 'fails, and is there'
    await expect(store.commit(verified([two!]))).rejects.toThrow('No space left')
    const iterator = db.iterator.bind(db)
    db.iterator = ((options: { gte?: Uint8Array }) => {
      // Of the feed, behind what was told.
      if ((options.gte?.length ?? 0) > 1 && options.gte?.[0] === keys.feedKey(2)[0])
        throw new Error('Input/output error')
      return iterator(options)
    }) as typeof db.iterator
    await expect(store.commit(verified([three!]))).rejects.toThrow('Input/output error')
    db.iterator = iterator
    await store.commit(verified([three!]))
    expect(told).toEqual([two!.id, three!.id])
  })
})

/** Reads a moment twice, as an answer does that hashes before it sends. */
async function textOf(readSnapshot: JsonSnapshot): Promise<string[]> {
  try {
    const texts: string[] = []
    for (let times = 0; times < 2; times += 1) {
      const chunks: Uint8Array[] = []
      for await (const chunk of readSnapshot.read()) chunks.push(chunk)
      texts.push(Buffer.concat(chunks).toString())
    }
    return texts
  } finally {
    await readSnapshot.close()
  }
}

function idBytes(id: RecordId): Uint8Array {
  return Uint8Array.from(Buffer.from(id.slice(2), 'hex'))
}
