import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { privateKeySigner } from '../../src/client/signers.ts'
import { startHttpNode, type HttpNode } from '../http/node.ts'
import { newKey } from '../support/keys.ts'
import { startProxy } from './proxy.ts'

let node: HttpNode
let other: HttpNode
beforeAll(async () => {
  node = await startHttpNode()
  other = await startHttpNode()
})
afterAll(async () => {
  await node.close()
  await other.close()
})

describe('a client at one node', () => {
  it('writes, reads and verifies what it wrote', async () => {
    const client = createClient({ nodes: [node.url('')] })
    const signer = privateKeySigner(newKey())
    const result = await client.put({ signer, patch: { a: { b: 1 }, gone: 1 } })
    expect(result).toMatchObject({
      status: 'stored',
      nodes: [node.url('')],
      platform: 'nextid',
      identity: signer.avatar,
    })
    await client.put({ signer, patch: { gone: null } })
    const verified = await client.getVerified(signer.avatar)
    expect(verified).toMatchObject({ state: 'verified', head: 2, records: 2, missing: [], pending: 0, problems: [] })
    expect(verified.namespaces).toEqual([{ platform: 'nextid', identity: signer.avatar, content: { a: { b: 1 } } }])
    expect(await client.get(signer.avatar, 'nextid')).toEqual({ a: { b: 1 } })
    expect(await client.get(signer.avatar)).toMatchObject({ head: 2, digest: verified.digest })
    const fresh = createClient({ nodes: [node.url('')] })
    expect(await fresh.getVerified(signer.avatar)).toEqual(verified)
  })

  it('reads an avatar that nobody has written to as empty', async () => {
    const client = createClient({ nodes: [node.url('')] })
    const { avatar } = privateKeySigner(newKey())
    expect(await client.get(avatar)).toBeUndefined()
    expect(await client.getVerified(avatar)).toMatchObject({ state: 'verified', head: 0, namespaces: [], records: 0 })
  })

  it('follows changes: the state first, then every record once', async () => {
    const client = createClient({ nodes: [node.url('')] })
    const writer = createClient({ nodes: [node.url('')] })
    const signer = privateKeySigner(newKey())
    await client.put({ signer, patch: { n: 0 } })
    const stop = new AbortController()
    const seen: unknown[] = []
    for await (const event of client.watch(signer.avatar, { signal: stop.signal })) {
      if (event.type === 'state') {
        seen.push(event.state.namespaces[0]?.content['n'])
        void writer.put({ signer, patch: { n: 1 } }).then(() => client.put({ signer, patch: { n: 2 } }))
      }
      if (event.type === 'change') {
        for (const { body } of event.records) if (body.type === 'patch') seen.push(body.patch['n'])
      }
      if (seen.at(-1) === 2) stop.abort()
    }
    expect(seen).toEqual([0, 1, 2])
  })
})

describe('a client over two nodes that do not know each other', () => {
  it('shows what both say together, and gives each what it lacks when it writes', async () => {
    const signer = privateKeySigner(newKey())
    await createClient({ nodes: [node.url('')] }).put({ signer, patch: { here: 1 } })
    await createClient({ nodes: [other.url('')] }).put({ signer, patch: { there: 1 } })
    const client = createClient({ nodes: [node.url(''), other.url('')] })
    const verified = await client.getVerified(signer.avatar)
    expect(verified).toMatchObject({ state: 'behind', records: 2, head: 1 })
    expect(verified.tips).toHaveLength(2)
    expect(verified.namespaces[0]?.content).toEqual({ here: 1, there: 1 })
    expect(verified.nodes.map(({ standing, lacks }) => [standing, lacks])).toEqual([
      ['behind', 1],
      ['behind', 1],
    ])

    const result = await client.put({ signer, patch: { both: 1 } }, { to: 'all' })
    expect(result).toMatchObject({ status: 'stored', nodes: [node.url(''), other.url('')] })
    const merged = await client.getVerified(signer.avatar)
    expect(merged).toMatchObject({ state: 'verified', records: 3, head: 2, problems: [] })
    expect(merged.tips).toHaveLength(1)
    expect(merged.nodes.map(({ standing }) => standing)).toEqual(['equal', 'equal'])
  })
})

describe('an avatar that one node has, and another does not know', () => {
  const slowly = (url: string, delay: () => number): typeof fetch => {
    return async (input, init) => {
      if (String(input).startsWith(url)) await sleep(delay(), undefined, { signal: init?.signal ?? undefined })
      return await fetch(input, init)
    }
  }

  it('is waited for: what says nothing of it speeds nothing up', async () => {
    const signer = privateKeySigner(newKey())
    await createClient({ nodes: [node.url('')] }).put({ signer, patch: { old: 1 } })
    const nodes = [node.url(''), other.url('')]
    const client = createClient({ nodes, fetch: slowly(node.url(''), () => 2_500) })
    expect(await client.getVerified(signer.avatar)).toMatchObject({ state: 'verified', head: 1 })
  })

  it('is not called empty where the one that has it does not answer, and not written below it once it does', async () => {
    const signer = privateKeySigner(newKey())
    const direct = createClient({ nodes: [node.url('')] })
    for (const n of [1, 2, 3]) await direct.put({ signer, patch: { n } })
    let isDown = true
    const delay = (): number => {
      if (isDown) throw new TypeError('fetch failed')
      return 0
    }
    const nodes = [node.url(''), other.url('')]
    const client = createClient({ nodes, fetch: slowly(node.url(''), delay) })
    expect(await client.getVerified(signer.avatar)).toMatchObject({ state: 'behind', head: 0 })
    isDown = false
    // It is left alone for now, but not by a write that is made of nothing.
    expect(await client.put({ signer, patch: { n: 4 } })).toMatchObject({ records: [{ counter: 4 }] })
    expect(await client.get(signer.avatar, 'nextid')).toEqual({ n: 4 })
  })

  it('is asked for at one that failed once it was left alone for a while, wherever the clock is set', async () => {
    const { avatar } = privateKeySigner(newKey())
    const since = vi.spyOn(performance, 'now')
    onTestFinished(() => void since.mockRestore())
    let clock = Date.now()
    let isDown = true
    const delay = (): number => {
      if (isDown) throw new TypeError('fetch failed')
      return 0
    }
    const nodes = [node.url(''), other.url('')]
    const client = createClient({ nodes, fetch: slowly(node.url(''), delay), now: () => clock })
    await client.getVerified(avatar)
    isDown = false
    clock -= 86_400_000
    since.mockReturnValue(performance.now() + 21_000)
    const { nodes: seen } = await client.getVerified(avatar)
    expect(seen.map(({ standing }) => standing)).toEqual(['unknown', 'unknown'])
  })

  it('is not written to where most nodes say nothing of it', async () => {
    const signer = privateKeySigner(newKey())
    const dead = ['http://127.0.0.1:1', 'http://127.0.0.1:2']
    const write = (nodes: readonly string[]) => createClient({ nodes }).put({ signer, patch: { n: 1 } })
    await expect(write([other.url(''), ...dead])).rejects.toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining('Too few nodes'),
    })
    expect(await write([other.url(''), dead[0] as string])).toMatchObject({ status: 'stored' })
  })
})

describe('a node that did not answer', () => {
  it('is left alone for a while, and asked again after it, whatever was read meanwhile', async () => {
    const signer = privateKeySigner(newKey())
    const proxy = await startProxy(() => node.url(''))
    const start = performance.now()
    let now = start
    let tick = 0
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now)
    onTestFinished(() => void clock.mockRestore())
    const slow: typeof fetch = async (input, init) => {
      now += tick
      return await fetch(input, init)
    }
    const client = createClient({ nodes: [node.url(''), proxy.url], fetch: slow })
    await client.put({ signer, patch: { n: 1 } })
    const standing = async (): Promise<unknown> => (await client.getVerified(signer.avatar)).nodes[1]
    proxy.tell(() => ({ status: 500, body: '{}' }))
    expect(await standing()).toMatchObject({ url: proxy.url, standing: 'failed' })
    proxy.tell(undefined)
    now = start + 19_999
    // The while ends as the other node is read.
    tick = 1
    expect(await standing()).toMatchObject({ url: proxy.url, standing: 'failed' })
    expect(proxy.seen).toEqual([])
    tick = 0
    expect(now).toBeGreaterThan(start + 20_000)
    expect(await standing()).toMatchObject({ url: proxy.url, standing: 'equal' })
    await proxy.close()
  })
})
