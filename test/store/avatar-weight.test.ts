import { randomBytes, randomUUID } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryLevel } from 'memory-level'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'

import { createMetrics } from '../../src/observe/metrics.ts'
import type { Avatar, Citation, JsonObject, PatchBody, RecordId, VerifiedRecord } from '../../src/record/types.ts'
import type { AvatarEntry } from '../../src/store/avatar-entry.ts'
import type { Database, Operation } from '../../src/store/level.ts'
import { newEntry } from '../../src/store/level-rows.ts'
import { LevelSink } from '../../src/store/level-sink.ts'
import { openStore } from '../../src/store/store.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'
import type { OpenStore } from './harness.ts'

setFlagsFromString('--expose-gc')
const engine = await selectEngine()
const collect = runInNewContext('gc') as () => void

/** How far a weight may be from what the entry really takes. */
const TOLERANCE = 0.2
/** Bytes of entries measured at once: far more than what else moves on the heap. */
const MEASURED_BYTES = 6_000_000

function heapBytes(): number {
  collect()
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** An avatar's entry after each patch was committed by itself, as a node's writer leaves it. */
function written(db: Database, patches: readonly JsonObject[], after: (operations: Operation[]) => void): AvatarEntry {
  const avatar: Avatar = `0x02${randomBytes(32).toString('hex')}`
  const entry = newEntry(db, avatar)
  let prev: Citation[] = []
  for (const [at, patch] of patches.entries()) {
    const body = bodyOf(avatar, at, prev, patch)
    const id: RecordId = `0x${randomBytes(32).toString('hex')}`
    // As it comes out of a payload, so that nothing is shared with other records.
    const read = JSON.parse(JSON.stringify(body)) as PatchBody
    entry.hold(id, read)
    entry.keep(id, 600, true)
    entry.state.add({ id, body: read })
    const operations: Operation[] = []
    entry.flush(new LevelSink(db, operations))
    after(operations)
    prev = [{ counter: at + 1, id }]
  }
  return entry
}

function bodyOf(avatar: Avatar, at: number, prev: readonly Citation[], patch: JsonObject): PatchBody {
  return {
    ...{ avatar, counter: at + 1, created_at: 1_790_000_000, network: 'main', uuid: randomUUID(), version: '2' },
    ...{ type: 'patch', platform: 'twitter', identity: `someone-${at % 2}`, prev, patch },
  }
}

const text = (length: number) =>
  randomBytes(Math.ceil(length / 2))
    .toString('hex')
    .slice(0, length)
const members = (count: number, value: (n: number) => JsonObject[string]) =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`${text(8)}${n}`, value(n)]))

const KINDS: readonly [string, () => JsonObject[]][] = [
  [
    'two small records',
    () => [
      { colour: 'green', size: 3 },
      { colour: 'blue', name: text(20) },
    ],
  ],
  ['an app with a few settings', () => [{ 'com.example.app': { theme: text(10), size: 3, seen: [1, 2, 3] } }]],
  ['many short members', () => [members(2_000, () => text(20))]],
  ['many numbers', () => [members(2_000, (n) => n)]],
  ['one long text', () => [{ text: text(200_000) }]],
  ['deep objects', () => [{ app: members(300, (n) => ({ a: { b: n, c: text(12) } })) }]],
  ['an array of numbers', () => [{ list: Array.from({ length: 50_000 }, (_, n) => n) }]],
  ['an array of empty arrays', () => [{ list: Array.from({ length: 50_000 }, () => []) }]],
  ['an array of empty objects', () => [{ list: Array.from({ length: 50_000 }, () => ({})) }]],
  ['an array of small objects', () => [{ list: Array.from({ length: 5_000 }, (_, n) => ({ id: n, name: text(10) })) }]],
  ['records one by one', () => Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? { [text(8)]: 1 } : {}))],
  ['objects with keys of their own', () => [{ list: Array.from({ length: 5_000 }, () => ({ [text(8)]: 1 })) }]],
  ['text beyond Latin-1', () => [{ list: Array.from({ length: 5_000 }, () => `漢字${text(20)}`) }]],
  [
    'fractions',
    () => [{ list: Array.from({ length: 5_000 }, () => (Math.random() < 0.5 ? Math.random() : text(20))) }],
  ],
  ['deleted members', () => [members(500, () => 1), members(500, () => null)]],
  [
    'members that a later record deletes',
    () => {
      const set = members(500, () => text(40))
      return [set, {}, Object.fromEntries(Object.keys(set).map((key) => [key, null]))]
    },
  ],
  [
    'members that a later record deletes within an object',
    () => {
      const set = members(500, () => text(40))
      return [{ app: set }, {}, { app: Object.fromEntries(Object.keys(set).map((key) => [key, null])) }]
    },
  ],
]

describe('the weight of an avatar in memory', () => {
  const unread = new MemoryLevel<Uint8Array, Uint8Array>({ keyEncoding: 'view', valueEncoding: 'view' })

  it.each(KINDS)('is what it takes on the heap: %s', (_kind, patches) => {
    for (let n = 0; n < 20; n++) written(unread, patches(), () => {})
    const before = heapBytes()
    const entries: AvatarEntry[] = []
    let weight = 0
    while (weight < MEASURED_BYTES) {
      const entry = written(unread, patches(), () => {})
      entries.push(entry)
      weight += entry.weight
    }
    const taken = heapBytes() - before
    expect(weight / taken).toBeGreaterThan(1 - TOLERANCE)
    expect(weight / taken).toBeLessThan(1 + TOLERANCE)
  })

  it('is at most 4,000 bytes for an avatar of two small records', () => {
    const two = KINDS[0]?.[1] ?? (() => [])
    for (let n = 0; n < 200; n++) written(unread, two(), () => {})
    const before = heapBytes()
    const entries = Array.from({ length: 2_000 }, () => written(unread, two(), () => {}))
    expect((heapBytes() - before) / entries.length).toBeLessThan(4_000)
  })

  it('keeps the avatars that a store remembers within their budget', async () => {
    const location = await mkdtemp(join(tmpdir(), 'avatar-kv-weight-'))
    const parts = {
      environment: systemEnvironment(),
      logger: pino({ level: 'silent' }),
      metrics: createMetrics(),
      engine,
    }
    const store = await openStore(parts, { location, network: 'main', cacheBytes: CACHE_BYTES })
    try {
      await commitAvatars(store, 1_000)
      const before = heapBytes()
      await commitAvatars(store, AVATARS)
      const taken = heapBytes() - before
      // All of them would take 38 MB. The caches of LevelDB itself are not on the heap.
      expect(taken).toBeLessThan(AVATARS_SHARE_BYTES * (1 + TOLERANCE))
    } finally {
      await store.close()
      await rm(location, { recursive: true })
    }
  })
})

/** Small caches, of which the avatars have half. */
const CACHE_BYTES = 36 * 1024 * 1024
const AVATARS_SHARE_BYTES = 18 * 1024 * 1024
const AVATARS = 10_000
const COMMITTED_AT_ONCE = 250

/** New avatars of two records each. Their signatures are noise: verification is not what is measured here. */
async function commitAvatars(store: OpenStore, count: number): Promise<void> {
  for (let n = 0; n < count; n += COMMITTED_AT_ONCE) {
    const records = Array.from({ length: COMMITTED_AT_ONCE }, () => twoRecords()).flat()
    const results = await store.commit(records)
    if (results.some(({ status }) => status !== 'stored')) throw new Error('a record was not stored')
  }
}

function twoRecords(): VerifiedRecord[] {
  const avatar: Avatar = `0x02${randomBytes(32).toString('hex')}`
  const prev: Citation[] = []
  return [
    { colour: 'green', size: 3 },
    { colour: 'blue', name: text(20) },
  ].map((patch, at) => {
    const body = bodyOf(avatar, at, prev.slice(-1), patch)
    const payload = Buffer.from(JSON.stringify(body))
    const id: RecordId = `0x${randomBytes(32).toString('hex')}`
    prev.push({ counter: at + 1, id })
    return {
      id,
      body: JSON.parse(payload.toString()),
      payload,
      signature: randomBytes(64),
    } as unknown as VerifiedRecord
  })
}
