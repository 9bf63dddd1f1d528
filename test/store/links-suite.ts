import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Avatar, JsonObject } from '../../src/record/types.ts'
import { LINKS_KEY } from '../../src/state/links.ts'
import type { LinkedSnapshot } from '../../src/store/types.ts'
import { shuffled } from '../oracle/delivery.ts'
import { heldOf, LINK_KEYS, linkScene } from '../oracle/link-scene.ts'
import { comparableLinked } from '../oracle/linked.ts'
import { naiveLinkedView } from '../oracle/naive-links.ts'
import type { TestRecord } from '../oracle/signing.ts'
import { linkVectors } from '../oracle/vectors.ts'
import { PROPERTY_TIMEOUT_MS, propertyRuns } from '../support/runs.ts'
import { verified, type OpenStore, type StoreHarness } from './harness.ts'
import { readWhole } from './read-whole.ts'
import { entry, Writer } from './writer.ts'

const all = (): boolean => true

async function linkedOf(store: OpenStore, avatar: Avatar, isShown: (linked: Avatar) => boolean = all) {
  const view = await readWhole(() => store.openLinkedView(avatar, isShown))
  if (view === undefined) return undefined
  const { summary, linkedDigest, links } = view.readSnapshot
  const namespaces = JSON.parse(view.text) as { platform: string; identity: string; content: JsonObject }[]
  const own = namespaces.find(({ platform, identity }) => platform === 'nextid' && identity === avatar)
  const content = await readWhole(() => store.openLinkedContent(avatar, isShown))
  expect(content === undefined ? undefined : JSON.parse(content.text)).toEqual(own?.content)
  expect(content?.readSnapshot.linkedDigest ?? linkedDigest).toBe(linkedDigest)
  return { digest: summary.digest, linkedDigest, links, namespaces }
}

/** The linked views of all avatars, and who links to them, must be what the oracle says. */
async function expectLinks(store: OpenStore, avatars: readonly Avatar[], records: readonly TestRecord[]) {
  const owners = new Map<Avatar, { avatar: Avatar; keys: string[] }[]>()
  for (const avatar of [...avatars].sort()) {
    const expected = naiveLinkedView(avatar, records)
    const view = await linkedOf(store, avatar)
    const isHeld = records.some(({ body }) => body.avatar === avatar)
    if (!isHeld) expect(view).toBeUndefined()
    else if (view === undefined) throw new Error(`there is no view of ${avatar}`)
    else expect(comparableLinked(view)).toEqual(comparableLinked(expected))
    expect((await store.links(avatar)).map(({ key, avatar: linked }) => [key, linked])).toEqual(
      expected.links.map(({ key, avatar: linked }) => [key, linked]),
    )
    for (const { key, avatar: linked } of expected.links) {
      const of = owners.get(linked as Avatar) ?? []
      owners.set(linked as Avatar, of)
      if (of.at(-1)?.avatar === avatar) of.at(-1)?.keys.push(key)
      else of.push({ avatar, keys: [key] })
    }
  }
  for (const avatar of avatars) {
    const found = await store.linkedFrom(avatar, { limit: 1_000 })
    expect(found.isLast).toBe(true)
    expect(found.owners.map((each) => ({ ...each, keys: [...each.keys].sort() }))).toEqual(
      (owners.get(avatar) ?? []).map((each) => ({ ...each, keys: [...each.keys].sort() })),
    )
  }
}

/**
 * What each kind of store must do with linked keys.
 *
 * @param isLevel whether its rows are those of LevelDB, which older versions wrote without links, and which are damaged here
 */
export function linksSuite(make: () => Promise<StoreHarness>, isLevel = true): void {
  let harness: StoreHarness
  let store: OpenStore
  const commit = (...records: TestRecord[]) => store.commit(verified(records))

  beforeEach(async () => {
    harness = await make()
    store = await harness.open()
  })
  afterEach(() => harness.remove())

  const [owner, app, other] = [new Writer(101), new Writer(102), new Writer(103)]
  const own = (writer: Writer) => ({ platform: 'nextid', identity: writer.avatar })
  const write = (writer: Writer, prev: readonly TestRecord[], patch: JsonObject): TestRecord =>
    writer.patch(prev, patch, own(writer))
  const link = (prev: readonly TestRecord[], key: string, to: Writer): TestRecord =>
    write(owner, prev, { [LINKS_KEY]: { [key]: { avatar: to.avatar } } })
  const contentNow = async (isShown?: (linked: Avatar) => boolean): Promise<JsonObject | undefined> =>
    (await linkedOf(store, owner.avatar, isShown))?.namespaces[0]?.content

  describe('the published examples', () => {
    test.each(linkVectors())('$name', async ({ avatar, records, expected }) => {
      await commit(...shuffled(records, 7))
      const view = await linkedOf(store, avatar)
      if (view === undefined) return expect(records.some(({ body }) => body.avatar === avatar)).toBe(false)
      const { linked_digest: linkedDigest, ...rest } = expected
      return expect(comparableLinked(view)).toEqual(comparableLinked({ ...rest, linkedDigest }))
    })
  })

  test('what the oracle says, after every step of any scene', { timeout: PROPERTY_TIMEOUT_MS }, async () => {
    const avatars = LINK_KEYS.map(({ avatar }) => avatar)
    await fc.assert(
      fc.asyncProperty(linkScene, fc.integer({ min: 1, max: 5 }), async (scene, size) => {
        const each = await make()
        try {
          const opened = await each.open()
          const records = heldOf(scene)
          for (let at = 0; at < records.length; at += size) {
            await opened.commit(verified(records.slice(at, at + size)))
          }
          await expectLinks(opened, avatars, records)
          await opened.rebuild()
          await expectLinks(opened, avatars, records)
          const [first] = avatars
          if (first === undefined) throw new Error('there are four avatars')
          await opened.forget(first)
          await opened.tasksDone()
          await expectLinks(
            opened,
            avatars,
            records.filter(({ body }) => body.avatar !== first),
          )
        } finally {
          await each.remove()
        }
      }),
      { numRuns: propertyRuns(40) },
    )
  })

  test('a view is of one moment, the linked values included', async () => {
    const one = write(app, [], { a: 1 })
    const linked = link([], 'a', app)
    await commit(one, linked)
    const view = (await store.openLinkedView(owner.avatar, all)) as LinkedSnapshot
    await commit(write(app, [one], { a: 2 }), write(owner, [linked], { [LINKS_KEY]: null }))
    const chunks: Uint8Array[] = []
    for await (const chunk of view.read()) chunks.push(chunk)
    await view.close()
    const [shown] = JSON.parse(Buffer.concat(chunks).toString()) as { content: JsonObject }[]
    expect(shown?.content).toMatchObject({ a: 1 })
    expect(await contentNow()).toEqual({})
  })

  test('what is not shown here counts as not held', async () => {
    await commit(write(app, [], { a: 1 }), link([], 'a', app))
    expect(await contentNow()).toMatchObject({ a: 1 })
    expect(await contentNow((avatar) => avatar !== app.avatar)).not.toHaveProperty('a')
    const view = await linkedOf(store, owner.avatar, () => false)
    expect(view?.links).toMatchObject([{ key: 'a', avatar: app.avatar, digest: null }])
  })

  test('an erased avatar shows nothing, and its links are gone', async () => {
    const mine = write(app, [], { a: 1 })
    const linked = link([], 'a', app)
    await commit(mine, linked, app.snapshot([mine]))
    expect(await contentNow()).not.toHaveProperty('a')
    await commit(owner.snapshot([linked]))
    expect(await store.links(owner.avatar)).toEqual([])
    expect((await store.linkedFrom(app.avatar, { limit: 10 })).owners).toEqual([])
  })

  test('a snapshot carries links, and brings its own', async () => {
    const linked = link([], 'a', app)
    const state = [entry({ [LINKS_KEY]: { b: { avatar: other.avatar } } }, own(owner))]
    await commit(linked, write(other, [], { b: 5 }), owner.snapshot([linked], state))
    expect(await contentNow()).toMatchObject({ b: 5 })
    expect((await store.linkedFrom(app.avatar, { limit: 10 })).owners).toEqual([])
    expect((await store.linkedFrom(other.avatar, { limit: 10 })).owners).toEqual([
      { avatar: owner.avatar, keys: ['b'] },
    ])
  })

  test('who links to an avatar comes in pages', async () => {
    const owners = Array.from({ length: 5 }, (_, at) => new Writer(200 + at))
    for (const each of owners) {
      await commit(each.patch([], { [LINKS_KEY]: { a: { avatar: app.avatar }, b: { avatar: app.avatar } } }, own(each)))
    }
    const sorted = owners.map(({ avatar }) => avatar).sort()
    const found: Avatar[] = []
    for (let after: Avatar | undefined; ;) {
      const page = await store.linkedFrom(app.avatar, { limit: 2, ...(after === undefined ? {} : { after }) })
      expect(page.owners.length).toBeLessThanOrEqual(2)
      for (const each of page.owners) expect(each.keys).toEqual(['a', 'b'])
      found.push(...page.owners.map(({ avatar }) => avatar))
      after = page.owners.at(-1)?.avatar
      if (page.isLast) break
    }
    expect(found).toEqual(sorted)
  })

  if (!isLevel) return

  test('data of an older version is indexed in the background', async () => {
    const records = [write(app, [], { a: 1 }), link([], 'a', app)]
    await commit(...records)
    await harness.tamper(async (db) => {
      for (const letter of ['n', 'l']) {
        for await (const key of db.keys()) if (key[0] === letter.charCodeAt(0)) await db.del(key)
      }
      await db.del(Buffer.from('mlinks'))
    })
    store = await harness.open({ stepRecords: 1 })
    await store.tasksDone()
    await expectLinks(store, [owner.avatar, app.avatar], records)
  })

  test('a lost member of a linked avatar is noticed and made again', async () => {
    const records = [write(app, [], { a: 1, b: 2 }), link([], 'a', app)]
    await commit(...records)
    await harness.tamper(async (db) => {
      for await (const key of db.keys()) {
        const text = Buffer.from(key).toString('latin1')
        const isLinked = text.startsWith(`v${Buffer.from(app.avatar.slice(2), 'hex').toString('latin1')}`)
        if (isLinked && text.endsWith('\x00a')) await db.del(key)
      }
    })
    store = await harness.open()
    await expectLinks(store, [owner.avatar, app.avatar], records)
    expect(await harness.corruptions()).toBeGreaterThan(0)
  })

  test('a damaged row of the index is made again', async () => {
    const records = [write(app, [], { a: 1 }), link([], 'a', app)]
    await commit(...records)
    await harness.tamper(async (db) => {
      for await (const [key, value] of db.iterator()) {
        if (key[0] !== 'l'.charCodeAt(0)) continue
        const damaged = Uint8Array.from(value)
        damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1
        await db.put(key, damaged)
      }
    })
    store = await harness.open()
    await expectLinks(store, [owner.avatar, app.avatar], records)
    expect(await harness.corruptions()).toBe(1)
  })
}
