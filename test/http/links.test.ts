import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import type { Avatar, JsonObject, SignedRecord } from '../../src/record/types.ts'
import { LINKS_KEY } from '../../src/state/links.ts'
import { naiveLinkedView } from '../oracle/naive-links.ts'
import type { TestKey, TestRecord } from '../oracle/signing.ts'
import { linkVectors } from '../oracle/vectors.ts'
import { readEvents } from './event-reader.ts'
import { post, startHttpNode, type HttpNode } from './node.ts'
import { newKey, personalSign, postRecords, signedPatch, signedSnapshot, type Written } from './writer.ts'

let node: HttpNode
beforeAll(async () => void (node = await startHttpNode()))
afterAll(() => node.close())

const APP_KEY = 'com.example.app'
const later = new Map<Avatar, Written>()

/** Writes to the own namespace of an avatar, on top of what it wrote last here. */
function write(key: TestKey, patch: JsonObject): Written {
  const previous = later.get(key.avatar)
  const prev = previous === undefined ? [] : [previous.citation]
  const record = signedPatch(key, { platform: 'nextid', identity: key.avatar, patch, prev })
  later.set(key.avatar, record)
  return record
}

const linkTo = (app: TestKey, key = APP_KEY): JsonObject => ({
  [LINKS_KEY]: { [key]: { avatar: app.avatar, label: 'Example' } },
})

const own = (avatar: Avatar, query = ''): string => `/v2/avatars/${avatar}/nextid/${avatar}${query}`
const linked = (avatar: Avatar): string => `/v2/avatars/${avatar}?linked=true`
const contentOf = (body: { namespaces: { content: JsonObject }[] }): JsonObject | undefined =>
  body.namespaces[0]?.content
const send = (...records: SignedRecord[]) => postRecords(node, records)

describe('the linked view', () => {
  it.each(linkVectors())('is that of the published example: $name', async ({ avatar, records, expected }) => {
    const each = await startHttpNode()
    try {
      await postRecords(each, records)
      const { status, body } = await each.json(linked(avatar))
      if (!records.some((record) => record.body.avatar === avatar)) return expect(status).toBe(404)
      const sorted = expected.namespaces.map(({ platform, identity, content }) => ({ platform, identity, content }))
      expect(body).toMatchObject({
        avatar,
        digest: expected.digest,
        linked_digest: expected.linked_digest,
        links: expected.links,
        namespaces: sorted,
      })
      const v1 = await each.json(`/v1/kv?avatar=${avatar}`)
      expect(v1.body.proofs).toEqual(body.namespaces)
      const plain = await each.json(`/v2/avatars/${avatar}`)
      expect(plain.body).not.toHaveProperty('links')
      return expect(plain.body.digest).toBe(expected.digest)
    } finally {
      await each.close()
    }
  })

  it('is what a version 1 client reads, although it knows nothing of links', async () => {
    const [owner, app] = [newKey(), newKey()]
    await send(write(owner, { ...linkTo(app), name: 'Ada' }), write(app, { [APP_KEY]: { todo: ['a'] }, other: 1 }))
    const read = async () => (await node.json(`/v1/kv?persona=${owner.uncompressed}`)).body.proofs[0].content
    expect(await read()).toMatchObject({ name: 'Ada', [APP_KEY]: { todo: ['a'] } })
    expect(await read()).not.toHaveProperty('other')
    await send(write(app, { [APP_KEY]: { todo: ['b'] } }))
    expect(await read()).toMatchObject({ [APP_KEY]: { todo: ['b'] } })
    // What the owner writes under a linked key by version 1 has no effect while the link exists.
    const asked = { avatar: owner.avatar, platform: 'nextid', identity: owner.avatar, patch: { [APP_KEY]: 5, more: 1 } }
    const { body: issued } = await node.json('/v1/kv/payload', post(asked))
    const { uuid, created_at, sign_payload } = issued
    const signature = personalSign(sign_payload, owner)
    const { status, body } = await node.json('/v1/kv', post({ ...asked, uuid, created_at, signature }))
    expect(status).toBe(201)
    expect(body.proofs[0].content).toMatchObject({ more: 1, [APP_KEY]: { todo: ['b'] } })
  })

  it('has an entity tag that changes with a linked avatar, and a cache that knows it', async () => {
    const [owner, app, stranger] = [newKey(), newKey(), newKey()]
    await send(write(owner, linkTo(app)), write(app, { [APP_KEY]: 1 }), write(stranger, { [APP_KEY]: 9 }))
    const paths = [linked(owner.avatar), own(owner.avatar, '?linked=true')]
    for (const path of paths) {
      const tagOf = async () => (await node.fetch(path)).headers.get('etag') ?? ''
      const before = await tagOf()
      const unchanged = await node.fetch(path, { headers: { 'if-none-match': before } })
      expect(unchanged.status).toBe(304)
      await send(write(stranger, { [APP_KEY]: before }))
      expect(await tagOf()).toBe(before)
      await send(write(app, { [APP_KEY]: before }))
      expect(await tagOf()).not.toBe(before)
      expect((await node.fetch(path, { headers: { 'if-none-match': before } })).status).toBe(200)
    }
    expect((await node.json(own(owner.avatar, '?linked=true'))).body[APP_KEY]).toBeTypeOf('string')
    expect((await node.json(own(owner.avatar))).body).not.toHaveProperty(APP_KEY)
    const named = `/v2/avatars/${owner.avatar}/content?platform=nextid&identity=${owner.avatar}&linked=true`
    expect((await node.json(named)).body).toEqual((await node.json(own(owner.avatar, '?linked=true'))).body)
    expect((await node.json(`/v2/avatars/${owner.avatar}?linked=maybe`)).status).toBe(400)
  })

  it('shows nothing of the app once the removal of its link is visible, also of what the app signs later', async () => {
    const [owner, app] = [newKey(), newKey()]
    await send(write(owner, linkTo(app)), write(app, { [APP_KEY]: 'good' }))
    expect(contentOf((await node.json(linked(owner.avatar))).body)).toMatchObject({ [APP_KEY]: 'good' })
    await send(write(owner, { [APP_KEY]: 'kept', [LINKS_KEY]: { [APP_KEY]: null } }))
    for (let round = 0; round < 3; round += 1) {
      await send(write(app, { [APP_KEY]: `bad ${round}` }))
      expect(contentOf((await node.json(linked(owner.avatar))).body)).toMatchObject({ [APP_KEY]: 'kept' })
      expect((await node.json(`/v1/kv?avatar=${owner.avatar}`)).body.proofs[0].content[APP_KEY]).toBe('kept')
    }
  })

  it('ends circles, and shows nothing of unknown, erased and blocked avatars', async () => {
    const [one, two, blocked] = [newKey(), newKey(), newKey()]
    await send(
      write(one, {
        [LINKS_KEY]: { a: { avatar: two.avatar }, b: { avatar: one.avatar }, c: { avatar: blocked.avatar } },
      }),
      write(two, { a: 'two', [LINKS_KEY]: { a: { avatar: one.avatar } } }),
      write(blocked, { c: 'blocked' }),
    )
    const read = async (key: TestKey) => (await node.json(linked(key.avatar))).body
    expect(contentOf(await read(one))).toMatchObject({ a: 'two', c: 'blocked' })
    expect(contentOf(await read(two))).not.toHaveProperty('a')
    await node.hosting.block([blocked.avatar], { forget: false })
    expect(contentOf(await read(one))).not.toHaveProperty('c')
    expect((await read(one)).links).toMatchObject([{ key: 'a' }, { key: 'c', digest: null }])
    await node.hosting.unblock([blocked.avatar])
    expect(contentOf(await read(one))).toMatchObject({ c: 'blocked' })
    const last = later.get(two.avatar)
    await send(signedSnapshot(two, last === undefined ? [] : [last.citation], []))
    expect(contentOf(await read(one))).not.toHaveProperty('a')
  })

  it('streams what is too large for one piece', async () => {
    const owner = newKey()
    const apps = Array.from({ length: 20 }, () => newKey())
    const links = Object.fromEntries(apps.map((app, at) => [`app${at}`, { avatar: app.avatar }]))
    const values = apps.map((_, at) => String(at % 10).repeat(250_000))
    await send(write(owner, { [LINKS_KEY]: links, small: 1 }))
    for (const [at, app] of apps.entries()) await send(write(app, { [`app${at}`]: values[at] ?? '' }))
    const content = contentOf((await node.json(linked(owner.avatar))).body)
    expect(Object.keys(content ?? {})).toHaveLength(22)
    for (const [at, value] of values.entries()) expect(content?.[`app${at}`] === value).toBe(true)
    expect((await node.json(own(owner.avatar, '?linked=true'))).body).toEqual(content)
    expect((await node.json(`/v1/kv?avatar=${owner.avatar}`)).body.proofs[0].content).toEqual(content)
  })

  it('of 65 links shows the first 64', async () => {
    const [owner, app] = [newKey(), newKey()]
    const keys = Array.from({ length: 65 }, (_, at) => `k${String(at).padStart(2, '0')}`)
    await send(
      write(owner, { k64: 'mine', [LINKS_KEY]: Object.fromEntries(keys.map((key) => [key, { avatar: app.avatar }])) }),
      write(app, Object.fromEntries(keys.map((key) => [key, 'app']))),
    )
    const { links, namespaces } = (await node.json(linked(owner.avatar))).body
    expect(links).toHaveLength(64)
    expect(namespaces[0].content).toMatchObject({ k63: 'app', k64: 'mine' })
  })
})

describe('provenance through links', () => {
  it('names the avatar whose record it was', async () => {
    const [owner, app] = [newKey(), newKey()]
    const mine = write(owner, { ...linkTo(app), name: 'Ada' })
    const theirs = write(app, { [APP_KEY]: { a: 1 } })
    await send(mine, theirs)
    const ask = async (path: string, query = '&linked=true') =>
      (await node.json(own(owner.avatar, `/provenance?path=${encodeURIComponent(path)}${query}`))).body
    expect(await ask(`/${APP_KEY}/a`)).toMatchObject({
      avatar: app.avatar,
      identity: app.avatar,
      kind: 'set',
      id: theirs.id,
    })
    expect(await ask('/name')).toMatchObject({ avatar: owner.avatar, id: mine.id })
    expect(await ask(`/${APP_KEY}/a`, '')).toMatchObject({ avatar: owner.avatar, kind: 'unset' })
    const nobody = newKey()
    await send(write(owner, linkTo(nobody, 'void')))
    expect(await ask('/void')).toMatchObject({ avatar: nobody.avatar, kind: 'unset', id: null })
  })
})

describe('events with linked=true', () => {
  const watch = (avatar: Avatar, query = '') => readEvents(node.url(`/v2/events?avatar=${avatar}&linked=true${query}`))

  it('are those of the avatar and of those that it links to at the time', async () => {
    const [owner, app, other] = [newKey(), newKey(), newKey()]
    const reader = await watch(owner.avatar)
    const put = async (record: Written): Promise<string> => {
      await send(record)
      return record.id
    }
    const expected: string[] = []
    await put(write(app, { [APP_KEY]: 0 }))
    expected.push(await put(write(owner, linkTo(app))))
    expected.push(await put(write(app, { [APP_KEY]: 1 })))
    await put(write(other, { [APP_KEY]: 1 }))
    expected.push(await put(write(owner, linkTo(other))))
    await put(write(app, { [APP_KEY]: 2 }))
    expected.push(await put(write(other, { [APP_KEY]: 2 })))
    expected.push(await put(write(owner, { [LINKS_KEY]: null })))
    await put(write(other, { [APP_KEY]: 3 }))
    expected.push(await put(write(owner, { name: 'Ada' })))
    const events = await reader.until(expected.length)
    expect(events.map(({ data }) => data.id)).toEqual(expected)
    reader.close()
  })

  it('lack nothing of a link that is made together with writes of the app, in any commit', async () => {
    for (let round = 0; round < 5; round += 1) {
      const [owner, app] = [newKey(), newKey()]
      const reader = await watch(owner.avatar)
      const records = [
        write(owner, linkTo(app)),
        ...Array.from({ length: 20 }, (_, at) => write(app, { [APP_KEY]: at })),
      ]
      const [first, ...rest] = records
      await Promise.all([send(first!), ...rest.map((record) => send(record))])
      const last = write(owner, { done: true })
      await send(last)
      await reader.until(2)
      const known = await node.json(linked(owner.avatar))
      expect(contentOf(known.body)).toMatchObject({ [APP_KEY]: 19 })
      const after = write(app, { [APP_KEY]: 'after' })
      await send(after)
      for (let count = 2; reader.events.at(-1)?.data.id !== after.id; count += 1) await reader.until(count)
      expect(new Set(reader.events.map(({ id }) => id)).size).toBe(reader.events.length)
      reader.close()
    }
  })

  it('can be read again from a cursor, in order, and from the start', async () => {
    const [owner, app, other] = [newKey(), newKey(), newKey()]
    const ids: string[] = []
    const put = async (record: Written): Promise<void> => {
      await send(record)
      ids.push(record.id)
    }
    await put(write(owner, { [LINKS_KEY]: { a: { avatar: app.avatar }, b: { avatar: other.avatar } } }))
    for (let round = 0; round < 150; round += 1) await put(write(round % 3 === 0 ? other : app, { a: round, b: round }))
    const whole = await watch(owner.avatar, `&after=${node.store.epoch}-0`)
    const events = await whole.until(ids.length)
    expect(events.map(({ data }) => data.id)).toEqual(ids)
    whole.close()
    const middle = events[70]?.id ?? ''
    const rest = await watch(owner.avatar, `&after=${middle}`)
    expect((await rest.until(ids.length - 71)).map(({ data }) => data.id)).toEqual(ids.slice(71))
    rest.close()
  })

  it('need an avatar', async () => {
    expect((await node.json('/v2/events?linked=true')).status).toBe(400)
  })
})

describe('who links to an avatar', () => {
  it('is told in pages, without owners that are not hosted', async () => {
    const app = newKey()
    const owners = Array.from({ length: 5 }, () => newKey())
    await send(...owners.map((owner) => write(owner, linkTo(app))))
    const [gone] = owners
    await node.hosting.block([gone!.avatar], { forget: false })
    const found: { avatar: Avatar; key: string }[] = []
    let cursor: string | null = null
    do {
      const next: string = cursor === null ? '' : `&cursor=${cursor}`
      const { body } = await node.json(`/v2/avatars/${app.avatar}/linked-from?limit=2${next}`)
      found.push(...body.links)
      cursor = body.cursor
    } while (cursor !== null)
    const expected = owners.slice(1).map(({ avatar }) => ({ avatar, key: APP_KEY }))
    expect(found).toEqual(expected.sort((a, b) => (a.avatar < b.avatar ? -1 : 1)))
    await node.hosting.unblock([gone!.avatar])
    await send(...owners.map((owner) => write(owner, { [LINKS_KEY]: null })))
    expect((await node.json(`/v2/avatars/${app.avatar}/linked-from`)).body).toEqual({ links: [], cursor: null })
  })
})

describe('under many writes of linked avatars', () => {
  it('every answer is a view that the oracle knows, never older than the last write acknowledged', async () => {
    const [owner, app] = [newKey(), newKey()]
    const records: TestRecord[] = []
    const put = async (record: Written): Promise<void> => {
      await send(record)
      records.push({ ...record, body: JSON.parse(Buffer.from(record.payload).toString()) })
    }
    await put(write(owner, linkTo(app)))
    for (let round = 0; round < 40; round += 1) {
      const writing =
        round % 5 === 4
          ? put(write(owner, round % 2 === 0 ? linkTo(app) : { [LINKS_KEY]: { [APP_KEY]: null } }))
          : put(write(app, { [APP_KEY]: round }))
      const during = Promise.all(Array.from({ length: 4 }, () => node.json(linked(owner.avatar))))
      await writing
      const { body } = await node.json(linked(owner.avatar))
      const expected = naiveLinkedView(owner.avatar, records)
      expect([body.linked_digest, contentOf(body)]).toEqual([expected.linkedDigest, expected.namespaces[0]?.content])
      await during
    }
  })
})

describe('a node of the mode listed', () => {
  it('hosts what its avatars link to, at once and no longer than it is linked', async () => {
    const listed = await startHttpNode({ hosting: { mode: 'listed' } })
    try {
      const [owner, app, stranger] = [newKey(), newKey(), newKey()]
      await listed.hosting.add([owner.avatar])
      const send = async (record: Written) => (await postRecords(listed, [record])).body.results[0]
      expect(await send(write(app, { [APP_KEY]: 'early' }))).toMatchObject({ status: 'refused', code: 'not_hosted' })
      later.delete(app.avatar)
      expect(await send(write(owner, linkTo(app)))).toMatchObject({ status: 'stored' })
      await listed.hosting.settled()
      expect(await send(write(app, { [APP_KEY]: 'now' }))).toMatchObject({ status: 'stored' })
      expect(await send(write(stranger, { [APP_KEY]: 1 }))).toMatchObject({ code: 'not_hosted' })
      expect(contentOf((await listed.json(linked(owner.avatar))).body)).toMatchObject({ [APP_KEY]: 'now' })
      expect((await listed.json(`/v2/avatars/${app.avatar}`)).status).toBe(200)
      expect((await listed.json(`/v2/hosting/${app.avatar}`)).body).toMatchObject({ hosted: true, listed: false })
      await listed.hosting.remove([owner.avatar])
      await listed.hosting.settled()
      expect((await listed.json(`/v2/avatars/${owner.avatar}`)).status).toBe(404)
    } finally {
      await listed.close()
    }
  })
})
