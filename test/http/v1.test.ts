import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { systemEnvironment } from '../../src/platform/system.ts'
import { post, startHttpNode } from './node.ts'
import type { HttpNode } from './node.ts'
import { newKey, personalSign, postRecords, signedPatch, signedSnapshot } from './writer.ts'
import type { Signing } from './writer.ts'

type Key = ReturnType<typeof newKey>

let node: HttpNode
/** Added to the node's clock, in ms. */
let aheadMs = 0

beforeAll(async () => {
  const environment = systemEnvironment()
  node = await startHttpNode({
    environment: { ...environment, clock: { now: () => environment.clock.now() + aheadMs } },
  })
})
afterAll(() => node.close())

interface Draft {
  readonly avatar?: string | null
  readonly persona?: string | null
  readonly platform: string
  readonly identity: string
  readonly patch: unknown
}

const twitter = (key: Key, patch: unknown = { a: 1 }): Draft => ({
  persona: key.avatar,
  platform: 'twitter',
  identity: 'yeiwb',
  patch,
})

async function ask(draft: Draft) {
  const { status, body } = await node.json('/v1/kv/payload', post(draft))
  expect([status, body.code]).toEqual([200, undefined])
  return body as { uuid: string; created_at: number; sign_payload: string }
}

function write(draft: Draft, { uuid, created_at }: { uuid: string; created_at: number | string }, signature: string) {
  return node.json('/v1/kv', post({ ...draft, uuid, created_at, signature }))
}

async function askAndWrite(key: Key, draft: Draft, signing?: Signing) {
  const payload = await ask(draft)
  return write(draft, payload, personalSign(payload.sign_payload, key, signing))
}

describe('GET /v1/kv', () => {
  it('has no proofs of an unknown avatar, and shows both keys uncompressed', async () => {
    const key = newKey()
    const bare = key.avatar.slice(2)
    for (const query of [
      `avatar=${key.avatar}`,
      `persona=${key.avatar}`,
      `avatar=${bare.toUpperCase()}`,
      `persona=${key.uncompressed}`,
      `avatar=${key.avatar}&persona=nonsense`,
    ]) {
      const { status, headers, body } = await node.json(`/v1/kv?${query}`)
      expect([query, status, body]).toEqual([
        query,
        200,
        { persona: key.uncompressed, avatar: key.uncompressed, proofs: [] },
      ])
      expect(headers.get('content-type')).toBe('application/json; charset=utf-8')
    }
  })

  it.each([
    ['nothing', '', 'invalid_request'],
    ['no key', 'avatar=0x1234', 'invalid_avatar'],
    ['a hybrid key', `avatar=0x06${'11'.repeat(64)}`, 'invalid_avatar'],
    ['two keys', 'avatar=0x02&avatar=0x03', 'invalid_request'],
    ['a long text', `avatar=${'0'.repeat(5000)}`, 'invalid_request'],
  ])('refuses %s', async (_what, query, code) => {
    const { status, body } = await node.json(`/v1/kv?${query}`)
    expect([status, body.code]).toEqual([400, code])
    expect(Object.keys(body)).toEqual(['code', 'message'])
  })
})

describe('a version 1 client', () => {
  it('writes as Mask does: JSON as text, persona, base64, the payload parsed and printed again', async () => {
    const key = newKey()
    const patch = {
      'com.mask.plugin': { nickname: 'ü 漢 \u2028 "x"', at: 1.5e-7, list: [1, 2, { b: null }], gone: null },
    }
    const draft = twitter(key, patch)
    const payload = await ask(draft)
    expect(Object.keys(payload).toSorted()).toEqual(['created_at', 'sign_payload', 'uuid'])
    expect(payload.uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(payload.created_at).toBeTypeOf('number')
    const printedAgain = JSON.stringify(JSON.parse(payload.sign_payload))
    const { status, body } = await write(draft, payload, personalSign(printedAgain, key))
    expect([status, body.code]).toEqual([201, undefined])
    const { gone: _gone, ...kept } = patch['com.mask.plugin']
    expect(body).toEqual({
      persona: key.uncompressed,
      avatar: key.uncompressed,
      proofs: [{ platform: 'twitter', identity: 'yeiwb', content: { 'com.mask.plugin': kept } }],
    })
    expect((await node.json(`/v1/kv?persona=${key.avatar}`)).body).toEqual(body)
  })

  it.each<Signing>(['v0', 'v27', 'compact', 'hex'])('may send its signature as %s', async (signing) => {
    // Both values of v come up among several writes.
    const key = newKey()
    for (const n of [1, 2, 3, 4, 5]) {
      const { status, body } = await askAndWrite(key, twitter(key, { n }), signing)
      expect([status, body.proofs?.[0]?.content]).toEqual([201, { n }])
    }
  })

  it.each<[string, (key: Key) => Partial<Draft>]>([
    ['avatar compressed', ({ avatar }) => ({ avatar })],
    ['avatar uncompressed', ({ uncompressed }) => ({ avatar: uncompressed })],
    ['avatar bare, in upper case', ({ avatar }) => ({ avatar: avatar.slice(2).toUpperCase() })],
    ['persona beside a null avatar', ({ avatar }) => ({ avatar: null, persona: avatar })],
    ['avatar before persona', ({ avatar }) => ({ avatar, persona: 'nonsense' })],
  ])('may name itself by %s', async (_what, names) => {
    const key = newKey()
    const draft: Draft = { platform: 'github', identity: 'Octo-Cat', patch: { a: 1 }, ...names(key) }
    const { status, body } = await askAndWrite(key, draft)
    expect([status, body.proofs]).toEqual([201, [{ platform: 'github', identity: 'Octo-Cat', content: { a: 1 } }]])
  })

  it('may name its own namespace by any form of the key', async () => {
    const key = newKey()
    const forms = [
      key.avatar,
      key.uncompressed,
      key.avatar.slice(2),
      key.uncompressed.toUpperCase().replace('0X', '0x'),
    ]
    for (const [n, identity] of forms.entries()) {
      const { status } = await askAndWrite(key, { avatar: key.avatar, platform: 'nextid', identity, patch: { [n]: n } })
      expect(status).toBe(201)
      const found = await node.json(`/v1/kv/by_identity?platform=nextid&identity=${identity}`)
      expect(found.body.values).toHaveLength(1)
    }
    const { body } = await node.json(`/v1/kv?avatar=${key.avatar}`)
    expect(body.proofs).toEqual([{ platform: 'nextid', identity: key.avatar, content: { 0: 0, 1: 1, 2: 2, 3: 3 } }])
  })

  it('may send created_at as text and its uuid in upper case', async () => {
    const key = newKey()
    const draft = twitter(key)
    const payload = await ask(draft)
    const echo = { uuid: payload.uuid.toUpperCase(), created_at: String(payload.created_at) }
    expect((await write(draft, echo, personalSign(payload.sign_payload, key))).status).toBe(201)
  })

  it('may hold several payloads at once and write them in any order', async () => {
    const key = newKey()
    const drafts = ['a', 'b', 'c'].map((name) => twitter(key, { [name]: name }))
    const payloads = await Promise.all(drafts.map((draft) => ask(draft)))
    for (const at of [2, 0, 1]) {
      const { status } = await write(drafts[at]!, payloads[at]!, personalSign(payloads[at]!.sign_payload, key))
      expect(status).toBe(201)
    }
    const { body } = await node.json(`/v1/kv?avatar=${key.avatar}`)
    expect(body.proofs[0].content).toEqual({ a: 'a', b: 'b', c: 'c' })
    const next = JSON.parse((await ask(twitter(key))).sign_payload)
    expect(next.prev).toHaveLength(3)
    expect(next.counter).toBe(2)
  })

  it('may repeat a write, which then changes nothing', async () => {
    const key = newKey()
    const payload = await ask(twitter(key))
    const signature = personalSign(payload.sign_payload, key)
    const first = await write(twitter(key), payload, signature)
    const second = await write(twitter(key), payload, signature)
    expect([second.status, second.body]).toEqual([201, first.body])
    expect((await node.json(`/v2/avatars/${key.avatar}/records`)).body.records).toHaveLength(1)
  })

  it('can write what it was given before a restart, while the avatar rests', async () => {
    const key = newKey()
    await askAndWrite(key, twitter(key, { before: 1 }))
    const payload = await ask(twitter(key, { after: 1 }))
    await node.restart()
    const { status, body } = await write(twitter(key, { after: 1 }), payload, personalSign(payload.sign_payload, key))
    expect([status, body.proofs?.[0].content]).toEqual([201, { before: 1, after: 1 }])
  })

  it('may repeat a write after a restart, whatever was written since, and is told the same', async () => {
    const key = newKey()
    await askAndWrite(key, twitter(key, { first: 1 }))
    const payload = await ask(twitter(key))
    const signature = personalSign(payload.sign_payload, key)
    expect((await write(twitter(key), payload, signature)).status).toBe(201)
    await node.restart()
    expect((await write(twitter(key), payload, signature)).status).toBe(201)
    for (let count = 0; count < 70; count++) await askAndWrite(key, twitter(key, { later: count }))
    await node.restart()
    aheadMs = 25 * 60 * 60_000
    const { status, body } = await write(twitter(key), payload, signature)
    aheadMs = 0
    expect([status, body.proofs?.[0].content]).toEqual([201, { first: 1, a: 1, later: 69 }])
    expect((await node.json(`/v2/avatars/${key.avatar}/records?limit=1000`)).body.records).toHaveLength(72)
  })

  it('can write what it was given before a restart, or an hour ago, though the avatar has changed since', async () => {
    const key = newKey()
    await askAndWrite(key, twitter(key, { before: 1 }))
    const drafts = ['a', 'b', 'c'].map((name) => twitter(key, { [name]: name }))
    const payloads = await Promise.all(drafts.map((draft) => ask(draft)))
    await node.restart()
    for (const at of [1, 2]) {
      const { status } = await write(drafts[at]!, payloads[at]!, personalSign(payloads[at]!.sign_payload, key))
      expect(status).toBe(201)
    }
    // Three open ends: two of these writes, and what another device wrote on one of them.
    const onFork = await Promise.all(['d', 'e'].map((name) => ask(twitter(key, { [name]: name }))))
    await write(twitter(key, { d: 'd' }), onFork[0]!, personalSign(onFork[0]!.sign_payload, key))
    await node.restart()
    aheadMs = 61 * 60_000
    const signature = personalSign(onFork[1]!.sign_payload, key)
    expect((await write(twitter(key, { e: 'e' }), onFork[1]!, signature)).status).toBe(201)
    const last = await write(drafts[0]!, payloads[0]!, personalSign(payloads[0]!.sign_payload, key))
    aheadMs = 0
    expect([last.status, last.body.proofs?.[0].content]).toEqual([
      201,
      { before: 1, a: 'a', b: 'b', c: 'c', d: 'd', e: 'e' },
    ])
  })

  it('is told to ask again where the node cannot tell what it signed', async () => {
    const key = newKey()
    const payload = await ask(twitter(key, { late: 1 }))
    const signature = personalSign(payload.sign_payload, key)
    const uuid = payload.uuid.replace(/^.{13}/, 'ffffffff-ffff')
    await node.restart()
    await askAndWrite(key, twitter(key, { first: 1 }))
    for (const [draft, echo] of [
      [twitter(key, { late: 2 }), payload],
      [twitter(key, { late: 1 }), { ...payload, uuid }],
      [twitter(key, { late: 1 }), { ...payload, created_at: payload.created_at - 1 }],
    ] as const) {
      const { status, body } = await write(draft, echo, signature)
      expect([status, body.code]).toEqual([400, 'payload_unknown'])
      expect(body.message).toContain('Request a new payload')
    }
    expect((await node.json(`/v1/kv?avatar=${key.avatar}`)).body.proofs[0].content).toEqual({ first: 1 })
  })

  it('cannot write other than what it signed', async () => {
    const key = newKey()
    const draft = twitter(key)
    const payload = await ask(draft)
    const signature = personalSign(payload.sign_payload, key)
    const others: [Draft, { uuid: string; created_at: number }][] = [
      [{ ...draft, patch: { a: 2 } }, payload],
      [{ ...draft, identity: 'someone' }, payload],
      [{ ...draft, platform: 'github' }, payload],
      [{ ...draft, persona: newKey().avatar }, payload],
      [draft, { ...payload, created_at: payload.created_at + 1 }],
      [draft, { ...payload, uuid: '00000000-0000-4000-8000-000000000000' }],
    ]
    for (const [other, echo] of others) {
      const { status, body } = await write(other, echo, signature)
      expect([JSON.stringify(other), status, body.code]).toEqual([JSON.stringify(other), 400, 'payload_unknown'])
    }
    expect((await node.json(`/v1/kv?avatar=${key.avatar}`)).body.proofs).toEqual([])
    expect((await write(draft, payload, signature)).status).toBe(201)
  })

  it('is told what is wrong with its signature', async () => {
    const key = newKey()
    const draft = twitter(key)
    const payload = await ask(draft)
    const wrongV = Buffer.from(personalSign(payload.sign_payload, key), 'base64')
    wrongV[64] = 29
    for (const [signature, code] of [
      [personalSign(payload.sign_payload, newKey(), 'compact'), 'invalid_signature'],
      [wrongV.toString('base64'), 'wrong_recovery'],
      ['AAAA', 'invalid_signature'],
      ['!', 'invalid_signature'],
    ] as const) {
      const { status, body } = await write(draft, payload, signature)
      expect([signature, status, body.code]).toEqual([signature, 400, code])
    }
  })

  it('is told when a snapshot has replaced what it was built on', async () => {
    const key = newKey()
    const first = signedPatch(key)
    const second = signedPatch(key, { prev: [first.citation] })
    await postRecords(node, [first])
    const payload = await ask(twitter(key, { late: 1 }))
    await postRecords(node, [second, signedSnapshot(key, [second.citation], [])])
    const { status, body } = await write(twitter(key, { late: 1 }), payload, personalSign(payload.sign_payload, key))
    expect([status, body.code]).toEqual([409, 'superseded'])
  })

  it('is told each time that it is kept and not visible, until what it was built on is there', async () => {
    const key = newKey()
    const first = signedPatch(key)
    await postRecords(node, [first])
    const payload = await ask(twitter(key, { late: 1 }))
    await node.store.forget(key.avatar)
    const signature = personalSign(payload.sign_payload, key)
    for (let time = 0; time < 3; time++) {
      const { status, body } = await write(twitter(key, { late: 1 }), payload, signature)
      expect([status, body.code]).toEqual([409, 'pending'])
    }
    await postRecords(node, [first])
    expect((await write(twitter(key, { late: 1 }), payload, signature)).status).toBe(201)
  })

  it.each(['text/plain;charset=UTF-8', 'foo', 'text', '*', '', 'a/b;;', '"', undefined])(
    'is JSON, though its type is said to be %j',
    async (type) => {
      const body = JSON.stringify(twitter(newKey()))
      // As bytes, so that nothing is added by the one who asks.
      const init = {
        method: 'POST',
        body: new TextEncoder().encode(body),
        headers: type === undefined ? {} : { 'content-type': type },
      }
      expect((await node.fetch('/v1/kv/payload', init)).status).toBe(200)
    },
  )

  it('may use any word as a key', async () => {
    const key = newKey()
    const patch = '{"__proto__":{"x":1},"constructor":2,"hasOwnProperty":{"prototype":3},"toString":null}'
    const draft = `"persona":"${key.avatar}","platform":"twitter","identity":"yeiwb","patch":${patch}`
    const { body: payload } = await node.json('/v1/kv/payload', post(`{${draft}}`))
    const signature = personalSign(payload.sign_payload, key)
    const written = await node.fetch(
      '/v1/kv',
      post(`{${draft},"uuid":"${payload.uuid}","created_at":${payload.created_at},"signature":"${signature}"}`),
    )
    expect(written.status).toBe(201)
    expect(await written.text()).toContain(
      '"content":{"__proto__":{"x":1},"constructor":2,"hasOwnProperty":{"prototype":3}}',
    )
  })
})

describe('POST /v1/kv/payload', () => {
  const base = { platform: 'twitter', identity: 'yeiwb', patch: {} }

  it.each<[string, object | string, string]>([
    ['no avatar', base, 'invalid_request'],
    ['an avatar that is none', { ...base, avatar: '0x02' }, 'invalid_avatar'],
    ['an avatar that is a number', { ...base, avatar: 2 }, 'invalid_request'],
    ['no platform', { avatar: newKey().avatar, identity: 'x', patch: {} }, 'invalid_request'],
    ['a platform that is none', { ...base, avatar: newKey().avatar, platform: 'Twitter!' }, 'invalid_platform'],
    ['an empty identity', { ...base, avatar: newKey().avatar, identity: '' }, 'invalid_request'],
    ['an identity of control characters', { ...base, avatar: newKey().avatar, identity: '\n' }, 'invalid_identity'],
    ['an identity of 257 bytes', { ...base, avatar: newKey().avatar, identity: 'ü'.repeat(129) }, 'invalid_identity'],
    [
      'the own namespace of another',
      { avatar: newKey().avatar, platform: 'nextid', identity: newKey().avatar, patch: {} },
      'invalid_identity',
    ],
    ['no patch', { avatar: newKey().avatar, platform: 'twitter', identity: 'x' }, 'invalid_request'],
    ['a patch that is a list', { ...base, avatar: newKey().avatar, patch: [] }, 'invalid_request'],
    ['a patch that is null', { ...base, avatar: newKey().avatar, patch: null }, 'invalid_request'],
    ['a patch nested 61 deep', { ...base, avatar: newKey().avatar, patch: nested(61) }, 'too_deep'],
    ['a patch nested 100,000 deep', `{"patch":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}`, 'body_too_complex'],
    [
      'a patch of 10,001 members',
      { ...base, avatar: newKey().avatar, patch: { a: Array(10_001).fill(0) } },
      'too_many_members',
    ],
    ['a patch of 300 KB', { ...base, avatar: newKey().avatar, patch: { a: 'x'.repeat(300_000) } }, 'payload_too_large'],
    [
      'a number beyond all',
      `{"avatar":"${newKey().avatar}","platform":"twitter","identity":"x","patch":{"a":1e400}}`,
      'inexact_number',
    ],
    ['an integer that would become another', `{"patch":{"a":9007199254740993}}`, 'inexact_number'],
    ['the same with a fraction of zero', `{"patch":{"a":9007199254740993.0}}`, 'inexact_number'],
    ['a number that would become zero', `{"patch":{"a":1e-400}}`, 'inexact_number'],
    ['a key that stands twice', `{"patch":{"a":{"b":1,"\\u0062":2}}}`, 'duplicate_key'],
    ['two patches', `{"patch":{"a":1},"patch":{}}`, 'duplicate_key'],
    ['a lone surrogate', { ...base, avatar: newKey().avatar, patch: { a: '\ud800' } }, 'lone_surrogate'],
    ['a list', [], 'invalid_request'],
    ['half a body', '{"avatar":', 'invalid_json'],
    ['no member beside a byte order mark', '\ufeff{}', 'invalid_request'],
    ['no body', '', 'invalid_json'],
  ])('refuses %s', async (_what, body, code) => {
    const answer = await node.json('/v1/kv/payload', post(body))
    expect([answer.body.message, answer.status, answer.body.code]).toEqual([answer.body.message, 400, code])
  })

  it('takes numbers as JavaScript writes them', async () => {
    const patch = {
      a: 2 ** 60,
      b: 1e21,
      c: -0.5,
      d: Number.MAX_SAFE_INTEGER,
      e: 1732278000123456800,
      f: '9007199254740993',
      g: 10 ** 18,
      h: 5e-324,
    }
    const payload = await ask({ ...base, avatar: newKey().avatar, patch })
    expect(JSON.parse(payload.sign_payload).patch).toEqual(patch)
  })
})

describe('GET /v1/kv/by_identity', () => {
  it('finds what avatars say of an account', async () => {
    const keys = [newKey(), newKey(), newKey()]
    for (const [n, key] of keys.entries()) {
      await postRecords(node, [signedPatch(key, { platform: 'github', identity: 'a/b c', patch: { n } })])
    }
    const { status, body } = await node.json('/v1/kv/by_identity?platform=github&identity=a%2Fb+c')
    expect(status).toBe(200)
    const expected = keys.map(({ uncompressed }, n) => ({ avatar: uncompressed, content: { n } }))
    const order = (values: { avatar: string }[]) => values.toSorted((a, b) => (a.avatar < b.avatar ? -1 : 1))
    expect(order(body.values)).toEqual(order(expected))
    expect((await node.json('/v1/kv/by_identity?platform=github&identity=nobody')).body).toEqual({ values: [] })
  })

  it('ends after 100', async () => {
    const records = Array.from({ length: 101 }, () => signedPatch(newKey(), { identity: 'crowd' }))
    await postRecords(node, records)
    const { body } = await node.json('/v1/kv/by_identity?platform=twitter&identity=crowd')
    expect(body.values).toHaveLength(100)
  })

  it.each([
    '',
    'platform=twitter',
    'identity=x',
    'platform=&identity=x',
    'platform=twitter&identity=',
    'platform=nextid&identity=x',
  ])('refuses %j', async (query) => {
    expect((await node.json(`/v1/kv/by_identity?${query}`)).status).toBe(400)
  })
})

describe('GET /healthz', () => {
  it('greets as Next.ID’s server does', async () => {
    const { body } = await node.json('/healthz')
    expect(body).toEqual({ hello: 'kv server', version: '1.2.3', network: 'main' })
  })
})

function nested(depth: number): object {
  let value: object = {}
  for (let n = 1; n < depth; n++) value = { a: value }
  return value
}
