import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { privateKeySigner, type Signer } from '../../src/client/signers.ts'
import { buildSnapshot } from '../../src/record/build.ts'
import { signRecord } from '../../src/record/sign.ts'
import type { JsonObject } from '../../src/record/types.ts'
import { startHttpNode, type HttpNode } from '../http/node.ts'
import { newKey } from '../support/keys.ts'
import { startProxy } from './proxy.ts'

let node: HttpNode
beforeAll(async () => {
  node = await startHttpNode()
})
afterAll(async () => {
  await node.close()
})

/** Erases an avatar by a snapshot, on what a client knows, as another device would. */
async function erase(key: Uint8Array, steps = 1): Promise<void> {
  const { avatar } = privateKeySigner(key)
  const { tips } = await createClient({ nodes: [node.url('')] }).getVerified(avatar)
  const far = { counter: (tips.at(-1)?.counter ?? 0) + steps, id: `0x${'ab'.repeat(32)}` as const }
  const snapshot = buildSnapshot({
    avatar,
    network: 'main',
    createdAt: Math.floor(Date.now() / 1000),
    uuid: '00000000-0000-4000-8000-000000000001',
    prev: [...tips, far],
    state: [],
    parts: [],
  })
  const { payload, signature } = signRecord(snapshot, key)
  const record = { payload: Buffer.from(payload).toString(), signature: `0x${Buffer.from(signature).toString('hex')}` }
  const answer = await node.json('/v2/records', { method: 'POST', body: JSON.stringify({ records: [record] }) })
  expect(answer.body.results).toMatchObject([{ status: 'stored' }])
}

/** Does something while the signer is at work. */
function signerWith(
  key: Uint8Array,
  silent: boolean,
  during: (count: number) => Promise<void>,
): Signer & { count: number } {
  const signer = privateKeySigner(key)
  return {
    avatar: signer.avatar,
    silent,
    count: 0,
    async sign(text) {
      this.count += 1
      await during(this.count)
      return await signer.sign(text)
    },
  }
}

describe('a write that a snapshot supersedes while it is signed', () => {
  it('is signed anew on what is there then', async () => {
    const key = newKey()
    const client = createClient({ nodes: [node.url('')] })
    await client.put({ signer: privateKeySigner(key), patch: { old: 1 } })
    const signer = signerWith(key, true, async (count) => {
      if (count === 1) await erase(key, 3)
    })
    const result = await client.put({ signer, patch: { fresh: 1 } })
    expect(result).toMatchObject({ status: 'stored', records: [{ counter: 6 }] })
    expect(signer.count).toBe(2)
    const { namespaces, state } = await client.getVerified(signer.avatar)
    expect([state, namespaces.map(({ content }) => content)]).toEqual(['verified', [{ fresh: 1 }]])
  })

  it('asks a wallet once more, and then gives up', async () => {
    const key = newKey()
    const client = createClient({ nodes: [node.url('')] })
    const signer = signerWith(key, false, () => erase(key, 3))
    await expect(client.put({ signer, patch: { n: 1 } })).rejects.toMatchObject({ code: 'superseded' })
    expect(signer.count).toBe(2)
    expect(await client.get(signer.avatar)).toMatchObject({ namespaces: [] })
  })

  it('asks for the change again, given what is there then', async () => {
    const key = newKey()
    const client = createClient({ nodes: [node.url('')] })
    await client.put({ signer: privateKeySigner(key), patch: { n: 5 } })
    const signer = signerWith(key, true, async (count) => {
      if (count === 1) await erase(key, 3)
    })
    const seen: JsonObject[] = []
    await client.change({
      signer,
      change: (before) => {
        seen.push(structuredClone(before))
        return { ...before, n: Number(before['n'] ?? 0) + 1 }
      },
    })
    expect(seen).toEqual([{ n: 5 }, {}])
    expect(await client.get(signer.avatar, 'nextid')).toEqual({ n: 1 })
  })
})

describe('change', () => {
  it('writes only what differs, and nothing where nothing does', async () => {
    const signer = privateKeySigner(newKey())
    const client = createClient({ nodes: [node.url('')] })
    await client.put({ signer, platform: 'twitter', identity: 'alice', patch: { a: { b: 1, c: [1] }, d: 1 } })
    const name = { signer, platform: 'twitter', identity: 'alice' }
    const result = await client.change({
      ...name,
      change: (before) => {
        // What is handed in is a copy, to be changed at will.
        delete before['d']
        ;(before['a'] as JsonObject)['c'] = [1, 2]
        return before
      },
    })
    expect(JSON.parse(result.records[0]?.payload ?? '')).toMatchObject({ patch: { a: { c: [1, 2] }, d: null } })
    expect(await client.change({ ...name, change: (before) => before })).toMatchObject({
      status: 'unchanged',
      records: [],
    })
    expect(await client.get(signer.avatar, 'twitter', 'alice')).toEqual({ a: { b: 1, c: [1, 2] } })
    await expect(client.change({ ...name, change: () => ({ a: { b: null } }) })).rejects.toMatchObject({
      code: 'invalid_change',
      path: '/a/b',
    })
    await expect(client.put({ signer, platform: 'twitter', patch: {} })).rejects.toMatchObject({ code: 'usage' })
    await expect(client.put({ signer, platform: 'NO', identity: 'x', patch: {} })).rejects.toMatchObject({
      code: 'invalid_change',
      nodeCode: 'invalid_platform',
    })
  })

  it('hands out contents that nobody can change by mistake', async () => {
    const signer = privateKeySigner(newKey())
    const client = createClient({ nodes: [node.url('')] })
    await client.put({ signer, patch: { list: [{ a: 1 }] } })
    const { namespaces } = await client.getVerified(signer.avatar)
    const content = namespaces[0]?.content as { list: { a: number }[] }
    expect(() => void (content.list[0]!.a = 2)).toThrow(TypeError)
    expect(() => void (content.list = [])).toThrow(TypeError)
    await client.put({ signer, patch: { more: 1 } })
    expect(namespaces[0]?.content).toEqual({ list: [{ a: 1 }] })
  })
})

it.each<[string, unknown]>([
  ['rejected', Object.assign(new Error('user rejected action'), { code: 'ACTION_REJECTED' })],
  ['rejected', Object.assign(new Error('User rejected the request.'), { code: 4001 })],
  ...[5000, 5001, 5002, 5003, 12001].map((code): [string, unknown] => [
    'rejected',
    { code, message: 'User rejected.' },
  ]),
  // As viem and ethers wrap what the wallet threw.
  ['rejected', new Error('viem', { cause: new Error('viem', { cause: { code: 4001 } }) })],
  ['rejected', Object.assign(new Error('ethers'), { code: 'UNKNOWN_ERROR', info: { error: { code: 5000 } } })],
  ['wallet', { code: 4900, message: 'Disconnected from all chains.' }],
  ['wallet', { code: 5100, message: 'Unsupported chains.' }],
  ['wallet', 'out of battery'],
  ['wallet', null],
])('a signer that is not ours and fails: %s', async (code, thrown) => {
  const { avatar } = privateKeySigner(newKey())
  const client = createClient({ nodes: [node.url('')] })
  const signer: Signer = { avatar, sign: () => Promise.reject(thrown) }
  await expect(client.put({ signer, patch: { n: 1 } })).rejects.toMatchObject({
    name: 'ClientError',
    code,
    cause: thrown,
  })
  expect((await client.getVerified(avatar)).head).toBe(0)
})

describe('several writes', () => {
  it('at once from one client are one history; from two devices they merge', async () => {
    const key = newKey()
    const signer = privateKeySigner(key)
    const one = createClient({ nodes: [node.url('')] })
    await Promise.all([1, 2, 3, 4].map((n) => one.put({ signer, patch: { [`k${n}`]: n } })))
    expect(await one.getVerified(signer.avatar)).toMatchObject({ head: 4, records: 4 })
    const two = createClient({ nodes: [node.url('')] })
    await Promise.all([one, two].map((client, at) => client.put({ signer, patch: { [`device${at}`]: 1 } })))
    const { namespaces } = await two.getVerified(signer.avatar)
    expect(Object.keys(namespaces[0]?.content ?? {})).toHaveLength(6)
    await one.put({ signer, patch: { last: 1 } })
    expect((await two.getVerified(signer.avatar)).tips).toHaveLength(1)
  })

  it('in a batch: one request an avatar, results in order', async () => {
    const [a, b] = [privateKeySigner(newKey()), privateKeySigner(newKey())]
    const requests: string[] = []
    const client = createClient({
      nodes: [node.url('')],
      fetch: (input, init) => {
        if (init?.method === 'POST') requests.push(String(input))
        return fetch(input, init)
      },
    })
    const results = await client.batch([
      { signer: a, patch: { n: 1 } },
      { signer: b, patch: { n: 2 } },
      { signer: a, platform: 'github', identity: 'a', patch: { n: 3 } },
    ])
    expect(results.map(({ avatar, platform, status }) => [avatar, platform, status])).toEqual([
      [a.avatar, 'nextid', 'stored'],
      [b.avatar, 'nextid', 'stored'],
      [a.avatar, 'github', 'stored'],
    ])
    expect(results.map(({ records }) => records[0]?.counter)).toEqual([1, 1, 2])
    expect(requests).toHaveLength(2)
    await expect(
      client.batch([
        { signer: a, patch: { fine: 1 } },
        { signer: a, patch: { bad: '\ud800' } },
      ]),
    ).rejects.toMatchObject({ code: 'invalid_change' })
    expect((await client.getVerified(a.avatar)).head).toBe(2)
  })

  it('in a batch that fails midway: the error has what was written before', async () => {
    const [a, b] = [privateKeySigner(newKey()), privateKeySigner(newKey())]
    const away: Signer = { avatar: b.avatar, sign: () => Promise.reject(new Error('The card was taken out.')) }
    const client = createClient({ nodes: [node.url('')] })
    const failed = client.batch([
      { signer: a, patch: { n: 1 } },
      { signer: away, patch: { n: 2 } },
      { signer: a, platform: 'github', identity: 'a', patch: { n: 3 } },
    ])
    await expect(failed).rejects.toMatchObject({
      name: 'ClientError',
      code: 'wallet',
      written: [
        { avatar: a.avatar, platform: 'nextid', status: 'stored', records: [{ counter: 1 }] },
        { avatar: a.avatar, platform: 'github', status: 'stored', records: [{ counter: 2 }] },
      ],
    })
    await expect(client.put({ signer: away, patch: { n: 2 } })).rejects.toMatchObject({ written: [] })
  })

  it('of any size, through a proxy that takes fewer bytes than the node: sent in smaller requests', async () => {
    const proxy = await startProxy(() => node.url(''))
    try {
      proxy.tell((request) => (request.bytes > 400_000 ? { status: 413 } : undefined))
      const client = createClient({ nodes: [proxy.url] })
      const signer = privateKeySigner(newKey())
      const patch = Object.fromEntries(Array.from({ length: 8 }, (_, n) => [`n${n}`, 'x'.repeat(100_000)]))
      const { status, records } = await client.put({ signer, patch })
      expect(status).toBe('stored')
      expect(records.length).toBeGreaterThan(3)
      expect(await client.get(signer.avatar, 'nextid')).toEqual(patch)
    } finally {
      await proxy.close()
    }
  })

  it('of any size: split, and all there', async () => {
    const signer = privateKeySigner(newKey())
    const client = createClient({ nodes: [node.url('')] })
    const patch = Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`k${at}`, `"${'é'.repeat(50_000)}${at}`]))
    const { records, status } = await client.put({ signer, patch })
    expect([status, records.length > 10]).toEqual(['stored', true])
    expect(await client.get(signer.avatar, 'nextid')).toEqual(patch)
  })
})

describe('history', () => {
  it('tells what each record changed, and how it stands', async () => {
    const key = newKey()
    const signer = privateKeySigner(key)
    const client = createClient({ nodes: [node.url('')] })
    await client.put({ signer, patch: { a: 1, o: { x: 1, y: 2 } } })
    await client.put({ signer, patch: { a: 2, o: { x: null }, same: null } })
    const entries = await client.history(signer.avatar)
    const own = { platform: 'nextid', identity: signer.avatar }
    expect(entries.map(({ counter, status, changes }) => ({ counter, status, changes }))).toEqual([
      {
        counter: 1,
        status: 'stored',
        changes: [
          { ...own, path: '/a', before: undefined, after: 1 },
          { ...own, path: '/o', before: undefined, after: { x: 1, y: 2 } },
        ],
      },
      {
        counter: 2,
        status: 'stored',
        changes: [
          { ...own, path: '/a', before: 1, after: 2 },
          { ...own, path: '/o/x', before: 1, after: undefined },
        ],
      },
    ])
    expect(JSON.parse(entries[1]?.payload ?? '')).toMatchObject({ patch: { a: 2 } })
    expect(entries[1]?.signature).toMatch(/^0x[0-9a-f]{128}$/)
    await erase(key)
    await client.put({ signer, patch: { b: 1 } })
    const after = await client.history(signer.avatar)
    const live = after.filter(({ status }) => status === 'stored')
    expect(live.map(({ type }) => type)).toEqual(['snapshot', 'patch'])
    expect(live[1]?.changes).toEqual([{ ...own, path: '/b', before: undefined, after: 1 }])
    expect(entries.map(({ isBeforeKnown }) => isBeforeKnown)).toEqual([true, true])
    expect(live.map(({ isBeforeKnown }) => isBeforeKnown)).toEqual([false, true])
  })
})

describe('a client', () => {
  it('says what is wrong with its options and questions', async () => {
    const nodes = [node.url('')]
    for (const options of [
      { nodes: [] },
      { nodes: ['ftp://x'] },
      { nodes: ['nonsense'] },
      { nodes: Array.from({ length: 17 }, (_, at) => `http://n${at}`) },
      { nodes, network: 'NO' },
      { nodes, timeoutMs: 0 },
    ]) {
      expect(() => createClient(options)).toThrow(expect.objectContaining({ code: 'usage' }))
    }
    const client = createClient({ nodes: [`${node.url('')}/`, node.url('')] })
    expect(client.nodes).toEqual([node.url('')])
    await expect(client.get('0x12')).rejects.toMatchObject({ code: 'usage' })
    const own = privateKeySigner(newKey()).avatar
    await expect(client.get(own, 'twitter', '\ud800')).rejects.toMatchObject({ code: 'usage' })
    const dead = createClient({ nodes: ['http://127.0.0.1:1'] })
    const { avatar } = privateKeySigner(newKey())
    await expect(dead.provenance(avatar, 'nextid', avatar, 'a')).rejects.toMatchObject({ code: 'usage' })
    for (const call of [dead.get(avatar), dead.getVerified(avatar), dead.history(avatar)]) {
      await expect(call).rejects.toMatchObject({ code: 'unreachable', node: 'http://127.0.0.1:1' })
    }
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(client.getVerified(avatar, { signal })).rejects.toMatchObject({ code: 'aborted' })
    const ended = createClient({ nodes, signal })
    await expect(ended.put({ signer: privateKeySigner(newKey()), patch: {} })).rejects.toMatchObject({
      code: 'aborted',
    })
    const far = createClient({ nodes, network: 'other' })
    const signer = privateKeySigner(newKey())
    await client.put({ signer, patch: { n: 1 } })
    expect(await far.getVerified(signer.avatar)).toMatchObject({
      state: 'behind',
      records: 0,
      problems: [{ code: 'invalid_record' }, { code: 'contradictory' }],
    })
  })

  it('fits text of many bytes into requests', async () => {
    const signer = privateKeySigner(newKey())
    const patch = Object.fromEntries(Array.from({ length: 75 }, (_, at) => [`k${at}`, '漢'.repeat(80_000)]))
    expect(await createClient({ nodes: [node.url('')] }).put({ signer, patch })).toMatchObject({ status: 'stored' })
  })

  it('goes on from what it kept', async () => {
    const signer = privateKeySigner(newKey())
    const asked: string[] = []
    const client = createClient({
      nodes: [node.url('')],
      fetch: (input, init) => {
        asked.push(String(input).replace(node.url(''), ''))
        return fetch(input, init)
      },
    })
    for (const n of [1, 2, 3]) await client.put({ signer, patch: { n } })
    asked.length = 0
    const progress: number[] = []
    await client.getVerified(signer.avatar, { onProgress: ({ total }) => progress.push(total) })
    expect(asked.length).toBeLessThanOrEqual(2)
    expect(asked.every((each) => each.includes('cursor='))).toBe(true)
    await createClient({ nodes: [node.url('')] }).put({ signer, patch: { n: 4 } })
    expect(await client.getVerified(signer.avatar, { onProgress: ({ total }) => progress.push(total) })).toMatchObject({
      head: 4,
      records: 4,
    })
    expect(Math.max(...progress)).toBe(1)
  })
})

describe('a write that is ended by its signal', () => {
  it('while the signer does not answer: at once, and the next one is not held up', async () => {
    const own = privateKeySigner(newKey())
    const client = createClient({ nodes: [node.url('')] })
    const stop = new AbortController()
    let ask = (): void => {}
    const asked = new Promise<void>((resolve) => (ask = resolve))
    const never: Signer = {
      avatar: own.avatar,
      sign: () => {
        ask()
        return new Promise(() => {})
      },
    }
    const first = client.put({ signer: never, patch: { a: 1 } }, { signal: stop.signal })
    await asked
    const [waiting, gone] = [new AbortController(), AbortSignal.abort()]
    const second = client.put({ signer: own, patch: { b: 1 } }, { signal: waiting.signal })
    await expect(client.put({ signer: own, patch: { c: 1 } }, { signal: gone })).rejects.toMatchObject({
      code: 'aborted',
    })
    waiting.abort()
    await expect(second).rejects.toMatchObject({ code: 'aborted', records: [] })
    const third = client.put({ signer: own, patch: { d: 1 } })
    stop.abort()
    await expect(first).rejects.toMatchObject({ code: 'aborted', records: [] })
    expect(await third).toMatchObject({ status: 'stored', records: [{ counter: 1 }] })
    const change = new AbortController()
    const changed = client.change(
      {
        signer: own,
        change: () => {
          change.abort()
          return new Promise(() => {})
        },
      },
      { signal: change.signal },
    )
    await expect(changed).rejects.toMatchObject({ code: 'aborted' })
    expect(await client.get(own.avatar, 'nextid')).toEqual({ d: 1 })
  })

  it('while it is signed: nothing was sent, and none is said to have been', async () => {
    const own = privateKeySigner(newKey())
    const stop = new AbortController()
    let posts = 0
    const client = createClient({
      nodes: [node.url('')],
      fetch: (input, init) => {
        if (init?.method === 'POST') posts++
        return fetch(input, init)
      },
    })
    const signer: Signer = {
      avatar: own.avatar,
      sign: async (text) => {
        const signature = await own.sign(text)
        stop.abort()
        return signature
      },
    }
    const written = client.put({ signer, patch: { a: 1 } }, { signal: stop.signal })
    await expect(written).rejects.toMatchObject({ code: 'aborted', records: [] })
    expect(posts).toBe(0)
  })

  it("once a node has it, with to: 'all': the result says where it is", async () => {
    const own = privateKeySigner(newKey())
    const stop = new AbortController()
    const other = 'http://other.example'
    const client = createClient({
      nodes: [node.url(''), other],
      fetch: (input, init) => {
        if (!String(input).startsWith(other)) return fetch(input, init)
        if (init?.method === 'POST') stop.abort()
        return fetch(String(input).replace(other, node.url('')), init)
      },
    })
    const result = await client.put({ signer: own, patch: { a: 1 } }, { to: 'all', signal: stop.signal })
    expect(result).toMatchObject({ status: 'stored', nodes: [node.url('')], records: [{ counter: 1 }] })
  })
})
