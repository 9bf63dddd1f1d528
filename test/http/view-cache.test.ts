import { describe, expect, it } from 'vitest'

import { createViewCache } from '../../src/http/answers/view-cache.ts'
import type { Avatar } from '../../src/record/types.ts'
import type { CommitListener, JsonSnapshot, LinkedSnapshot, ViewSnapshot } from '../../src/store/types.ts'

const AVATAR: Avatar = `0x02${'11'.repeat(32)}`

/** A store whose reads answer when told to: the order of a read and a commit is what these tests are about. */
function handStore() {
  const reads: ((version: number, links?: readonly Avatar[]) => void)[] = []
  const listeners = new Set<CommitListener>()
  return {
    reads,
    openView: (avatar: Avatar) =>
      new Promise<ViewSnapshot | undefined>((resolve) => {
        reads.push((version) => resolve(version === 0 ? undefined : viewOf(avatar, version)))
      }),
    openContent: (_avatar: Avatar, platform: string) =>
      new Promise<JsonSnapshot | undefined>((resolve) => {
        reads.push((version) => resolve(version === 0 ? undefined : textOf(`{"${platform}":${version}}`)))
      }),
    openLinkedView: (avatar: Avatar) =>
      new Promise<LinkedSnapshot | undefined>((resolve) => {
        reads.push((version, links = []) => resolve(version === 0 ? undefined : linkedOf(avatar, version, links)))
      }),
    openLinkedContent: (): Promise<LinkedSnapshot | undefined> => Promise.resolve(undefined),
    onCommit(listener: CommitListener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    commit(sequence: number, avatar = AVATAR) {
      const event = { sequence, kind: 'record', avatar, id: '0x', counter: 1, head: 1, digest: '' } as const
      for (const listener of listeners) listener([event], () => undefined)
    },
  }
}

function textOf(text: string): JsonSnapshot {
  return {
    async *read() {
      yield Buffer.from(text)
    },
    close: () => Promise.resolve(),
  }
}

function viewOf(avatar: Avatar, version: number): ViewSnapshot {
  const missing = { total: 0, ids: [] }
  const standing = { head: version, tips: [], tipsTotal: 0, base: null, digest: String(version), pending: 0, missing }
  return {
    summary: { avatar, ...standing, records: 1, bytes: 1 },
    ...textOf('[]'),
  }
}

function linkedOf(avatar: Avatar, version: number, linked: readonly Avatar[]): LinkedSnapshot {
  const links = linked.map((each, at) => ({ key: `k${at}`, avatar: each, label: null, since: null, digest: null }))
  return { ...viewOf(avatar, version), links, linkedDigest: String(version) }
}

function cacheOf(store: ReturnType<typeof handStore>, maxBytes = 1_000_000) {
  return createViewCache(store, { maxBytes, network: 'main', isShown: () => true })
}

describe('the cache of documents', () => {
  it('reads once for all who ask, and then no more', async () => {
    const store = handStore()
    const cache = cacheOf(store)
    const both = [cache.load(AVATAR), cache.load(AVATAR)]
    expect(store.reads).toHaveLength(1)
    store.reads[0]!(1)
    expect(new Set(await Promise.all(both)).size).toBe(1)
    expect(cache.peek(AVATAR)?.etag).toBe('"1"')
    await cache.load(AVATAR)
    expect(store.reads).toHaveLength(1)
  })

  it('does not keep what was read across a commit, nor hands it to who asks after', async () => {
    const store = handStore()
    const cache = cacheOf(store)
    const before = cache.load(AVATAR)
    store.commit(1)
    const after = cache.load(AVATAR)
    expect(store.reads).toHaveLength(2)
    store.reads[1]!(2)
    expect(await after).toMatchObject({ etag: '"2"' })
    store.reads[0]!(1)
    expect(await before).toMatchObject({ etag: '"1"' })
    expect(cache.peek(AVATAR)?.etag).toBe('"2"')
  })

  it('drops an avatar at its commit, and no other', async () => {
    const store = handStore()
    const cache = cacheOf(store)
    const other: Avatar = `0x03${'22'.repeat(32)}`
    const loads = [cache.load(AVATAR), cache.load(other)]
    for (const read of store.reads) read(1)
    await Promise.all(loads)
    store.commit(1)
    expect([cache.peek(AVATAR), cache.peek(other)?.etag]).toEqual([undefined, '"1"'])
  })

  it('does not keep that an avatar is unknown', async () => {
    const store = handStore()
    const cache = cacheOf(store)
    const load = cache.load(AVATAR)
    store.reads[0]!(0)
    expect(await load).toBeUndefined()
    void cache.load(AVATAR)
    expect(store.reads).toHaveLength(2)
  })

  it('keeps within its bytes', async () => {
    const store = handStore()
    const cache = cacheOf(store, 20_000)
    const avatars = Array.from({ length: 50 }, (_, n): Avatar => `0x02${String(n).padStart(64, '0')}`)
    for (const [n, avatar] of avatars.entries()) {
      const load = cache.load(avatar)
      store.reads[n]!(1)
      await load
    }
    const kept = avatars.filter((avatar) => cache.peek(avatar) !== undefined)
    expect(kept.length).toBeGreaterThan(5)
    expect(kept.length).toBeLessThan(20)
    expect(kept.at(-1)).toBe(avatars.at(-1))
  })

  it('keeps contents by the canonical path, until a commit of their avatar', async () => {
    const store = handStore()
    const cache = cacheOf(store)
    const loads = [
      cache.load(AVATAR),
      cache.loadContent(AVATAR, { platform: 'a/b', identity: 'c d' }),
      cache.loadContent(AVATAR, { platform: 'a', identity: 'b/c d' }),
    ]
    for (const read of store.reads) read(1)
    await Promise.all(loads)
    const paths = [AVATAR, `${AVATAR}/a%2Fb/c%20d`, `${AVATAR}/a/b%2Fc%20d`]
    expect(paths.map((path) => cache.peek(path)?.body.at(-2))).toEqual([...']11'].map((each) => each.charCodeAt(0)))
    expect(cache.peek(`${AVATAR}/a/b/c d`)).toBeUndefined()
    expect(cache.peek(paths[1]!)?.body.toString()).toBe('{"a/b":1}')
    store.commit(1)
    expect(paths.map((path) => cache.peek(path))).toEqual([undefined, undefined, undefined])
  })

  it('does not keep a content that was read across a commit, though another one was cached before', async () => {
    const store = handStore()
    const cache = cacheOf(store)
    const cached = cache.loadContent(AVATAR, { platform: 'a', identity: '1' })
    store.reads[0]!(1)
    await cached
    const across = cache.loadContent(AVATAR, { platform: 'a', identity: '2' })
    store.commit(1)
    store.reads[1]!(1)
    await across
    expect([1, 2].map((identity) => cache.peek(`${AVATAR}/a/${identity}`))).toEqual([undefined, undefined])
  })

  it('reads a text that is too large for it once, until a commit of its avatar', async () => {
    const store = handStore()
    const cache = cacheOf(store, 1_600)
    const first = cache.load(AVATAR)
    store.reads[0]!(1)
    expect(await first).toBe('large')
    expect(await cache.load(AVATAR)).toBe('large')
    expect([store.reads.length, cache.peek(AVATAR)]).toEqual([1, undefined])
    store.commit(1)
    void cache.load(AVATAR)
    expect(store.reads).toHaveLength(2)
  })
})

describe('the cache of linked views', () => {
  const APP: Avatar = `0x03${'33'.repeat(32)}`
  const OTHER: Avatar = `0x03${'44'.repeat(32)}`
  const PATH = `${AVATAR}?linked=true`
  const settled = () => new Promise((resolve) => setImmediate(resolve))

  it('forgets a view when an avatar that it shows changes, and only then', async () => {
    const store = handStore()
    const cache = cacheOf(store)
    const load = cache.loadLinked(AVATAR)
    await settled()
    store.reads[0]!(1, [APP])
    await load
    store.commit(1, OTHER)
    expect(cache.peek(PATH)?.etag).toBe('"1"')
    store.commit(2, APP)
    expect(cache.peek(PATH)).toBeUndefined()
    const again = cache.loadLinked(AVATAR)
    await settled()
    store.reads[1]!(2, [OTHER])
    await again
    store.commit(3, APP)
    expect(cache.peek(PATH)?.etag).toBe('"2"')
    store.commit(4, AVATAR)
    expect(cache.peek(PATH)).toBeUndefined()
  })

  it('does not keep a view if an avatar that it shows changed before it was known to be linked', async () => {
    const store = handStore()
    const cache = cacheOf(store)
    const before = cache.loadLinked(AVATAR)
    await settled()
    store.commit(1, APP)
    // Whether the change concerns the view is not known yet, so this one waits.
    const after = cache.loadLinked(AVATAR)
    await settled()
    expect(store.reads).toHaveLength(1)
    store.reads[0]!(1, [APP])
    expect(await before).toMatchObject({ etag: '"1"' })
    await settled()
    expect(cache.peek(PATH)).toBeUndefined()
    expect(store.reads).toHaveLength(2)
    store.reads[1]!(2, [APP])
    expect(await after).toMatchObject({ etag: '"2"' })
    expect(cache.peek(PATH)?.etag).toBe('"2"')
  })

  it('keeps a view if what changed meanwhile is not in it, and hands it to all who wait', async () => {
    const store = handStore()
    const cache = cacheOf(store)
    const before = cache.loadLinked(AVATAR)
    await settled()
    store.commit(1, OTHER)
    const after = cache.loadLinked(AVATAR)
    store.reads[0]!(1, [APP])
    expect(await Promise.all([before, after])).toMatchObject([{ etag: '"1"' }, { etag: '"1"' }])
    expect(store.reads).toHaveLength(1)
    expect(cache.peek(PATH)?.etag).toBe('"1"')
  })

  it('does not take the links of an older read for those of a newer one', async () => {
    const store = handStore()
    const cache = cacheOf(store)
    const older = cache.loadLinked(AVATAR)
    await settled()
    store.commit(1, AVATAR)
    const newer = cache.loadLinked(AVATAR)
    await settled()
    store.reads[1]!(2, [APP])
    await newer
    store.reads[0]!(1, [OTHER])
    await older
    expect(cache.peek(PATH)?.etag).toBe('"2"')
    store.commit(2, APP)
    expect(cache.peek(PATH)).toBeUndefined()
  })

  it('notices a change while the text is read', async () => {
    const store = handStore()
    const cache = cacheOf(store)
    let goOn: () => void = () => undefined
    const wait = new Promise<void>((resolve) => (goOn = resolve))
    const slow = async function* (): AsyncGenerator<Uint8Array> {
      await wait
      yield Buffer.from('[]')
    }
    store.openLinkedView = (avatar) => Promise.resolve({ ...linkedOf(avatar, 1, [APP]), read: slow })
    const before = cache.loadLinked(AVATAR)
    await settled()
    store.commit(1, APP)
    store.openLinkedView = (avatar) => Promise.resolve(linkedOf(avatar, 2, [APP]))
    expect(await cache.loadLinked(AVATAR)).toMatchObject({ etag: '"2"' })
    goOn()
    expect(await before).toMatchObject({ etag: '"1"' })
    expect(cache.peek(PATH)?.etag).toBe('"2"')
  })
})
