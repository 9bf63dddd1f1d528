import { expect } from 'vitest'
import type { Avatar, VerifiedRecord } from '../../src/record/types.ts'
import type { Bound } from '../../src/negentropy/types.ts'
import { naiveFold } from '../oracle/naive-fold.ts'
import type { OpenStore } from './harness.ts'

const START: Bound = { timestamp: 0, id: new Uint8Array(0) }
const PAGE = { records: 5, bytes: 4_000_000 }

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString()
const idOf = (id: Uint8Array): string => `0x${Buffer.from(id).toString('hex')}`

/** Payloads of all records of a bulk stream. */
export async function streamed(store: OpenStore): Promise<string[]> {
  const found: string[] = []
  for (let from: Bound | null = START; from !== null;) {
    const part = await store.sync.from(from, PAGE)
    found.push(...part.records.map(({ payload }) => textOf(payload)))
    from = part.next
  }
  return found
}

/**
 * That all that sync reads of a store with one avatar is the live records, as they are right now.
 *
 * @param given every record ever committed; none was refused
 */
export async function expectSynced(store: OpenStore, avatar: Avatar, given: readonly VerifiedRecord[]): Promise<void> {
  const { statuses } = naiveFold(avatar, given)
  const byId = new Map(given.map((record) => [record.id, record]))
  const live = [...byId.values()].filter(({ id }) => statuses.get(id) !== 'superseded')
  // First what does not wait for the order of sync to be cleared.
  expect((await streamed(store)).toSorted()).toEqual(live.map(({ payload }) => textOf(payload)).toSorted())
  const signed = await store.sync.signed([...byId.keys()].map((id) => Buffer.from(id.slice(2), 'hex')))
  expect(signed.map(({ payload }) => textOf(payload))).toEqual(
    [...byId.values()].filter((record) => live.includes(record)).map(({ payload }) => textOf(payload)),
  )
  const [sums] = await store.sync.avatarSums([avatar])
  expect(sums?.count).toBe(live.length)
  expect(store.totals().records).toBe(live.length)
  for (const scope of ['all', [avatar]] as const) {
    const readSnapshot = await store.sync.readSnapshot(scope)
    const ids = [...(await readSnapshot.items(0, readSnapshot.size()))].map(({ id }) => idOf(id))
    expect(ids.toSorted()).toEqual(live.map(({ id }) => id).toSorted())
    expect(idOf(await readSnapshot.sum(0, readSnapshot.size()))).toBe(idOf(sums!.sum))
    await readSnapshot.close()
  }
}
