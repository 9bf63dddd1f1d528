import { connect, type Socket } from 'node:net'

import fc from 'fast-check'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'

import { MAX_PREV } from '../../src/record/limits.ts'
import { recordId } from '../../src/record/id.ts'
import { EventBlock } from '../../src/http/v2/event-frames.ts'
import type { Citation, SignedRecord } from '../../src/record/types.ts'
import type { ChangeEvent } from '../../src/store/types.ts'
import { propertyRuns } from '../support/runs.ts'
import { until } from '../support/until.ts'
import { startHttpNode, type HttpNode } from './node.ts'
import { flood, newKey, postRecords, signedPatch, signedSnapshot, type Written } from './writer.ts'

const READERS = 5
/** As many readers follow one avatar each, the others all. */
const AVATARS = 2
let node: HttpNode

beforeAll(async () => {
  // Small bounds, so that streams lag soon.
  const limits = { maxBufferedBytes: 16 * 1024, recentEventBytes: 128 * 1024, drainTimeoutMs: 60_000 }
  node = await startHttpNode({ limits })
})
afterAll(() => node.close())

interface Reader {
  /** Ids of the events, over all of its connections. */
  readonly ids: string[]
  hasBegun(): boolean
  pause(): void
  resume(): void
  /** Breaks the connection, and resumes after the last event that arrived. */
  reconnect(): void
  close(): void
}

/** A reader that can stop reading at any byte, as a phone in a tunnel does. */
function openReader(avatar: string | undefined, cursor: string): Reader {
  const ids: string[] = []
  let last = cursor
  let hasBegun = false
  let socket = start()

  function start(): Socket {
    const opened = connect({ port: node.port, host: '127.0.0.1' })
    const filter = avatar === undefined ? '' : `?avatar=${avatar}`
    // HTTP/1.0: the body is not in chunks.
    opened.write(`GET /v2/events${filter} HTTP/1.0\r\nlast-event-id: ${last}\r\n\r\n`)
    let rest = ''
    opened.setEncoding('latin1')
    opened.on('error', () => undefined)
    opened.on('data', (chunk: string) => {
      const frames = (rest + chunk).split('\n\n')
      rest = frames.pop() ?? ''
      for (const frame of frames) {
        const id = /^id: (\S+)$/m.exec(frame)?.[1]
        if (id === undefined) continue
        last = id
        hasBegun = true
        const data = /^data: (.+)$/m.exec(frame)?.[1]
        if (data === undefined) continue
        const event = JSON.parse(data) as { id?: string }
        ids.push(event.id ?? 'reset')
      }
    })
    return opened
  }

  return {
    ids,
    hasBegun: () => hasBegun,
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    reconnect() {
      socket.removeAllListeners('data')
      socket.destroy()
      socket = start()
    },
    close: () => void socket.destroy(),
  }
}

type Author = ReturnType<typeof createAuthor>

/** Writes as one avatar. Its patches cite the last snapshot: else they would have no effect. */
function createAuthor() {
  const key = newKey()
  let base: Citation[] = []
  let unseen: Written[] = []
  let count = 0
  return {
    avatar: key.avatar,
    /** Whether the next snapshot can cite three more. */
    mayWrite: () => base.length + unseen.length + 3 < MAX_PREV,
    patches(length: number): Written[] {
      const made = Array.from({ length }, () => signedPatch(key, { patch: { n: count++ }, prev: base }))
      unseen.push(...made)
      return made
    },
    /** A snapshot in place of everything before it. */
    snapshot() {
      const seen = [...base, ...unseen.map(({ citation }) => citation)]
      const snapshot = signedSnapshot(key, seen, [])
      base = [snapshot.citation]
      unseen = []
      return { snapshot, seen: seen.map(({ id }) => id) }
    },
  }
}

const step = fc.record({
  /** The reader that does something, or the avatar that is written to. */
  which: fc.nat({ max: READERS - 1 }),
  what: fc.constantFrom('pause', 'resume', 'reconnect', 'write', 'replace', 'flood', 'flood', 'block'),
  records: fc.integer({ min: 1, max: 300 }),
})

it('every event comes once and in order, to readers that are slow, stop or come back', async () => {
  let round = 0
  const reads = vi.spyOn(node.store, 'events')
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 20 }), async (steps) => {
      const authors = Array.from({ length: AVATARS }, () => createAuthor())
      const cursor = `${node.store.epoch}-${node.store.lastSequence()}`
      const readers = Array.from({ length: READERS }, (_, n) => {
        const avatar = authors[n]?.avatar
        return { avatar, ...openReader(avatar, cursor) }
      })
      const written: { readonly id: string; readonly avatar: string | undefined }[] = []
      /** Patches that a snapshot has replaced: a reader that comes later does not hear of them. */
      const replaced = new Set<string>()
      const post = async (records: readonly SignedRecord[], avatar?: string) => {
        await postRecords(node, records)
        written.push(...records.map(({ payload }) => ({ id: recordId(payload), avatar })))
      }
      for (const { which, what, records } of steps) {
        const author = authors[which % AVATARS] as Author
        if (what === 'flood') {
          await post(flood(records, round++))
        } else if (what === 'write' && author.mayWrite()) {
          await post(author.patches(3), author.avatar)
        } else if (what === 'write' || what === 'replace') {
          const { snapshot, seen } = author.snapshot()
          await post([snapshot], author.avatar)
          for (const id of seen) replaced.add(id)
        } else if (what === 'block') {
          await node.hosting.block([newKey().avatar], { forget: false })
        } else {
          readers[which]?.[what]()
        }
      }
      for (const reader of readers) reader.resume()
      const last = await Promise.all(
        authors.map(async (author) => {
          const records = author.patches(1)
          await post(records, author.avatar)
          return records[0]?.id ?? ''
        }),
      )
      for (const [n, { avatar, ids, close }] of readers.entries()) {
        await until(
          () => last.every((id, at) => (avatar === undefined || at === n ? ids.includes(id) : true)),
          'the last events',
        )
        const own = written.filter((each) => avatar === undefined || each.avatar === avatar).map(({ id }) => id)
        const heard = new Set(ids)
        expect(ids).toEqual(own.filter((id) => heard.has(id) || !replaced.has(id)))
        close()
      }
    }),
    { numRuns: propertyRuns(15) },
  )
  // Else no reader was ever further behind than the events in memory.
  expect(reads.mock.calls.length).toBeGreaterThan(5)
})

it('a reader that stopped for longer than the connection and the memory last gets the rest from the store', async () => {
  const reads = vi.spyOn(node.store, 'events')
  const reader = openReader(undefined, `${node.store.epoch}-${node.store.lastSequence()}`)
  await postRecords(node, [signedPatch(newKey())])
  await until(() => reader.ids.length === 1, 'the stream is open')
  reader.pause()
  const expected = [...reader.ids]
  for (let n = 0; n < 15; n++) {
    const records = flood(1000, 1_000_000 + n)
    await postRecords(node, records)
    expected.push(...records.map(({ payload }) => recordId(payload)))
  }
  const before = reads.mock.calls.length
  reader.resume()
  await until(() => reader.ids.length >= expected.length, 'the reader has all events')
  expect(reader.ids).toEqual(expected)
  expect(reads.mock.calls.length).toBeGreaterThan(before)
  reader.close()
})

it('a reader that comes later gets what is left in the store, across gaps', async () => {
  const cursor = `${node.store.epoch}-${node.store.lastSequence()}`
  const author = createAuthor()
  const others = flood(900, 2_000_000)
  await postRecords(node, author.patches(10))
  await node.store.forget(author.avatar)
  await node.store.tasksDone()
  for (let n = 0; n < others.length; n += 300) await postRecords(node, others.slice(n, n + 300))
  const expected = others.map(({ payload }) => recordId(payload))
  const [first, second] = [openReader(undefined, cursor), openReader(undefined, cursor)]
  for (const { ids, close } of [first, second]) {
    await until(() => ids.length >= expected.length, 'the reader has all events')
    expect(ids).toEqual(expected)
    close()
  }
})

it('a replay leaves out an avatar that was blocked a moment ago', async () => {
  const cursor = `${node.store.epoch}-${node.store.lastSequence()}`
  const [blocked, other] = [newKey(), newKey()]
  const before = openReader(undefined, cursor)
  await until(() => before.hasBegun(), 'the stream is open')
  await postRecords(node, [signedPatch(blocked)])
  await until(() => before.ids.length === 1, 'a reader has heard of it')
  await node.hosting.block([blocked.avatar], { forget: false })
  const record = signedPatch(other)
  await postRecords(node, [record])
  const later = openReader(undefined, cursor)
  await until(() => later.ids.length > 0, 'the replay has come')
  expect(later.ids).toEqual([record.id])
  before.close()
  later.close()
})

it('events of one avatar that wait for a slow reader do not hold the events of others in memory', () => {
  const [one, other] = [newKey().avatar, newKey().avatar]
  const events = Array.from({ length: 100 }, (_, n): ChangeEvent => ({
    sequence: n + 1,
    kind: 'record',
    avatar: n === 50 ? one : other,
    id: `0x${'1'.repeat(64)}`,
    counter: 1,
    head: 1,
    digest: '2'.repeat(64),
  }))
  const block = EventBlock.of(0, 100, events, 'e'.repeat(16))
  const whole = block.after(0)
  const own = block.of(new Set([one]), 0)
  expect(whole.includes(own)).toBe(true)
  expect(own.toString('latin1').split('\n\n')).toHaveLength(2)
  expect(own.buffer).not.toBe(whole.buffer)
})
