import type { ServerResponse } from 'node:http'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { privateKeySigner } from '../../src/client/signers.ts'
import type { Client } from '../../src/client/api.ts'
import { startHttpNode, type HttpNode } from '../http/node.ts'
import { newKey } from '../support/keys.ts'
import { startProxy, type Lie, type Proxy } from './proxy.ts'

interface Page {
  records: { payload: string; signature: string; id: string; status: string }[]
  digest: string
  cursor: string
}

let node: HttpNode
let proxy: Proxy
const signer = privateKeySigner(newKey())
const stranger = privateKeySigner(newKey())
const records = `/v2/avatars/${signer.avatar}/records`
let truth: Awaited<ReturnType<Client['getVerified']>>
let strangers: Page

beforeAll(async () => {
  node = await startHttpNode()
  proxy = await startProxy(() => node.url(''))
  const client = createClient({ nodes: [node.url('')] })
  for (const n of [1, 2, 3, 4, 5]) await client.put({ signer, patch: { n, [`k${n}`]: n } })
  await client.put({ signer: stranger, patch: { theirs: 1 } })
  truth = await client.getVerified(signer.avatar)
  strangers = (await node.json(`/v2/avatars/${stranger.avatar}/records`)).body as Page
})
afterAll(async () => {
  await proxy.close()
  await node.close()
})
beforeEach(() => proxy.tell(undefined))

/** Lies in the pages of records. */
const inPages =
  (change: (page: Page, count: number) => Page | undefined): Lie =>
  async ({ path, count }, honest) => {
    if (path !== records) return undefined
    const { body } = await honest()
    return { body: JSON.stringify(change(JSON.parse(body) as Page, count) ?? {}) }
  }

const forever = (chunk: string) => (response: ServerResponse) => {
  const write = (): void => {
    while (!response.destroyed && response.write(chunk));
    if (!response.destroyed) response.once('drain', write)
  }
  write()
}

const edited = (payload: string): string => payload.replace('"n":5', '"n":6')
const without =
  (...numbers: number[]) =>
  (page: Page): Page => ({
    ...page,
    records: page.records.filter(({ payload }) => !numbers.some((n) => payload.includes(`"n":${n}`))),
  })

/** Each lie, what is seen of it, and what is still shown: never anything that the avatar has not signed. */
const LIES: [string, Lie, { state: string; problem: string | null; n: number | null }][] = [
  ['drops the newest record', inPages(without(5)), { state: 'behind', problem: 'contradictory', n: 4 }],
  ['drops one in the middle', inPages(without(3)), { state: 'missing', problem: 'contradictory', n: 2 }],
  ['drops all', inPages((page) => ({ ...page, records: [] })), { state: 'behind', problem: 'contradictory', n: null }],
  [
    'edits a payload',
    inPages((page) => ({ ...page, records: page.records.map((each) => ({ ...each, payload: edited(each.payload) })) })),
    { state: 'behind', problem: 'wrong_id', n: 4 },
  ],
  [
    'edits a payload and calls it by its new id',
    inPages((page) => ({
      ...page,
      records: page.records.map((each) => ({ ...each, signature: `0x${'11'.repeat(64)}` })),
    })),
    { state: 'behind', problem: 'invalid_record', n: null },
  ],
  [
    'mixes in what others have signed',
    inPages((page) => ({ ...page, records: page.records.length === 0 ? [] : [...strangers.records, ...page.records] })),
    { state: 'verified', problem: 'foreign_record', n: 5 },
  ],
  [
    'sends the records in another order',
    inPages((page) => ({ ...page, records: page.records.toReversed() })),
    { state: 'verified', problem: null, n: 5 },
  ],
  [
    'sends the same page for ever',
    async ({ path }, honest) => {
      if (path !== records) return undefined
      const { body } = await fetchFirst(honest)
      return { body }
    },
    { state: 'behind', problem: 'repeats', n: 5 },
  ],
  [
    'claims another digest',
    inPages((page) => ({ ...page, digest: 'ab'.repeat(32) })),
    { state: 'behind', problem: 'contradictory', n: 5 },
  ],
  [
    'gives a cursor that goes into no address',
    inPages((page) => ({ ...page, cursor: '\ud800' })),
    { state: 'throws', problem: 'bad_answer', n: null },
  ],
  [
    'gives a cursor without end',
    inPages((page) => ({ ...page, cursor: 'c'.repeat(257) })),
    { state: 'throws', problem: 'bad_answer', n: null },
  ],
  [
    'streams without end',
    ({ path }) => (path === records ? { stream: forever(`{"records":[${'"x",'.repeat(20_000)}`) } : undefined),
    { state: 'throws', problem: 'bad_answer', n: null },
  ],
  [
    'drips without end',
    ({ path }) => (path === records ? { stream: (response) => drip(response) } : undefined),
    { state: 'throws', problem: 'unreachable', n: null },
  ],
  [
    'is silent',
    ({ path }) => (path === records ? { stream: () => {} } : undefined),
    { state: 'throws', problem: 'unreachable', n: null },
  ],
  [
    'answers what is no JSON',
    () => ({ body: '<html>', headers: { 'content-type': 'text/html' } }),
    { state: 'throws', problem: 'bad_answer', n: null },
  ],
  [
    'answers JSON of another shape, nested without end',
    () => ({ body: '['.repeat(100_000) }),
    { state: 'throws', problem: 'bad_answer', n: null },
  ],
  [
    'begins its history again and again',
    ({ path }) => (path === records ? { status: 410, body: '{"code":"cursor_expired","message":"x"}' } : undefined),
    { state: 'throws', problem: 'bad_answer', n: null },
  ],
  [
    'says that it knows nothing',
    () => ({ status: 404, body: '{"code":"unknown_avatar","message":"x"}' }),
    { state: 'verified', problem: null, n: null },
  ],
]

/** Short where a node says nothing, so that the test need not wait; else so long that a busy machine ends nothing. */
function patienceMs(what: string, shortMs: number): number {
  return what === 'drips without end' || what === 'is silent' ? shortMs : 60_000
}

const pagesBefore = new Map<string, string>()
async function fetchFirst(honest: () => Promise<{ body: string }>): Promise<{ body: string }> {
  const body = pagesBefore.get('first') ?? (await honest()).body
  pagesBefore.set('first', body)
  return { body }
}

function drip(response: ServerResponse): void {
  const timer = setInterval(() => response.write(' '), 50)
  response.once('close', () => clearInterval(timer))
}

/** What a client shows of `n`, and what it says is wrong. */
async function look(client: Client) {
  try {
    const { state, problems, namespaces } = await client.getVerified(signer.avatar)
    return { state, problems: problems.map(({ code }) => code), n: namespaces[0]?.content['n'] ?? null }
  } catch (error) {
    return { state: 'throws', problems: [(error as { code: string }).code], n: null }
  }
}

describe('a node that lies, alone', () => {
  it.each(LIES)('%s', async (what, lie, { state, problem, n }) => {
    proxy.tell(lie)
    const found = await look(createClient({ nodes: [proxy.url], timeoutMs: patienceMs(what, 500) }))
    expect({ state: found.state, n: found.n }).toEqual({ state, n: n })
    if (problem === null) expect(found.problems).toEqual([])
    else expect(found.problems).toContain(problem)
  })
})

describe('a node that lies, beside one that does not', () => {
  it.each(LIES)('%s: all the same, what is shown is the truth', async (what, lie) => {
    proxy.tell(lie)
    const client = createClient({ nodes: [proxy.url, node.url('')], timeoutMs: patienceMs(what, 4_000) })
    const verified = await client.getVerified(signer.avatar)
    expect(verified).toMatchObject({ state: 'verified', digest: truth.digest, records: 5 })
    expect(verified.namespaces).toEqual(truth.namespaces)
    expect(verified.nodes.find(({ url }) => url === node.url(''))?.standing).toBe('equal')
  })
})

describe('a node that sends one record after the other, slowly', () => {
  const dawdling = privateKeySigner(newKey())
  const base = `/v2/avatars/${dawdling.avatar}`
  let all: Page
  beforeAll(async () => {
    const client = createClient({ nodes: [node.url('')] })
    for (let n = 0; n < 20; n++) await client.put({ signer: dawdling, patch: { n } })
    all = (await node.json(`${base}/records`)).body as Page
  })
  const slowly =
    (ms: number): Lie =>
    async ({ path, count }) => {
      if (path === `${base}/receipt`) return { body: '{"network":"main","head":99,"digest":"x"}' }
      if (path !== `${base}/records`) return undefined
      await new Promise((resolve) => setTimeout(resolve, ms))
      return {
        body: JSON.stringify({ records: all.records.slice(count, count + 1), digest: 'x', cursor: `c${count}` }),
      }
    }
  const pages = (): number => proxy.seen.filter(({ path }) => path === `${base}/records`).length

  it('is not waited for where another shows what was known before', async () => {
    const native = globalThis.setTimeout
    const client = createClient({ nodes: [proxy.url, node.url('')] })
    expect(await client.getVerified(dawdling.avatar)).toMatchObject({ state: 'verified' })
    proxy.tell(slowly(100))
    // The patience with one that reads, short.
    vi.spyOn(globalThis, 'setTimeout').mockImplementation(((run: () => void, ms?: number, ...rest: unknown[]) =>
      native(run, ms === 8_000 ? 200 : ms, ...rest)) as typeof setTimeout)
    onTestFinished(() => void vi.restoreAllMocks())
    expect(await client.getVerified(dawdling.avatar)).toMatchObject({ state: 'verified', records: 20 })
    expect(pages()).toBeLessThan(15)
  })

  it('is given up, alone, in time for what it has sent', async () => {
    proxy.tell(slowly(0))
    // Ten seconds pass with each request.
    let nowMs = performance.now()
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => nowMs)
    onTestFinished(() => void clock.mockRestore())
    const slow: typeof fetch = async (input, init) => {
      nowMs += 10_000
      return await fetch(input, init)
    }
    const client = createClient({ nodes: [proxy.url], fetch: slow })
    expect((await client.getVerified(dawdling.avatar)).problems.map(({ code }) => code)).toContain('endless')
    expect(pages()).toBeLessThan(18)
  })
})

describe('a node that goes back', () => {
  it('is behind what was verified before, and says so', async () => {
    const client = createClient({ nodes: [proxy.url] })
    expect(await look(client)).toMatchObject({ state: 'verified', n: 5 })
    proxy.tell(async ({ path, url }, honest) => {
      if (path !== records) return undefined
      // A store from before the last two records: whole in itself.
      if (url.includes('cursor=')) return { status: 410, body: '{"code":"cursor_expired","message":"x"}' }
      const page = without(4, 5)(JSON.parse((await honest()).body) as Page)
      return { body: JSON.stringify(page) }
    })
    const found = await look(client)
    expect(found).toMatchObject({ state: 'behind', n: 5 })
    expect(found.problems.length).toBeGreaterThan(0)
  })
})

describe('a node that lies to writers', () => {
  it('cannot make a write cite what is not there, or be lost', async () => {
    const author = privateKeySigner(newKey())
    const client = createClient({ nodes: [proxy.url] })
    await client.put({ signer: author, patch: { n: 1 } })
    proxy.tell(async ({ path }, honest) => {
      if (path !== `/v2/avatars/${author.avatar}`) return undefined
      const document = JSON.parse((await honest()).body) as object
      return { body: JSON.stringify({ ...document, tips: [{ counter: 900, id: `0x${'ee'.repeat(32)}` }], head: 900 }) }
    })
    expect(await client.put({ signer: author, patch: { n: 2 } })).toMatchObject({
      status: 'stored',
      records: [{ counter: 2 }],
    })
  })

  it('is answered with the same record at the next node, where it takes it and says nothing', async () => {
    const author = privateKeySigner(newKey())
    proxy.tell(async ({ method }, honest) => {
      if (method !== 'POST') return undefined
      await honest()
      return { stream: () => {} }
    })
    const client = createClient({ nodes: [proxy.url, node.url('')], timeoutMs: 4_000 })
    expect(await client.put({ signer: author, patch: { n: 1 } })).toMatchObject({
      status: 'stored',
      nodes: [node.url('')],
    })
    expect(await client.getVerified(author.avatar)).toMatchObject({ records: 1, head: 1 })
  })

  it('leaves the signed records with the caller where nobody confirms them', async () => {
    const author = privateKeySigner(newKey())
    proxy.tell(({ method }) => (method === 'POST' ? { stream: () => {} } : undefined))
    const client = createClient({ nodes: [proxy.url], timeoutMs: 4_000 })
    const error: unknown = await client.put({ signer: author, patch: { n: 1 } }).catch((each: unknown) => each)
    expect(error).toMatchObject({ code: 'unconfirmed', node: proxy.url, records: [{ payload: expect.any(String) }] })
    const { records: kept } = error as { records: unknown[] }
    const handedIn = await node.json('/v2/records', { method: 'POST', body: JSON.stringify({ records: kept }) })
    expect(handedIn.body).toMatchObject({ results: [{ status: 'stored' }] })
  })

  it('that says that contents are too large for one answer is not the last that is asked', async () => {
    const author = privateKeySigner(newKey())
    await createClient({ nodes: [node.url('')] }).put({ signer: author, patch: { n: 1 } })
    const body = '{"code":"answer_too_large","message":"Read the records."}'
    proxy.tell(({ method }) => (method === 'GET' ? { status: 413, body } : undefined))
    const alone = createClient({ nodes: [proxy.url] })
    await expect(alone.get(author.avatar)).rejects.toMatchObject({
      code: 'answer_too_large',
      status: 413,
      node: proxy.url,
    })
    const both = createClient({ nodes: [proxy.url, node.url('')] })
    expect(await both.get(author.avatar)).toMatchObject({ head: 1 })
  })

  it('is not believed that a write is superseded, unless it shows the snapshot', async () => {
    const author = privateKeySigner(newKey())
    const superseded = { body: '{"results":[{"id":null,"status":"superseded"}]}' }
    proxy.tell(({ method }) => (method === 'POST' ? superseded : undefined))
    const alone = createClient({ nodes: [proxy.url] })
    const error: unknown = await alone.put({ signer: author, patch: { n: 1 } }).catch((each: unknown) => each)
    expect(error).toMatchObject({ code: 'refused', node: proxy.url, records: [{ payload: expect.any(String) }] })
    const both = createClient({ nodes: [proxy.url, node.url('')] })
    const written = await both.put({ signer: author, patch: { n: 1 } })
    expect(written).toMatchObject({ status: 'stored', nodes: [node.url('')], records: [{ counter: 1 }] })
    expect(proxy.seen.filter(({ method }) => method === 'POST')).toHaveLength(2)
  })

  it.each([
    [502, '<h1>Bad Gateway</h1>', 'unconfirmed'],
    [504, '<h1>Gateway Timeout</h1>', 'unconfirmed'],
    [503, '<h1>Service Unavailable</h1>', 'unconfirmed'],
    [503, '{"code":"busy","message":"later"}', 'refused'],
    [503, '{"code":"store_unavailable","message":"later"}', 'unconfirmed'],
    [413, '<h1>Request Entity Too Large</h1>', 'refused'],
  ])('that answers with %i and %s has refused only where a node says so', async (status, body, code) => {
    const author = privateKeySigner(newKey())
    proxy.tell(({ method }) => (method === 'POST' ? { status, body } : undefined))
    const error: unknown = await createClient({ nodes: [proxy.url] })
      .put({ signer: author, patch: { n: 1 } })
      .catch((each: unknown) => each)
    expect(error).toMatchObject({ code, records: [{ payload: expect.any(String) }] })
  })

  it('that takes a part of a change has not refused it', async () => {
    const author = privateKeySigner(newKey())
    const busy = { status: 503, body: '{"code":"busy","message":"later"}' }
    proxy.tell(({ method, count }) => (method === 'POST' && count > 0 ? busy : undefined))
    const patch = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`k${at}`, 'x'.repeat(200_000)]))
    const error: unknown = await createClient({ nodes: [proxy.url] })
      .put({ signer: author, patch })
      .catch((each: unknown) => each)
    expect(error).toMatchObject({ code: 'unconfirmed', node: proxy.url })
    expect((error as { records: unknown[] }).records.length).toBeGreaterThan(30)
  })

  it.each([
    [
      'refuses',
      { body: '{"results":[{"id":null,"status":"refused","code":"avatar_quota","message":"full"}]}' },
      'refused',
    ],
    ['is busy', { status: 503, body: '{"code":"busy","message":"later"}', headers: { 'retry-after': '7' } }, 'refused'],
    ['answers for fewer', { body: '{"results":[]}' }, 'unconfirmed'],
  ])('%s: a clear error', async (_, reply, code) => {
    proxy.tell(({ method }) => (method === 'POST' ? reply : undefined))
    const client = createClient({ nodes: [proxy.url] })
    const error: unknown = await client
      .put({ signer: privateKeySigner(newKey()), patch: { n: 1 } })
      .catch((each: unknown) => each)
    expect(error).toMatchObject({ name: 'ClientError', code, node: proxy.url })
  })
})
