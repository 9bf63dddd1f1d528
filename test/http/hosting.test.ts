import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { signStatement, statementText, type HostingStatement } from '../../src/hosting/statement.ts'
import type { Avatar } from '../../src/record/types.ts'
import { uncompressedAvatar } from '../../src/record/keys.ts'
import { writeBody } from '../support/api.ts'
import { Writer } from '../store/writer.ts'
import { NETWORK, OPERATOR_TOKEN, post, startHttpNode, type HttpNode } from './node.ts'

const OPERATOR = { authorization: `Bearer ${OPERATOR_TOKEN}` }

let node: HttpNode
const kept = new Writer(1)
const foreign = new Writer(2)
const blocked = new Writer(3)
/** Held from another time, and on no list now. */
const left = new Writer(4)

beforeAll(async () => {
  node = await startHttpNode({ hosting: { mode: 'listed', policy: 'open' } })
  await node.hosting.add([kept.avatar, blocked.avatar, left.avatar])
  const records = [kept, blocked, left].map((writer) => writer.patch([], { by: writer.avatar }))
  await node.ingest.submit(records, { origin: 'import' })
  // The documents and contents are in the cache.
  for (const { avatar } of [kept, blocked, left]) {
    for (const path of ['', '/twitter/alice']) await node.json(`/v2/avatars/${avatar}${path}`)
  }
  await node.hosting.block([blocked.avatar], { forget: false })
  await node.hosting.remove([left.avatar])
})
afterAll(() => node.close())

function operate(path: string, body?: unknown, headers: Record<string, string> = OPERATOR) {
  const init = body === undefined ? {} : post(body)
  return node.fetch(`/v2/operator/${path}`, { ...init, headers: { ...headers } })
}

async function bodyOf(response: Response) {
  return { status: response.status, ...((await response.json()) as object) }
}

describe('a read of an avatar that is not hosted', () => {
  const paths = (avatar: string) => [
    `/v2/avatars/${avatar}`,
    `/v2/avatars/${avatar}/twitter/alice`,
    `/v2/avatars/${avatar}/records`,
    `/v2/avatars/${avatar}/receipt`,
    `/v2/events?avatar=${avatar}`,
    `/v2/archives?avatar=${avatar}`,
    `/v2/archives?avatar=${kept.avatar}&avatar=${avatar}`,
  ]

  test.each([
    ['on no list', foreign, 'not_hosted'],
    ['held, but on no list any more', left, 'not_hosted'],
    ['blocked', blocked, 'blocked'],
  ])('%s gets 404 and why', async (_, { avatar }, code) => {
    for (const name of [avatar, uncompressedAvatar(avatar), avatar.slice(2).toUpperCase()]) {
      for (const path of paths(name)) {
        expect([path, await bodyOf(await node.fetch(path))]).toMatchObject([path, { status: 404, code }])
      }
    }
    expect((await node.fetch(`/v2/avatars/${avatar}`, { method: 'HEAD' })).status).toBe(404)
    expect((await node.fetch('/v2/avatars/0x12')).status).toBe(400)
  })

  test('by version 1 finds nothing, as ever', async () => {
    for (const { avatar } of [foreign, left, blocked]) {
      expect((await node.json(`/v1/kv?avatar=${avatar}`)).body).toMatchObject({ proofs: [] })
    }
    const { body } = await node.json('/v1/kv/by_identity?platform=twitter&identity=alice')
    expect(body).toEqual({ values: [{ avatar: uncompressedAvatar(kept.avatar), content: { by: kept.avatar } }] })
  })

  test('is in no list, and no archive of everything', async () => {
    expect((await node.json('/v2/avatars')).body).toEqual({ avatars: [kept.avatar], cursor: null })
    const archive = await (await node.fetch(`/v2/archives?avatar=${kept.avatar}`)).text()
    expect(archive).toContain(kept.avatar)
    expect(archive).not.toContain(blocked.avatar)
  })

  test('says where it lives, as far as that is known', async () => {
    const other = await startHttpNode({
      hosting: { mode: 'all' },
      homes: ['https://home.test', '/dns4/home.test/tcp/1'],
    })
    await other.hosting.remove([foreign.avatar])
    const { body } = await other.json(`/v2/avatars/${foreign.avatar}`)
    expect(body).toMatchObject({ code: 'not_hosted', homes: ['https://home.test', '/dns4/home.test/tcp/1'] })
    expect((await other.json(`/v2/avatars/${kept.avatar}`)).body).toMatchObject({ code: 'unknown_avatar' })
    await other.close()
  })
})

test('a record of one is refused, by both versions', async () => {
  const records = [foreign.patch([]), blocked.patch([]), kept.patch([], { more: true })]
  const { body } = await node.json('/v2/records', post(writeBody(records)))
  expect(body.results).toMatchObject([
    { id: records[0]?.id, status: 'refused', code: 'not_hosted', retry: false },
    { id: records[1]?.id, status: 'refused', code: 'blocked', retry: false },
    { status: 'stored' },
  ])
})

test('one that comes back is shown as it is then', async () => {
  const writer = new Writer(9)
  await node.hosting.add([writer.avatar])
  await node.ingest.submit([writer.patch([], { old: true })], { origin: 'import' })
  expect((await node.json(`/v2/avatars/${writer.avatar}`)).body.namespaces[0].content).toEqual({ old: true })
  await node.hosting.remove([writer.avatar])
  await node.hosting.settled()
  await node.store.forget(writer.avatar)
  await node.hosting.add([writer.avatar])
  expect((await node.json(`/v2/avatars/${writer.avatar}`)).body).toMatchObject({ code: 'unknown_avatar' })
  await node.ingest.submit([writer.patch([], { new: true })], { origin: 'import' })
  expect((await node.json(`/v2/avatars/${writer.avatar}`)).body.namespaces[0].content).toEqual({ new: true })
})

describe('the operator', () => {
  test.each([
    ['nothing', {}],
    ['another token', { authorization: `Bearer ${'cd'.repeat(32)}` }],
    ['the token alone', { authorization: OPERATOR_TOKEN }],
    ['a part of it', { authorization: `Bearer ${OPERATOR_TOKEN.slice(1)}` }],
    ['more than it', { authorization: `Bearer ${OPERATOR_TOKEN}0` }],
    ['another scheme', { authorization: `Basic ${OPERATOR_TOKEN}` }],
  ])('is not who shows %s', async (_, headers) => {
    for (const [path, body] of [
      ['hosting'],
      ['hosting', {}],
      ['hosting/tidy', {}],
      ['invites', { count: 1 }],
    ] as const) {
      const answer = await operate(path, body, headers)
      expect(answer.headers.get('www-authenticate')).toBe('Bearer')
      expect(answer.headers.get('access-control-allow-origin')).toBeNull()
      expect(await bodyOf(answer)).toMatchObject({ status: 401, code: 'operator_only' })
    }
    expect(node.hosting.counts().invites).toBe(0)
  })

  test('is nobody where there is no token', async () => {
    const other = await startHttpNode({ operatorToken: null })
    for (const headers of [{}, { authorization: 'Bearer ' }, { authorization: 'Bearer undefined' }]) {
      expect((await other.fetch('/v2/operator/hosting', { headers })).status).toBe(401)
    }
    await other.close()
  })

  test('is heard by no page of another origin', async () => {
    const headers = { origin: 'https://evil.test', 'access-control-request-method': 'POST' }
    for (const path of ['/v2/operator/hosting', '/v2/operator/nothing', '/v2/operator/../operator/hosting']) {
      const answer = await node.fetch(path, { method: 'OPTIONS', headers })
      expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([405, null])
    }
    const answer = await node.fetch('/v2/operator/hosting', { headers: { ...OPERATOR, origin: 'https://evil.test' } })
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([200, null])
    expect((await node.fetch('/v2/hosting/0x', { headers })).headers.get('access-control-allow-origin')).toBe('*')
  })

  test('changes lists and reads them', async () => {
    const [a, b] = [new Writer(20).avatar, new Writer(21).avatar]
    expect(await bodyOf(await operate('hosting', { action: 'add', avatars: [a, uncompressedAvatar(a), b] }))).toEqual({
      status: 200,
      changed: 2,
    })
    const names = async (query: string) => {
      const { entries } = (await bodyOf(await operate(`hosting?${query}`))) as unknown as {
        entries: { avatar: Avatar }[]
      }
      return entries.map(({ avatar }) => avatar)
    }
    expect(await names('list=hosted')).toEqual(expect.arrayContaining([a, b]))
    await operate('hosting', { action: 'block', avatars: [a] })
    expect(await names('list=blocked&limit=1')).toHaveLength(1)
    await operate('hosting', { action: 'unblock', avatars: [a] })
    await operate('hosting', { action: 'remove', avatars: [a, b] })
    expect(await names('list=gone')).toEqual(expect.arrayContaining([a, b]))
    expect(await names(`list=gone&cursor=${[a, b].toSorted()[1]}`)).not.toContain(a)
    const invited = (await bodyOf(await operate('invites', { count: 3 }))) as unknown as { codes: string[] }
    expect(new Set(invited.codes).size).toBe(3)
    expect(await bodyOf(await operate('invites/revoke', {}))).toEqual({ status: 200, revoked: 3 })
  })

  test.each([
    ['an action that there is not', { action: 'rename', avatars: [kept.avatar] }],
    ['no avatars', { action: 'add', avatars: [] }],
    ['what is no avatar', { action: 'add', avatars: [kept.avatar, '0x12'] }],
    ['too many avatars', { action: 'add', avatars: Array<string>(251).fill(kept.avatar) }],
  ])('who sends %s gets 400, and nothing is changed', async (_, body) => {
    const before = node.hosting.counts()
    expect((await operate('hosting', body)).status).toBe(400)
    expect(node.hosting.counts()).toEqual(before)
  })
})

describe('a request to be hosted', () => {
  const owner = new Writer(30)
  const ask = (members: Partial<HostingStatement>, writer = owner) => {
    const statement: HostingStatement = {
      action: 'host',
      avatar: writer.avatar,
      created_at: Math.floor(Date.now() / 1_000),
      network: NETWORK,
      peer_id: '12D3KooWThisNode',
      type: 'hosting',
      version: '2',
      ...members,
    }
    const signature = `0x${Buffer.from(signStatement(statement, writer.key.secretKey)).toString('hex')}`
    return node.json('/v2/hosting', post({ statement: statementText(statement), signature }))
  }

  test('is granted or refused, with a code', async () => {
    expect(await ask({ peer_id: 'other' })).toMatchObject({ status: 400, body: { code: 'wrong_peer' } })
    expect(await ask({ created_at: 1 })).toMatchObject({ status: 409, body: { code: 'stale_statement' } })
    expect(await ask({}, blocked)).toMatchObject({ status: 403, body: { code: 'blocked' } })
    expect(await ask({ action: 'leave' }, foreign)).toMatchObject({ status: 404, body: { code: 'not_hosted' } })
    const granted = { status: 'granted', action: 'host', avatar: owner.avatar, already: false, pulling: false }
    expect(await ask({})).toMatchObject({ status: 200, body: granted })
    const status = { avatar: owner.avatar, hosted: true, listed: true, mode: 'listed', policy: 'open', pull: null }
    expect((await node.json(`/v2/hosting/${owner.avatar}`)).body).toMatchObject(status)
  })

  test.each([
    ['not JSON', 'x', 'invalid_json'],
    ['a record', writeBody([kept.patch([])]), 'invalid_request'],
    ['no signature', { statement: '{}', signature: '' }, 'invalid_signature'],
    ['no statement', { statement: '{}', signature: `0x${'11'.repeat(64)}` }, 'invalid_statement'],
    ['a long one', { statement: 'x'.repeat(5_000), signature: `0x${'11'.repeat(64)}` }, 'invalid_request'],
  ])('that is %s gets 400', async (_, body, code) => {
    expect(await node.json('/v2/hosting', post(body))).toMatchObject({ status: 400, body: { code } })
  })

  test('that comes too often gets 429, and when to come again', async () => {
    let answer = await ask({ peer_id: 'other' })
    for (let n = 0; n < 200 && answer.status !== 429; n += 1) answer = await ask({ peer_id: 'other' })
    expect(answer).toMatchObject({ status: 429, body: { code: 'too_many_requests' } })
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
  })
})
