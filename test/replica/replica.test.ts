import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { privateKeySigner } from '../../src/client/signers.ts'
import { openReplica, type Replica, type ReplicaEvent, type ReplicaOptions } from '../../src/replica/index.ts'
import { newKey } from '../support/keys.ts'
import { startProxy, type Proxy } from '../client/proxy.ts'
import { startHttpNode, type HttpNode } from '../http/node.ts'
import { WAIT } from '../support/until.ts'

let node: HttpNode
/** In front of the node, so that it can go away and come back. */
let proxy: Proxy
beforeAll(async () => {
  node = await startHttpNode()
  proxy = await startProxy(() => node.url(''))
})
afterAll(async () => {
  await proxy.close()
  await node.close()
})

let folder: string
let open: Replica[]
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'avatar-kv-replica-'))
  open = []
})
afterEach(async () => {
  await Promise.all(open.map((replica) => replica.close()))
  await rm(folder, { recursive: true })
  proxy.tell(undefined)
})

async function openHere(options: Partial<ReplicaOptions> = {}): Promise<Replica> {
  const replica = await openReplica({ location: join(folder, 'data'), nodes: [proxy.url], ...options })
  open.push(replica)
  return replica
}

const offline = () => proxy.tell(() => ({ status: 503, body: '{"code":"down","message":"down"}' }))

function eventsOf(replica: Replica): ReplicaEvent[] {
  const events: ReplicaEvent[] = []
  replica.on((event) => events.push(event))
  return events
}

describe('reading', () => {
  it('shows what a node has, then what comes, and all of it again without any node', async () => {
    const signer = privateKeySigner(newKey())
    const client = createClient({ nodes: [node.url('')] })
    await client.put({ signer, patch: { n: 1 } })
    const replica = await openHere({ avatars: [signer.avatar] })
    await vi.waitFor(() => expect(replica.get(signer.avatar)).toEqual({ n: 1 }), WAIT)
    await vi.waitFor(() => expect(replica.info(signer.avatar).staleSince).toBeNull(), WAIT)
    await client.put({ signer, patch: { n: 2 } })
    await vi.waitFor(() => expect(replica.get(signer.avatar)).toEqual({ n: 2 }), WAIT)
    const verified = await client.getVerified(signer.avatar)
    await vi.waitFor(
      () => expect(replica.info(signer.avatar)).toMatchObject({ digest: verified.digest, waiting: 0 }),
      WAIT,
    )
    expect(replica.state(signer.avatar)).toMatchObject({ local: false, digest: verified.digest, records: 2 })
    await replica.close()

    const later = await openHere({ nodes: [] })
    expect(later.avatars()).toEqual([signer.avatar])
    expect(later.get(signer.avatar)).toEqual({ n: 2 })
    expect(later.get(signer.avatar.toUpperCase().replace('0X', ''))).toEqual({ n: 2 })
    expect(later.info(signer.avatar)).toMatchObject({ digest: verified.digest })
    expect(later.info(signer.avatar).staleSince).toBe(later.info(signer.avatar).verifiedAt)
  })

  it('fetches after a restart only what came since', async () => {
    const signer = privateKeySigner(newKey())
    const client = createClient({ nodes: [node.url('')] })
    for (const n of [1, 2, 3]) await client.put({ signer, patch: { n } })
    const first = await openHere({ avatars: [signer.avatar] })
    await vi.waitFor(() => expect(first.get(signer.avatar)).toEqual({ n: 3 }), WAIT)
    await vi.waitFor(() => expect(first.info(signer.avatar).verifiedAt).not.toBeNull(), WAIT)
    await first.close()
    await client.put({ signer, patch: { n: 4 } })
    const fetched: number[] = []
    const second = await openHere({
      fetch: async (input, init) => {
        const response = await fetch(input, init)
        if (String(input).includes('/records?')) {
          fetched.push(((await response.clone().json()) as { records: [] }).records.length)
        }
        return response
      },
    })
    await vi.waitFor(() => expect(second.get(signer.avatar)).toEqual({ n: 4 }), WAIT)
    expect(fetched[0]).toBe(1)
    expect(Math.max(...fetched)).toBe(1)
  })
})

describe('a node', () => {
  it('that goes away and comes back: how old things are is told, and what was missed comes', async () => {
    const signer = privateKeySigner(newKey())
    const client = createClient({ nodes: [node.url('')] })
    await client.put({ signer, patch: { n: 1 } })
    const replica = await openHere({ avatars: [signer.avatar] })
    await vi.waitFor(() => expect(replica.info(signer.avatar).staleSince).toBeNull(), WAIT)
    await vi.waitFor(() => expect(replica.get(signer.avatar)).toEqual({ n: 1 }), WAIT)
    offline()
    proxy.cut()
    await vi.waitFor(() => expect(replica.info(signer.avatar).staleSince).not.toBeNull(), WAIT)
    await client.put({ signer, patch: { n: 2 } })
    expect(replica.get(signer.avatar)).toEqual({ n: 1 })
    await expect(replica.sync()).rejects.toMatchObject({ name: 'ClientError' })
    proxy.tell(undefined)
    await vi.waitFor(() => expect(replica.get(signer.avatar)).toEqual({ n: 2 }), WAIT)
    await vi.waitFor(() => expect(replica.info(signer.avatar).staleSince).toBeNull(), WAIT)
  })

  it('that changes what was signed: nothing of it is shown or kept', async () => {
    const signer = privateKeySigner(newKey())
    await createClient({ nodes: [node.url('')] }).put({ signer, patch: { n: 'true' } })
    proxy.tell(async ({ path }, honest) => {
      if (!path.endsWith('/records')) return undefined
      return { body: (await honest()).body.replace('true', 'lied') }
    })
    const replica = await openHere({ avatars: [signer.avatar] })
    await replica.sync().catch(() => undefined)
    expect(replica.get(signer.avatar)).toBeUndefined()
    expect(replica.state(signer.avatar).records).toBe(0)
    expect(replica.info(signer.avatar).verifiedAt).toBeNull()
    proxy.tell(undefined)
    await replica.sync()
    expect(replica.get(signer.avatar)).toEqual({ n: 'true' })
  })

  it('is followed by no more streams than allowed; further avatars are asked for', async () => {
    const signers = [newKey(), newKey(), newKey()].map((key) => privateKeySigner(key))
    const client = createClient({ nodes: [node.url('')] })
    for (const signer of signers) await client.put({ signer, patch: { n: 1 } })
    const replica = await openHere({ avatars: signers.map(({ avatar }) => avatar), maxStreams: 1 })
    for (const { avatar } of signers) {
      await vi.waitFor(() => expect(replica.get(avatar)).toEqual({ n: 1 }), WAIT)
      await vi.waitFor(() => expect(replica.info(avatar).staleSince).toBeNull(), WAIT)
    }
    expect(proxy.seen.filter(({ path }) => path === '/v2/events')).toHaveLength(1)
    for (const signer of signers) await client.put({ signer, patch: { n: 2 } })
    await replica.sync()
    expect(signers.map(({ avatar }) => replica.get(avatar))).toEqual([{ n: 2 }, { n: 2 }, { n: 2 }])
    await replica.unfollow(signers[1]!.avatar)
    expect(replica.avatars()).toHaveLength(2)
    expect(replica.get(signers[1]!.avatar)).toBeUndefined()
  })
})

describe('writing', () => {
  it('offline it is shown at once as local, chained, kept over a restart, and sent once a node is there', async () => {
    const signer = privateKeySigner(newKey())
    await createClient({ nodes: [node.url('')] }).put({ signer, patch: { n: 0 } })
    const before = await openHere({ avatars: [signer.avatar] })
    await vi.waitFor(() => expect(before.get(signer.avatar)).toEqual({ n: 0 }), WAIT)
    offline()
    const write = await before.put({ signer, patch: { n: 1 } })
    expect(write).toMatchObject({ status: 'waiting', local: true })
    await before.change({ signer, change: (content) => ({ ...content, m: 2 }) })
    expect(before.get(signer.avatar)).toEqual({ n: 1, m: 2 })
    expect(before.state(signer.avatar)).toMatchObject({ local: true, namespaces: [{ local: true }] })
    expect(before.info(signer.avatar).waiting).toBe(2)
    await before.close()

    const after = await openHere()
    const events = eventsOf(after)
    expect(after.get(signer.avatar)).toEqual({ n: 1, m: 2 })
    expect(after.waiting().map(({ patch }) => patch)).toEqual([{ n: 1 }, { m: 2 }])
    proxy.tell(undefined)
    await after.sync()
    expect(after.waiting()).toEqual([])
    expect(after.state(signer.avatar)).toMatchObject({ local: false, namespaces: [{ local: false }] })
    expect(events.filter(({ type }) => type === 'sent')).toHaveLength(2)
    const verified = await createClient({ nodes: [node.url('')] }).getVerified(signer.avatar)
    expect(verified).toMatchObject({ records: 3, head: 3, digest: after.info(signer.avatar).digest })
    expect(verified.tips).toHaveLength(1)
  })

  it('is sent by itself while a node is there', async () => {
    const signer = privateKeySigner(newKey())
    const replica = await openHere({ avatars: [signer.avatar] })
    await replica.put({ signer, patch: { a: 1 } })
    await vi.waitFor(() => expect(replica.info(signer.avatar).waiting).toBe(0), WAIT)
    const verified = await createClient({ nodes: [node.url('')] }).getVerified(signer.avatar)
    expect(verified.namespaces[0]?.content).toEqual({ a: 1 })
  })
})
