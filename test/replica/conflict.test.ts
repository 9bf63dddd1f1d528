import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { privateKeySigner, type Signer } from '../../src/client/signers.ts'
import { buildSnapshot } from '../../src/record/build.ts'
import { signRecord } from '../../src/record/sign.ts'
import { decodeWrite, encodeWrite } from '../../src/replica/rows.ts'
import type { Replica } from '../../src/replica/types.ts'
import { newKey } from '../support/keys.ts'
import { startProxy, type Proxy } from '../client/proxy.ts'
import { startHttpNode, type HttpNode } from '../http/node.ts'
import { Writer } from '../store/writer.ts'
import { give, replicaHarness, ROWS, type ReplicaHarness } from './harness.ts'
import { WAIT } from '../support/until.ts'

let node: HttpNode
let proxy: Proxy
beforeAll(async () => {
  node = await startHttpNode()
  proxy = await startProxy(() => node.url(''))
})
afterAll(async () => {
  await proxy.close()
  await node.close()
})

let harness: ReplicaHarness
beforeEach(() => void (harness = replicaHarness()))
afterEach(async () => {
  proxy.tell(undefined)
  await harness.close()
})

/** Stands for everything by a snapshot far ahead, as another device would. */
async function supersede(key: Uint8Array, content: Record<string, number>): Promise<void> {
  const { avatar } = privateKeySigner(key)
  const { tips } = await createClient({ nodes: [node.url('')] }).getVerified(avatar)
  const far = { counter: (tips.at(-1)?.counter ?? 0) + 100, id: `0x${'ab'.repeat(32)}` as const }
  const snapshot = buildSnapshot({
    avatar,
    network: 'main',
    createdAt: Math.floor(Date.now() / 1000),
    uuid: '00000000-0000-4000-8000-000000000001',
    prev: [...tips, far],
    state: [{ platform: 'nextid', identity: avatar, content }],
    parts: [],
  })
  const { payload, signature } = signRecord(snapshot, key)
  const record = { payload: Buffer.from(payload).toString(), signature: `0x${Buffer.from(signature).toString('hex')}` }
  const answer = await node.json('/v2/records', { method: 'POST', body: JSON.stringify({ records: [record] }) })
  expect(answer.body.results).toMatchObject([{ status: 'stored' }])
}

/** A signer that would ask a person. */
function walletOf(key: Uint8Array): Signer {
  const { avatar, sign } = privateKeySigner(key)
  return { avatar, sign }
}

const told = (type: string) => harness.events.filter((event) => event.type === type)

async function writtenOffline(key: Uint8Array, signer: Signer): Promise<void> {
  await createClient({ nodes: [node.url('')] }).put({ signer: privateKeySigner(key), patch: { n: 0 } })
  let replica = await harness.open({ avatars: [signer.avatar], nodes: [proxy.url] })
  await vi.waitFor(() => expect(replica.get(signer.avatar)).toEqual({ n: 0 }), WAIT)
  await vi.waitFor(() => expect(told('change')).not.toEqual([]), WAIT)
  replica = await harness.open()
  for (const n of [1, 2]) await replica.put({ signer, patch: { n, [`own${n}`]: n } })
  await supersede(key, { n: 50, other: 1 })
}

describe('a snapshot took the place of what was written offline', () => {
  it('those who sign without asking sign it anew, in order', async () => {
    const key = newKey()
    const signer = privateKeySigner(key)
    await writtenOffline(key, signer)
    const replica = await harness.open({ nodes: [proxy.url], signers: [signer] })
    await replica.sync()
    expect(replica.waiting()).toEqual([])
    expect(replica.get(signer.avatar)).toEqual({ n: 2, other: 1, own1: 1, own2: 2 })
    expect(told('rebased')).toHaveLength(2)
    const verified = await createClient({ nodes: [node.url('')] }).getVerified(signer.avatar)
    expect(verified).toMatchObject({ records: 3, digest: replica.info(signer.avatar).digest })
    expect(verified.namespaces[0]?.content).toEqual(replica.get(signer.avatar))
  })

  it('without a signer it is kept as a conflict, over restarts, until it is signed anew or given up', async () => {
    const key = newKey()
    const wallet = walletOf(key)
    await writtenOffline(key, wallet)
    let replica: Replica = await harness.open({ nodes: [proxy.url] })
    await replica.sync()
    expect(replica.get(wallet.avatar)).toEqual({ n: 50, other: 1 })
    expect(told('conflict')).toHaveLength(2)
    expect(replica.info(wallet.avatar)).toMatchObject({ waiting: 0, stuck: 2 })
    await expect(replica.unfollow(wallet.avatar)).rejects.toMatchObject({ name: 'ReplicaError', code: 'unsent' })

    replica = await harness.open({ nodes: [proxy.url] })
    const stuck = replica.waiting(wallet.avatar)
    expect(stuck.map(({ state, patch }) => [state, patch])).toEqual([
      ['conflict', { n: 1, own1: 1 }],
      ['conflict', { n: 2, own2: 2 }],
    ])
    expect(stuck[0]?.reason).toMatch(/snapshot.*retry/i)
    await replica.discard(wallet.avatar, stuck[0]!.id)
    await expect(replica.discard(wallet.avatar, stuck[0]!.id)).rejects.toMatchObject({ code: 'usage' })
    const [again] = await replica.retry(wallet)
    expect(again).toMatchObject({ status: 'waiting', local: true })
    expect(replica.get(wallet.avatar)).toEqual({ n: 2, other: 1, own2: 2 })
    await replica.sync()
    expect(replica.waiting()).toEqual([])
    expect((await createClient({ nodes: [node.url('')] }).getVerified(wallet.avatar)).namespaces[0]?.content).toEqual({
      n: 2,
      other: 1,
      own2: 2,
    })
  })
})

describe('a node that does not take a write', () => {
  async function written(): Promise<{ replica: Replica; signer: Signer }> {
    const signer = privateKeySigner(newKey())
    const replica = await harness.open({ avatars: [signer.avatar], nodes: [proxy.url] })
    for (const n of [1, 2, 3]) await replica.put({ signer, patch: { [`n${n}`]: n } })
    return { replica, signer }
  }
  const answer = (results: readonly unknown[]) => ({ body: JSON.stringify({ results }) })
  const isSubmit = ({ method, path }: { method: string; path: string }): boolean =>
    method === 'POST' && path === '/v2/records'

  it('for now: it stays, is told of, and is sent later', async () => {
    proxy.tell((request) =>
      isSubmit(request)
        ? answer([
            { id: null, status: 'refused', code: 'too_many_pending', message: 'later', retry: true },
            ...[2, 3].map(() => ({ id: null, status: 'refused', retry: true })),
          ])
        : undefined,
    )
    const { replica, signer } = await written()
    await expect(replica.sync()).rejects.toMatchObject({ name: 'ClientError', code: 'refused' })
    expect(replica.waiting()).toHaveLength(3)
    await vi.waitFor(() => expect(told('refused')).not.toEqual([]), WAIT)
    proxy.tell(undefined)
    // By itself, after a second or so.
    await vi.waitFor(() => expect(replica.waiting()).toEqual([]), WAIT)
    expect(replica.get(signer.avatar)).toEqual({ n1: 1, n2: 2, n3: 3 })
  })

  it('that calls it superseded without a snapshot: is not believed', async () => {
    proxy.tell((request) =>
      isSubmit(request) ? answer([1, 2, 3].map(() => ({ id: null, status: 'superseded' }))) : undefined,
    )
    const { replica } = await written()
    await expect(replica.sync()).rejects.toMatchObject({ code: 'refused' })
    expect(told('rebased')).toEqual([])
    expect(replica.waiting().map(({ state }) => state)).toEqual(['waiting', 'waiting', 'waiting'])
  })

  it('as invalid: it is kept for people to see, and what was built on it goes on', async () => {
    const signer = privateKeySigner(newKey())
    let replica = await harness.open({ avatars: [signer.avatar] })
    for (const n of [1, 2, 3]) await replica.put({ signer, patch: { [`n${n}`]: n } })
    let lies = 1
    proxy.tell((request) => {
      // One of an earlier test may still be under way.
      const isOwn = proxy.seen.some(({ url }) => url.includes(signer.avatar))
      if (!isSubmit(request) || !isOwn || lies-- <= 0) return undefined
      return answer(['invalid', 'refused', 'refused'].map((status) => ({ id: null, status, code: 'x' })))
    })
    replica = await harness.open({ nodes: [proxy.url], signers: [signer] })
    await vi.waitFor(() => expect(told('rejected')).toHaveLength(1), WAIT)
    await vi.waitFor(() => expect(replica.info(signer.avatar)).toMatchObject({ waiting: 0, stuck: 1 }), WAIT)
    expect(replica.get(signer.avatar)).toEqual({ n2: 2, n3: 3 })
    const [rejected] = replica.waiting()
    expect(rejected).toMatchObject({ state: 'rejected', patch: { n1: 1 }, reason: expect.stringContaining('x') })
    await replica.discard(signer.avatar, rejected!.id)
    expect(replica.waiting()).toEqual([])
  })

  it('as invalid, without a signer: what was built on it says so, and a tab that has the signer signs it anew', async () => {
    const signer = privateKeySigner(newKey())
    let replica = await harness.open({ avatars: [signer.avatar] })
    for (const n of [1, 2, 3]) await replica.put({ signer, patch: { [`n${n}`]: n } })
    let lies = 1
    proxy.tell((request) => {
      const isOwn = proxy.seen.some(({ url }) => url.includes(signer.avatar))
      if (!isSubmit(request) || !isOwn || lies-- <= 0) return undefined
      return answer(['invalid', 'refused', 'refused'].map((status) => ({ id: null, status, code: 'x' })))
    })
    replica = await harness.open({ nodes: [proxy.url] })
    await vi.waitFor(() => expect(told('conflict')).toHaveLength(2), WAIT)
    expect(replica.waiting().map(({ state, reason }) => [state, reason])).toEqual([
      ['rejected', expect.stringContaining('x')],
      ...[2, 3].map(() => ['conflict', expect.stringContaining('builds on was rejected')]),
    ])
    replica = await harness.open({ nodes: [proxy.url], signers: [signer] })
    await vi.waitFor(() => expect(replica.info(signer.avatar)).toMatchObject({ waiting: 0, stuck: 1 }), WAIT)
    expect(replica.get(signer.avatar)).toEqual({ n2: 2, n3: 3 })
  })

  it('because a proxy takes fewer bytes at once: the writes are sent in smaller requests', async () => {
    const signer = privateKeySigner(newKey())
    let replica = await harness.open({ avatars: [signer.avatar] })
    for (const n of [1, 2, 3]) await replica.put({ signer, patch: { [`n${n}`]: 'x'.repeat(2_000) } })
    proxy.tell((request) => (isSubmit(request) && request.bytes > 4_000 ? { status: 413 } : undefined))
    replica = await harness.open({ nodes: [proxy.url] })
    await vi.waitFor(() => expect(replica.info(signer.avatar)).toMatchObject({ waiting: 0, stuck: 0 }), WAIT)
    expect(told('refused')).toEqual([])
    expect(replica.get(signer.avatar)).toMatchObject({ n1: expect.any(String), n3: expect.any(String) })
  })

  it('because it alone is too large for a proxy: it is rejected, and the other writes are sent', async () => {
    const signer = privateKeySigner(newKey())
    let replica = await harness.open({ avatars: [signer.avatar] })
    for (const n of [1, 2, 3]) await replica.put({ signer, patch: { [`n${n}`]: 'x'.repeat(n === 2 ? 9_000 : 1) } })
    proxy.tell((request) => (isSubmit(request) && request.bytes > 8_000 ? { status: 413 } : undefined))
    replica = await harness.open({ nodes: [proxy.url], signers: [signer] })
    await vi.waitFor(() => expect(replica.info(signer.avatar)).toMatchObject({ waiting: 0, stuck: 1 }), WAIT)
    expect(replica.waiting()).toMatchObject([{ state: 'rejected', reason: expect.stringContaining('413') }])
    const stored = await createClient({ nodes: [node.url('')] }).get(signer.avatar, 'nextid')
    expect(stored).toEqual({ n1: 'x', n3: 'x' })
    // The third write was not sent as it was first signed: a node would store it without effect, and it would come back as confirmed.
    expect(await createClient({ nodes: [node.url('')] }).get(signer.avatar)).toMatchObject({ pending: 0 })
  })

  describe('and has stored the writes that build on it, without effect', () => {
    /** Three writes, of which the node has the last two. Nothing can be sent for now. */
    async function secondAndThirdThere(signer: Signer): Promise<Replica> {
      let replica = await harness.open({ avatars: [signer.avatar], nodes: [proxy.url] })
      await replica.sync()
      replica = await harness.open()
      for (const n of [1, 2, 3]) await replica.put({ signer, patch: { [`n${n}`]: n } })
      const records = replica.waiting().map(({ payload, signature }) => ({ payload, signature }))
      const body = JSON.stringify({ records: records.slice(1) })
      expect((await node.json('/v2/records', { method: 'POST', body })).body.results).toMatchObject([
        { status: 'pending' },
        { status: 'pending' },
      ])
      proxy.tell((request) => (isSubmit(request) ? { status: 503 } : undefined))
      replica = await harness.open({ nodes: [proxy.url], signers: [signer] })
      // It reads the node, and then fails to send.
      await expect(replica.sync()).rejects.toMatchObject({ code: 'refused' })
      expect(replica.state(signer.avatar)).toMatchObject({ pending: 0, records: 3 })
      return replica
    }

    it('they stay in the queue, and are signed again if no node accepts it', async () => {
      const signer = privateKeySigner(newKey())
      const replica = await secondAndThirdThere(signer)
      expect(replica.waiting().map(({ patch }) => patch)).toEqual([{ n1: 1 }, { n2: 2 }, { n3: 3 }])
      expect(told('sent')).toEqual([])
      let lies = 1
      proxy.tell((request) =>
        isSubmit(request) && lies-- > 0
          ? answer(['invalid', 'pending', 'pending'].map((status) => ({ id: null, status })))
          : undefined,
      )
      await replica.sync()
      expect(replica.waiting()).toMatchObject([{ state: 'rejected', patch: { n1: 1 } }])
      expect(replica.get(signer.avatar)).toEqual({ n2: 2, n3: 3 })
      const stored = await createClient({ nodes: [node.url('')] }).get(signer.avatar, 'nextid')
      expect(stored).toEqual({ n2: 2, n3: 3 })
    })

    it('they leave the queue, in order and over a restart, once a node has all that they build on', async () => {
      const signer = privateKeySigner(newKey())
      const before = (await secondAndThirdThere(signer)).waiting()
      proxy.tell(undefined)
      const replica = await harness.open({ nodes: [proxy.url] })
      await replica.sync()
      expect(replica.waiting()).toEqual([])
      expect(told('sent')).toMatchObject(before.map(({ id }) => ({ id })))
      expect(told('rebased')).toEqual([])
      const { digest } = await createClient({ nodes: [node.url('')] }).getVerified(signer.avatar)
      expect(replica.info(signer.avatar).digest).toBe(digest)
      const again = await harness.open()
      expect(again.get(signer.avatar)).toEqual({ n1: 1, n2: 2, n3: 3 })
      expect(again.info(signer.avatar)).toMatchObject({ digest, waiting: 0 })
    })
  })

  it('as version 0.1 stored it, for want of a signer: a tab that has the signer signs it again', async () => {
    const signer = privateKeySigner(newKey())
    const replica = await harness.open({ avatars: [signer.avatar] })
    await replica.put({ signer, patch: { n: 1 } })
    await harness.tamper(async (db) => {
      const [found] = await db.iterator<string, Uint8Array>({ ...ROWS, gt: 'q/', lt: 'q0' }).all()
      const [key, row] = found!
      const write = decodeWrite(key, row)!
      const reason =
        'A snapshot took the place of what this write was built on. It is kept, and counts once it is signed anew: retry(signer).'
      await db.put<string, Uint8Array>(key, encodeWrite(key, write, { ...write.note, state: 'conflict', reason }), ROWS)
    })
    const later = await harness.open()
    expect(later.info(signer.avatar)).toMatchObject({ waiting: 0, stuck: 1 })
    const adopting = await harness.open({ nodes: [proxy.url], signers: [signer] })
    await vi.waitFor(() => expect(told('rebased')).toHaveLength(1), WAIT)
    await vi.waitFor(() => expect(adopting.info(signer.avatar)).toMatchObject({ waiting: 0, stuck: 0 }), WAIT)
    expect(adopting.get(signer.avatar)).toEqual({ n: 1 })
  })

  describe('for it bears a time ahead of all clocks', () => {
    const DAYS_MS = 3 * 86_400_000
    /** One write while the clock is three days ahead, and one after it was put right. */
    async function writtenAhead(signer: Signer): Promise<void> {
      let aheadMs = DAYS_MS
      const replica = await harness.open({ avatars: [signer.avatar], now: () => Date.now() + aheadMs })
      await replica.put({ signer, patch: { n: 1, a: 1 } })
      aheadMs = 0
      await replica.put({ signer, patch: { n: 2, b: 2 } })
    }

    it('those who sign without asking sign it, and what was built on it, anew', async () => {
      const signer = privateKeySigner(newKey())
      await writtenAhead(signer)
      const replica = await harness.open({ nodes: [proxy.url], signers: [signer] })
      await replica.sync()
      expect(replica.waiting()).toEqual([])
      expect(told('rebased')).toHaveLength(2)
      expect(replica.get(signer.avatar)).toEqual({ n: 2, a: 1, b: 2 })
      expect(await createClient({ nodes: [node.url('')] }).getVerified(signer.avatar)).toMatchObject({ records: 2 })
    })

    it('without a signer it is a conflict that says so, and can be signed anew or given up', async () => {
      const wallet = walletOf(newKey())
      await writtenAhead(wallet)
      const replica = await harness.open({ nodes: [proxy.url] })
      await replica.sync()
      const [first, second] = replica.waiting()
      expect([first, second]).toMatchObject(
        [1, 2].map(() => ({ state: 'conflict', reason: expect.stringMatching(/clock was far ahead.*retry/) })),
      )
      await replica.discard(wallet.avatar, first!.id)
      await replica.retry(wallet)
      await replica.sync()
      expect(replica.waiting()).toEqual([])
      expect(replica.get(wallet.avatar)).toEqual({ n: 2, b: 2 })
    })

    it('while the clock here is ahead as well: it waits', async () => {
      const signer = privateKeySigner(newKey())
      const now = (): number => Date.now() + DAYS_MS
      const replica = await harness.open({ avatars: [signer.avatar], nodes: [proxy.url], now })
      await replica.put({ signer, patch: { n: 1 } })
      await expect(replica.sync()).rejects.toMatchObject({ code: 'refused' })
      expect(replica.waiting()).toMatchObject([{ state: 'waiting' }])
      expect(told('rebased')).toEqual([])
    })

    it('while it is not ahead of the clock here: one node’s clock is not believed', async () => {
      const signer = privateKeySigner(newKey())
      proxy.tell((request) =>
        isSubmit(request)
          ? answer([{ id: null, status: 'refused', code: 'created_at_ahead', retry: true }])
          : undefined,
      )
      const replica = await harness.open({ avatars: [signer.avatar], nodes: [proxy.url, node.url('')] })
      await replica.put({ signer, patch: { n: 1 } })
      await replica.sync()
      expect(replica.waiting()).toEqual([])
      expect(told('rebased')).toEqual([])
    })
  })

  it('and two nodes, one of which is down: the other takes it', async () => {
    proxy.tell(() => ({ status: 503, body: '{"code":"down","message":"down"}' }))
    const signer = privateKeySigner(newKey())
    const replica = await harness.open({ avatars: [signer.avatar], nodes: [proxy.url, node.url('')] })
    await replica.put({ signer, patch: { a: 1 } })
    await vi.waitFor(() => expect(replica.waiting()).toEqual([]), WAIT)
    expect(told('sent')).toMatchObject([{ node: node.url('') }])
  })
})

it('what is written before anything was known of the avatar comes after what is there', async () => {
  const key = newKey()
  const signer = privateKeySigner(key)
  const client = createClient({ nodes: [node.url('')] })
  for (const n of [1, 2, 3]) await client.put({ signer, patch: { n, [`k${n}`]: n } })
  let replica = await harness.open({ avatars: [signer.avatar] })
  await replica.put({ signer, patch: { n: 10 } })
  await replica.put({ signer, patch: { m: 11 } })
  replica = await harness.open({ nodes: [proxy.url], signers: [signer] })
  await replica.sync()
  expect(replica.waiting()).toEqual([])
  expect(replica.get(signer.avatar)).toEqual({ n: 10, m: 11, k1: 1, k2: 2, k3: 3 })
  const verified = await client.getVerified(signer.avatar)
  expect(verified).toMatchObject({ records: 5, head: 5, digest: replica.info(signer.avatar).digest })
  expect(verified.tips).toHaveLength(1)
})

it('what a wallet signed before anything was known of the avatar waits to be signed again, and hides nothing', async () => {
  const key = newKey()
  const wallet = walletOf(key)
  const client = createClient({ nodes: [node.url('')] })
  await client.put({ signer: privateKeySigner(key), patch: { n: 1 } })
  let replica = await harness.open({ avatars: [wallet.avatar] })
  await replica.put({ signer: wallet, patch: { n: 10 } })
  expect(replica.get(wallet.avatar)).toEqual({ n: 10 })
  replica = await harness.open({ nodes: [proxy.url] })
  await replica.sync()
  expect(replica.get(wallet.avatar)).toEqual({ n: 1 })
  expect(replica.waiting()).toMatchObject([{ state: 'conflict', patch: { n: 10 } }])
  await replica.retry(wallet)
  await replica.sync()
  expect(replica.get(wallet.avatar)).toEqual({ n: 10 })
  expect((await client.getVerified(wallet.avatar)).records).toBe(2)
})

it('what is built on records that a node lacks is healed there from the replica', async () => {
  const key = newKey()
  const signer = privateKeySigner(key)
  const elsewhere = await startHttpNode()
  try {
    await createClient({ nodes: [elsewhere.url('')] }).put({ signer, patch: { first: 1 } })
    let replica = await harness.open({ avatars: [signer.avatar], nodes: [elsewhere.url('')] })
    await vi.waitFor(() => expect(told('change')).not.toEqual([]), WAIT)
    replica = await harness.open({ nodes: [node.url('')] })
    await replica.put({ signer, patch: { second: 2 } })
    await vi.waitFor(() => expect(replica.waiting()).toEqual([]), WAIT)
    const answer = await createClient({ nodes: [node.url('')] }).getVerified(signer.avatar)
    expect(answer).toMatchObject({ state: 'verified', pending: 0, records: 2 })
    expect(answer.namespaces[0]?.content).toEqual({ first: 1, second: 2 })
  } finally {
    await elsewhere.close()
  }
})

it('a node that has nothing of a long history is given all of it, in few requests', async () => {
  const writer = new Writer(77)
  const chain = writer.chain(230)
  const base = writer.snapshot(chain.slice(-1))
  const later = writer.chain(220, [base])
  const signer = privateKeySigner(writer.key.secretKey)
  await give(await harness.open(), [...chain, base, ...later])
  const empty = await startHttpNode()
  const proxy = await startProxy(() => empty.url(''))
  try {
    const replica = await harness.open({ nodes: [proxy.url] })
    await replica.put({ signer, patch: { newest: 1 } })
    await replica.sync()
    const { body } = await empty.json(`/v2/avatars/${writer.avatar}`)
    expect(body).toMatchObject({
      head: 452,
      pending: 0,
      missing: { total: 0 },
      digest: replica.info(writer.avatar).digest,
    })
    // The write, those that it builds on nearby, and all others.
    expect(proxy.seen.filter(({ method }) => method === 'POST').length).toBeLessThanOrEqual(3)
  } finally {
    await proxy.close()
    await empty.close()
  }
})
