import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Avatar } from '../../src/record/types.ts'
import { hostedReader } from '../../src/hosting/hosted-reader.ts'
import { payloadHead } from '../../src/record/payload-head.ts'
import type { StoreReader } from '../../src/store/types.ts'
import { openDoor, type Door } from '../ingest/door.ts'
import { Writer } from '../store/writer.ts'
import { claimsOf, contentOf, viewOf } from '../store/read-whole.ts'

const writers = Array.from({ length: 9 }, (_, n) => new Writer(n + 1))
const records = writers.flatMap((writer) => writer.chain(3))
/** Every third. */
const shown = writers.filter((_, n) => n % 3 === 0).map(({ avatar }) => avatar)
const isShown = (avatar: Avatar) => shown.includes(avatar)

let door: Door
let reader: StoreReader
beforeAll(async () => {
  door = await openDoor()
  await door.ingest.submit(records, { origin: 'http' })
  reader = hostedReader(door.store, isShown, (payload) => payloadHead(payload)?.avatar)
})
afterAll(() => door.close())

test('avatars that are hosted are read as they are, of the others nothing is there', async () => {
  for (const { avatar } of writers) {
    const reads = (store: StoreReader) =>
      Promise.all([
        store.summary(avatar),
        viewOf(store, avatar),
        contentOf(store, avatar, 'twitter', 'alice'),
        store.records(avatar, { after: 0, limit: 10 }),
        store.history(avatar, { limit: 10, superseded: true }),
      ])
    const nothing = [undefined, undefined, undefined, undefined, []]
    expect(await reads(reader)).toEqual(isShown(avatar) ? await reads(door.store) : nothing)
  }
  for (const { id, body } of records) {
    expect((await reader.record(id))?.id).toBe(isShown(body.avatar) ? id : undefined)
  }
})

test('lists have the hosted ones, page by page', async () => {
  for (const limit of [1, 2, 3, 100]) {
    const found: Avatar[] = []
    for (let page = await reader.avatars({ limit }); page.length > 0;) {
      found.push(...page)
      page = await reader.avatars({ limit, after: page.at(-1) as Avatar })
    }
    expect(found).toEqual([...shown].sort())
  }
  const claims = await claimsOf(reader, 'twitter', 'alice', 100)
  expect(claims.map(({ avatar }) => avatar)).toEqual([...shown].sort())
})

test('events of the others are passed over, and those behind them still come', async () => {
  for (const limit of [1, 2, 5, 100]) {
    const found: Avatar[] = []
    for (let after = 0; ;) {
      const page = await reader.events({ after, limit })
      if (page === 'reset') throw new Error('reset')
      const last = page.at(-1)
      if (last === undefined) break
      found.push(...page.map(({ avatar }) => avatar))
      after = last.sequence
    }
    expect(found).toHaveLength(9)
    expect(found.every(isShown)).toBe(true)
  }
  const other = writers[1]?.avatar as Avatar
  expect(await reader.events({ after: 0, avatar: other, limit: 10 })).toEqual([])
  expect(await reader.events({ after: 1_000_000, limit: 10 })).toBe('reset')
})

test('a moment for export has nothing of the others', async () => {
  const readSnapshot = await reader.exportSnapshot()
  const found: Avatar[] = []
  for await (const avatar of readSnapshot.avatars()) found.push(avatar)
  expect(found).toEqual([...shown].sort())
  for (const { avatar } of writers) {
    let count = 0
    for await (const { payload } of readSnapshot.records(avatar, { history: true })) count += payload.length > 0 ? 1 : 0
    expect([avatar, count, (await readSnapshot.summary(avatar))?.records]).toEqual(
      isShown(avatar) ? [avatar, 3, 3] : [avatar, 0, undefined],
    )
  }
  await readSnapshot.close()
})
