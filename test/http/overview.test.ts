import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemEnvironment } from '../../src/platform/system.ts'
import { startHttpNode, type HttpNode } from './node.ts'
import { newKey, postRecords, signedPatch } from './writer.ts'

const KEY = 'org.avatar-kv.profile'
const HOUR_MS = 3_600_000
const START_MS = Math.floor(Date.now() / HOUR_MS) * HOUR_MS

let node: HttpNode
let nowMs = START_MS
beforeAll(async () => {
  node = await startHttpNode({ environment: { ...systemEnvironment(), clock: { now: () => nowMs } } })
})
afterAll(() => node.close())

/** Of the avatar's own content. */
function profilePatch(key: ReturnType<typeof newKey>, profile: object, createdAt = Math.floor(START_MS / 1000)) {
  return signedPatch(key, { platform: 'nextid', identity: key.avatar, patch: { [KEY]: profile as never }, createdAt })
}

describe('GET /v2/activity', () => {
  it('counts by the hour, and names the latest change of each avatar', async () => {
    expect((await node.json('/v2/activity')).body).toEqual({
      since: START_MS / 1000,
      hours: Array.from({ length: 24 }, () => 0),
      minutes: Array.from({ length: 60 }, () => 0),
      changes: [],
    })
    const [first, second] = [newKey(), newKey()]
    const one = profilePatch(first, { name: 'Ada' })
    await postRecords(node, [one, profilePatch(second, { name: 'Eve' })])
    nowMs += HOUR_MS
    const two = signedPatch(first, {
      prev: [one.citation],
      patch: Object.fromEntries(Array.from({ length: 9 }, (_, n) => [`${n}${'x'.repeat(90)}`, n])),
      createdAt: Math.floor(nowMs / 1000) - 5,
    })
    await postRecords(node, [two])
    const { body, headers } = await node.json('/v2/activity')
    expect(headers.get('cache-control')).toBe('no-store')
    expect(body.hours.slice(-3)).toEqual([0, 2, 1])
    expect(body.minutes).toEqual([...Array.from({ length: 59 }, () => 0), 1])
    expect(body.changes).toEqual([
      {
        avatar: first.avatar,
        id: two.id,
        counter: 2,
        stored_at: nowMs / 1000,
        created_at: nowMs / 1000 - 5,
        type: 'patch',
        platform: 'twitter',
        identity: 'yeiwb',
        keys: [0, 1, 2, 3].map((n) => `${n}${'x'.repeat(63)}`),
      },
      expect.objectContaining({ avatar: second.avatar, stored_at: START_MS / 1000, keys: [KEY] }),
    ])
    nowMs += 23 * HOUR_MS
    const later = (await node.json('/v2/activity')).body
    expect([later.hours[0], later.hours.length, later.since]).toEqual([1, 24, START_MS / 1000 + 3600])
  })

  it('lists 30 avatars at most, and parses no large payload', async () => {
    const keys = Array.from({ length: 40 }, newKey)
    await postRecords(
      node,
      keys.map((key) => signedPatch(key, { patch: { text: 'x'.repeat(20_000) }, createdAt: Math.floor(nowMs / 1000) })),
    )
    const { changes } = (await node.json('/v2/activity')).body
    expect(changes.map(({ avatar }: { avatar: string }) => avatar)).toEqual(
      keys
        .slice(-30)
        .map(({ avatar }) => avatar)
        .toReversed(),
    )
    expect(changes[0]).toMatchObject({ type: null, keys: [] })
  })
})

describe('GET /v2/profiles', () => {
  it('lists every avatar once, page by page, with its profile and size', async () => {
    const all: string[] = (await node.json('/v2/avatars?limit=1000')).body.avatars
    const listed: { avatar: string; profile: { name: string } | null; bytes: number; changed_at: number }[] = []
    for (let cursor = ''; cursor !== null;) {
      const { body } = await node.json(`/v2/profiles?limit=7${cursor === '' ? '' : `&cursor=${cursor}`}`)
      listed.push(...body.avatars)
      cursor = body.cursor
    }
    expect(listed.map(({ avatar }) => avatar)).toEqual(all)
    const named = listed.filter(({ profile }) => profile !== null)
    expect(named.map(({ profile }) => profile?.name).toSorted()).toEqual(['Ada', 'Eve'])
    for (const each of listed)
      expect(each).toMatchObject({ records: expect.any(Number), changed_at: expect.any(Number) })
    expect(listed.every(({ bytes }) => bytes > 300)).toBe(true)
  })

  it('bounds a page: large profiles end it, and one that is too large is left out', async () => {
    const own = await startHttpNode()
    try {
      const keys = Array.from({ length: 14 }, newKey)
      const now = Math.floor(Date.now() / 1000)
      await postRecords(
        own,
        keys.map((key, n) => profilePatch(key, { picture: 'x'.repeat(n === 0 ? 150_000 : 100_000) }, now)),
      )
      const first = (await own.json('/v2/profiles')).body
      expect(first.avatars.length).toBe(11)
      const rest = (await own.json(`/v2/profiles?cursor=${first.cursor}`)).body
      expect(rest.cursor).toBe(null)
      expect([...first.avatars, ...rest.avatars].filter(({ profile }) => profile === null)).toHaveLength(1)
      expect([...first.avatars, ...rest.avatars]).toHaveLength(14)
    } finally {
      await own.close()
    }
  })

  it('gives those that are named, and none that the node does not have', async () => {
    const [first = '', , third = '']: string[] = (await node.json('/v2/avatars')).body.avatars
    const ask = (all: readonly string[]) => node.json(`/v2/profiles?${all.map((each) => `avatar=${each}`).join('&')}`)
    const { body } = await ask([third, newKey().avatar, first])
    expect(body.avatars.map(({ avatar }: { avatar: string }) => avatar)).toEqual([third, first])
    expect(body.cursor).toBe(null)
    expect((await ask([first])).body.avatars).toHaveLength(1)
    expect((await ask(Array.from({ length: 101 }, () => first))).status).toBe(400)
    expect((await ask(['x'])).body.code).toBe('invalid_avatar')
  })

  it('refuses a limit and a cursor out of bounds', async () => {
    expect((await node.json('/v2/profiles?limit=101')).status).toBe(400)
    expect((await node.json('/v2/profiles?cursor=x')).body.code).toBe('invalid_avatar')
  })
})
