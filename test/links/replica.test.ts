import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { privateKeySigner, type Signer } from '../../src/client/signers.ts'
import { connect, LINKS_KEY, memoryKeyStore, unlink } from '../../src/links/index.ts'
import { openReplica } from '../../src/replica/index.ts'
import { startHttpNode, type HttpNode } from '../http/node.ts'
import { newKey } from '../support/keys.ts'
import { WAIT } from '../support/until.ts'

const KEY = 'com.example.todo'
const LABEL = 'To-do, on the phone'

let node: HttpNode
let folder: string
beforeAll(async () => {
  node = await startHttpNode()
  folder = await mkdtemp(join(tmpdir(), 'avatar-kv-linked-replica-'))
})
afterAll(async () => {
  await node.close()
  await rm(folder, { recursive: true })
})

/** A device whose network can be cut. */
async function device(name: string) {
  const network = { isUp: true }
  const replica = await openReplica({
    location: join(folder, name),
    nodes: [node.url('')],
    fetch: async (input, init) => {
      if (!network.isUp) throw new TypeError('fetch failed')
      return await fetch(input, init)
    },
  })
  onTestFinished(() => replica.close())
  return { replica, network }
}

function ownerAtWallet() {
  const { avatar, sign } = privateKeySigner(newKey())
  const asked = { times: 0 }
  const owner: Signer = { avatar, sign: async (text) => (asked.times++, await sign(text)) }
  return { owner, asked }
}

describe('an app in a replica', () => {
  it('connects once, writes offline without a prompt, and nodes show it once they can be reached', async () => {
    const { replica, network } = await device('writer')
    const client = createClient({ nodes: [node.url('')] })
    const { owner, asked } = ownerAtWallet()
    await client.put({ signer: owner, patch: { name: 'Ada', [KEY]: { old: 1 } } })
    asked.times = 0
    const keyStore = memoryKeyStore()
    const app = await connect(replica, { owner, key: KEY, label: LABEL, keyStore })
    expect(asked.times).toBe(1)
    await replica.sync()

    network.isUp = false
    await app.put({ milk: { done: false } })
    await app.change((before) => ({ ...(before as object), bread: 1 }))
    await app.batch([{ milk: { done: true } }, { old: null }])
    const value = { milk: { done: true }, bread: 1 }
    expect(await app.get()).toEqual(value)
    // Reads are linked by default, at once.
    expect(replica.get(owner.avatar)).toMatchObject({ name: 'Ada', [KEY]: value })
    expect(replica.get(owner.avatar)).toBe(replica.get(owner.avatar))
    expect(replica.get(owner.avatar, 'nextid', undefined, { linked: false })).not.toHaveProperty([KEY])
    expect(Object.isFrozen(replica.get(owner.avatar))).toBe(true)
    expect(replica.state(owner.avatar).links).toMatchObject([{ key: KEY, avatar: app.avatar, followed: true }])
    const again = await connect(replica, { owner: owner.avatar, key: KEY, label: LABEL, keyStore })
    expect(again.asked).toBe(false)

    network.isUp = true
    await replica.sync()
    await vi.waitFor(async () => {
      const shown = await createClient({ nodes: [node.url('')] }).getVerified(owner.avatar)
      expect(shown.namespaces[0]?.content).toMatchObject({ name: 'Ada', [KEY]: value })
      expect(replica.state(owner.avatar).linkedDigest).toBe(shown.linkedDigest)
    }, WAIT)
    expect(asked.times).toBe(1)
  })

  it('does not connect to an owner of whom nothing is known, and says when it can', async () => {
    const { replica, network } = await device('unknown')
    const { owner, asked } = ownerAtWallet()
    network.isUp = false
    const options = { owner, key: KEY, label: LABEL, keyStore: memoryKeyStore() }
    await expect(connect(replica, options)).rejects.toMatchObject({ code: 'unreachable' })
    expect(asked.times).toBe(0)
    network.isUp = true
    await vi.waitFor(async () => expect((await connect(replica, options)).asked).toBe(true), WAIT)
  })

  it('stops once the removal of the link arrives, and the owner keeps the value', async () => {
    const { replica } = await device('removed')
    const { owner } = ownerAtWallet()
    let time = Date.now()
    const app = await connect(replica, {
      ...{ owner, key: KEY, label: LABEL, keyStore: memoryKeyStore(), now: () => time },
    })
    await app.put({ a: 1 })
    await replica.sync()
    await unlink(createClient({ nodes: [node.url('')] }), { signer: owner, key: KEY, keep: true })
    await replica.sync()
    time += 60_000
    await vi.waitFor(() => expect(replica.state(owner.avatar).links).toEqual([]), WAIT)
    await expect(app.put({ a: 2 })).rejects.toMatchObject({ code: 'not_linked' })
    await expect(app.get()).rejects.toMatchObject({ code: 'not_linked' })
    expect(replica.get(owner.avatar)).toEqual({ [KEY]: { a: 1 }, [LINKS_KEY]: {} })
    // The replica refuses what would not show, as the client does.
    const signer = privateKeySigner(newKey())
    await replica.follow(signer.avatar)
    await replica.put({ signer, patch: { [LINKS_KEY]: { k: { avatar: owner.avatar } } } })
    await expect(replica.put({ signer, patch: { k: 1 } })).rejects.toMatchObject({ code: 'linked' })
  })

  it('shows links to avatars that are not followed as not there, and says so', async () => {
    const { replica } = await device('unfollowed')
    const signer = privateKeySigner(newKey())
    await replica.follow(signer.avatar)
    await replica.put({ signer, patch: { k: 'own', rest: 1 } })
    // No point of the curve: still a link.
    const nobody = `0x02${'ff'.repeat(32)}`
    await replica.put({ signer, patch: { [LINKS_KEY]: { k: { avatar: nobody } } } })
    expect(replica.get(signer.avatar)).toEqual({ rest: 1, [LINKS_KEY]: { k: { avatar: nobody } } })
    expect(replica.state(signer.avatar).links).toMatchObject([{ avatar: nobody, followed: false, digest: null }])
  })
})
