import { expect, test } from 'vitest'
import type { Avatar } from '../../src/record/types.ts'
import { MAX_LISTED_AVATARS } from '../../src/sync/limits.ts'
import { ownList } from '../../src/sync/scope.ts'
import type { SyncSource } from '../../src/store/types.ts'
import { Writer } from '../store/writer.ts'
import { openNode, sync } from './sync-node.ts'

const avatars = (count: number): Avatar[] =>
  Array.from({ length: count }, (_, n): Avatar => `0x02${(count - n).toString(16).padStart(64, '0')}`)

const empty = {
  avatarSums: (all: readonly Avatar[]) =>
    Promise.resolve(all.map((avatar) => ({ avatar, count: 0, sum: new Uint8Array(32) }))),
} as Pick<SyncSource, 'avatarSums'> as SyncSource

test.each([0, 1, 9_999, 10_000])('a scope of %i avatars is one list, in order', async (count) => {
  const scope = avatars(count)
  const turn = { listedUpTo: 0 }
  const list = await ownList(empty, [...scope, ...scope.slice(0, 1)], turn)
  expect(list.avatars).toEqual([...scope].sort())
  expect(turn.listedUpTo).toBe(0)
})

test.each([10_001, 19_000, 19_001, 100_000])(
  'one of %i is listed in turns: the newest always, the others before long',
  async (count) => {
    const scope = avatars(count)
    const turn = { listedUpTo: 0 }
    const seen = new Set<Avatar>()
    const turns = Math.ceil((count - 1_000) / 9_000)
    for (let n = 0; n < turns; n += 1) {
      const list = await ownList(empty, scope, turn)
      expect(list.avatars).toHaveLength(MAX_LISTED_AVATARS)
      expect(list.avatars).toEqual([...new Set(list.avatars)].sort())
      expect(scope.slice(0, 1_000).every((avatar) => list.avatars.includes(avatar))).toBe(true)
      for (const avatar of list.avatars) seen.add(avatar)
    }
    expect(seen.size).toBe(count)
    // And on, with fewer avatars than before.
    expect((await ownList(empty, scope.slice(0, 10_500), turn)).avatars).toHaveLength(MAX_LISTED_AVATARS)
  },
)

test.each(['listed', 'other'])('a scope beyond a list is equal after some sessions of the %s node', async (opener) => {
  const writers = [1, 2, 3, 4].map((seed) => new Writer(seed))
  const strangers = avatars(12_000)
  // Two that come late in the order of the scope.
  const [a, b, c, d] = writers.map(({ avatar }) => avatar) as [Avatar, Avatar, Avatar, Avatar]
  const scope = [a, ...strangers.slice(0, 6_000), b, ...strangers.slice(6_000), c]
  const listed = await openNode({ scope })
  const all = await openNode()
  await all.put(writers.flatMap((writer) => writer.chain(3)))
  await listed.put([new Writer(3).patch([], { only: 'here' })])
  for (let session = 0; session < 2; session += 1) {
    const { mine, theirs } = await (opener === 'listed' ? sync(listed, all) : sync(all, listed))
    expect([mine.error, theirs.error]).toEqual([undefined, undefined])
  }
  const held = await Promise.all([a, b, c, d].map((avatar) => listed.store.summary(avatar)))
  expect(held.map((summary) => summary?.records)).toEqual([3, 3, 4, undefined])
  expect((await all.store.summary(c))?.records).toBe(4)
  await Promise.all([listed.close(), all.close()])
})
