import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { privateKeySigner, type Signer } from '../../src/client/signers.ts'
import { connect, fileKeyStore, link, links, LINKS_KEY, memoryKeyStore, unlink } from '../../src/links/index.ts'
import { post, startHttpNode, type HttpNode } from '../http/node.ts'
import { newKey } from '../support/keys.ts'

const KEY = 'com.example.todo'
const LABEL = 'To-do, on the phone'

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

/** An owner at a wallet, who is asked each time. */
function ownerAtWallet() {
  const { avatar, sign } = privateKeySigner(newKey())
  const prompts: string[] = []
  const owner: Signer = {
    avatar,
    sign: async (text) => {
      prompts.push(text)
      return await sign(text)
    },
  }
  return { owner, prompts }
}

const clientOf = (...nodes: HttpNode[]) => createClient({ nodes: nodes.map((each) => each.url('')) })
const content = (shown: { namespaces: readonly { content: object }[] }) => shown.namespaces[0]?.content

describe('an app that connects', () => {
  it('asks the owner once for 1,000 writes, and what it writes is read by all as the data of the owner', async () => {
    const client = clientOf(node)
    const { owner, prompts } = ownerAtWallet()
    await client.put({ signer: owner, patch: { name: 'Ada', [KEY]: { old: 'mine' } } })
    prompts.length = 0
    const app = await connect(client, { owner, key: KEY, label: LABEL, keyStore: memoryKeyStore() })
    expect(app).toMatchObject({ owner: owner.avatar, key: KEY, asked: true })
    expect(await app.get()).toEqual({ old: 'mine' })
    await app.put({ first: { done: false } })
    await app.change((before) => ({ ...(before as object), second: 2 }))
    await app.batch(Array.from({ length: 998 }, (_, n) => ({ counted: n })))
    expect(prompts).toHaveLength(1)

    const reader = clientOf(node)
    const shown = await reader.getVerified(owner.avatar)
    const value = { old: 'mine', first: { done: false }, second: 2, counted: 997 }
    expect(content(shown)).toMatchObject({ name: 'Ada', [KEY]: value })
    expect(shown.state).toBe('verified')
    expect(shown.links).toMatchObject([{ key: KEY, avatar: app.avatar, label: LABEL, state: 'verified' }])
    expect([...shown.writers]).toEqual([
      ['name', owner.avatar],
      [LINKS_KEY, owner.avatar],
      [KEY, app.avatar],
    ])
    const document = await reader.get(owner.avatar)
    expect(content(document!)).toEqual(content(shown))
    expect(document?.linked_digest).toBe(shown.linkedDigest)
    const own = await reader.getVerified(owner.avatar, { linked: false })
    expect(content(own)).not.toHaveProperty([KEY])
    expect(own.digest).toBe(shown.digest)
    expect(await links(reader, owner.avatar)).toEqual(shown.links)
    // Who set it: a record of the app.
    const set = await reader.provenance(owner.avatar, 'nextid', owner.avatar, `/${KEY}/second`)
    expect(set).toMatchObject({ kind: 'set', avatar: app.avatar })
  })

  it('asks nobody the second time, and needs no signer then', async () => {
    const client = clientOf(node)
    const { owner, prompts } = ownerAtWallet()
    const keyStore = memoryKeyStore()
    const first = await connect(client, { owner, key: KEY, label: LABEL, keyStore })
    await first.put({ a: 1 })
    const again = await connect(clientOf(node), { owner: owner.avatar, key: KEY, label: LABEL, keyStore })
    expect(again).toMatchObject({ avatar: first.avatar, asked: false })
    await again.put({ b: 2 })
    expect(prompts).toHaveLength(1)
    expect(await again.get()).toEqual({ a: 1, b: 2 })
    // Another device has no key that is linked.
    const elsewhere = { owner: owner.avatar, key: KEY, label: LABEL, keyStore: memoryKeyStore() }
    await expect(connect(client, elsewhere)).rejects.toMatchObject({ code: 'not_linked' })
  })

  it('changes nothing if the owner says no', async () => {
    const client = clientOf(node)
    const { avatar } = ownerAtWallet().owner
    const owner: Signer = { avatar, sign: () => Promise.reject(Object.assign(new Error('no'), { code: 4001 })) }
    const options = { owner, key: KEY, label: LABEL, keyStore: memoryKeyStore() }
    await expect(connect(client, options)).rejects.toMatchObject({ code: 'rejected' })
    expect((await client.getVerified(avatar)).records).toBe(0)
  })

  it.each(['', 'org.avatar-kv.profile', 'org.avatar-kv.'])('cannot have the key %j', async (key) => {
    const { owner, prompts } = ownerAtWallet()
    const options = { owner, key, label: LABEL, keyStore: memoryKeyStore() }
    await expect(connect(clientOf(node), options)).rejects.toMatchObject({ code: 'usage' })
    expect(prompts).toEqual([])
  })

  it.each(['__proto__', 'a/b~c', '\u{1F600}', 'k'.repeat(500)])('may have the key %s', async (key) => {
    const client = clientOf(node)
    const { owner } = ownerAtWallet()
    const app = await connect(client, { owner, key, label: LABEL, keyStore: memoryKeyStore() })
    await app.put({ a: 1 })
    expect(await app.get()).toEqual({ a: 1 })
    await unlink(client, { signer: owner, key, keep: true })
    const own = content(await client.getVerified(owner.avatar, { linked: false })) as Record<string, unknown>
    expect(Object.entries(own).filter(([name]) => name === key)).toEqual([[key, { a: 1 }]])
  })

  it('does not take a key from another app unless it says so', async () => {
    const client = clientOf(node)
    const { owner, prompts } = ownerAtWallet()
    const first = await connect(client, { owner, key: KEY, label: LABEL, keyStore: memoryKeyStore() })
    await first.put({ a: 1 })
    const options = { owner, key: KEY, label: 'Another', keyStore: memoryKeyStore() }
    await expect(connect(client, options)).rejects.toMatchObject({ code: 'linked' })
    expect(prompts).toHaveLength(1)
    const second = await connect(client, { ...options, replace: true })
    expect(await second.get()).toEqual({ a: 1 })
    await expect(first.get()).rejects.toMatchObject({ code: 'not_linked' })
    await expect(first.put({ a: 2 })).rejects.toMatchObject({ code: 'not_linked' })
    expect(await second.get()).toEqual({ a: 1 })
  })
})

describe('an owner', () => {
  it.each([true, false])('removes a link, and keeps what it wrote: %s', async (keep) => {
    const client = clientOf(node)
    const { owner, prompts } = ownerAtWallet()
    let time = Date.now()
    const options = { owner, key: KEY, label: LABEL, keyStore: memoryKeyStore(), now: () => time }
    const app = await connect(client, options)
    await app.put({ a: 1 })
    await unlink(client, { signer: owner, key: KEY, keep })
    expect(prompts).toHaveLength(2)
    // The link was seen a moment ago; the app learns of it, and stops.
    time += 60_000
    await expect(app.put({ a: 'of a thief' })).rejects.toMatchObject({ code: 'not_linked' })
    const before = (await client.getVerified(app.avatar)).records
    await expect(app.put({ a: 'again' })).rejects.toMatchObject({ code: 'not_linked' })
    expect((await client.getVerified(app.avatar)).records).toBe(before)
    const shown = await clientOf(node).getVerified(owner.avatar)
    expect(content(shown)).toEqual({ [LINKS_KEY]: {}, ...(keep ? { [KEY]: { a: 1 } } : {}) })
    expect(shown.links).toEqual([])
    await expect(unlink(client, { signer: owner, key: KEY })).rejects.toMatchObject({ code: 'not_linked' })
    // Connected again, the app has what the owner has, and not what it wrote before.
    const again = await connect(client, options)
    expect(again.avatar).toBe(app.avatar)
    expect(await again.get()).toEqual(keep ? { a: 1 } : undefined)
  })

  it.each([true, false])('does not get back what was hidden, keep: %s', async (keep) => {
    const client = clientOf(node)
    const { owner } = ownerAtWallet()
    const app = privateKeySigner(newKey())
    await client.put({ signer: owner, patch: { [KEY]: { hidden: 1, both: { old: 1 } } } })
    await client.put({ signer: app, patch: { [KEY]: { both: { shown: 2 }, list: [null] } } })
    await client.put({ signer: owner, patch: { [LINKS_KEY]: { [KEY]: { avatar: app.avatar } } } })
    await unlink(client, { signer: owner, key: KEY, keep })
    const kept = keep ? { [KEY]: { both: { shown: 2 }, list: [null] } } : {}
    expect(content(await client.getVerified(owner.avatar))).toEqual({ [LINKS_KEY]: {}, ...kept })
  })

  it('is told that a write would not show, and nothing is written', async () => {
    const client = clientOf(node)
    const { owner } = ownerAtWallet()
    await connect(client, { owner, key: KEY, label: LABEL, keyStore: memoryKeyStore() })
    const before = await client.getVerified(owner.avatar)
    const hidden = client.put({ signer: owner, patch: { other: 1, [KEY]: { a: 1 } } })
    await expect(hidden).rejects.toMatchObject({ code: 'linked', message: expect.stringContaining(LABEL) })
    const changed = client.change({ signer: owner, change: (content) => ({ ...content, [KEY]: 1 }) })
    await expect(changed).rejects.toMatchObject({ code: 'linked' })
    expect((await client.getVerified(owner.avatar)).digest).toBe(before.digest)
    await client.put({ signer: owner, patch: { other: 1, [KEY]: null } })
    await client.put({ signer: owner, platform: 'twitter', identity: 'ada', patch: { [KEY]: 1 } })
  })

  it('links a key to an avatar by hand, once', async () => {
    const client = clientOf(node)
    const { owner } = ownerAtWallet()
    const app = privateKeySigner(newKey())
    await client.put({ signer: app, patch: { [KEY]: [1], elsewhere: 'not shown' } })
    await link(client, { signer: owner, key: KEY, avatar: app.avatar, label: LABEL })
    const shown = await client.getVerified(owner.avatar)
    expect(content(shown)).toMatchObject({ [KEY]: [1] })
    expect(content(shown)).not.toHaveProperty('elsewhere')
    const self = { signer: owner, key: 'other', avatar: owner.avatar, label: LABEL }
    await expect(link(client, self)).rejects.toMatchObject({ code: 'usage' })
    const taken = { signer: owner, key: KEY, avatar: privateKeySigner(newKey()).avatar, label: LABEL }
    await expect(link(client, taken)).rejects.toMatchObject({ code: 'linked' })
  })

  it('cannot make a link that would not count', async () => {
    const client = clientOf(node)
    const { owner } = ownerAtWallet()
    const linked = Object.fromEntries(
      Array.from({ length: 64 }, (_, n) => [`a${n}`, { avatar: privateKeySigner(newKey()).avatar }]),
    )
    await client.put({ signer: owner, patch: { [LINKS_KEY]: linked } })
    const options = { owner, key: 'z', label: LABEL, keyStore: memoryKeyStore() }
    await expect(connect(client, options)).rejects.toMatchObject({ code: 'linked' })
  })
})

describe('hosts that keep something back', () => {
  async function copy(avatar: string): Promise<void> {
    const { records } = (await node.json(`/v2/avatars/${avatar}/records`)).body
    await other.json('/v2/records', post({ records }))
  }

  it('are told as behind, also about what an app wrote', async () => {
    const { owner } = ownerAtWallet()
    const app = await connect(clientOf(node), { owner, key: KEY, label: LABEL, keyStore: memoryKeyStore() })
    await app.put({ a: 1 })
    for (const avatar of [owner.avatar, app.avatar]) await copy(avatar)
    expect(await clientOf(node, other).getVerified(owner.avatar)).toMatchObject({ state: 'verified', problems: [] })
    await app.put({ a: 2 })
    const shown = await clientOf(other, node).getVerified(owner.avatar)
    expect(content(shown)).toMatchObject({ [KEY]: { a: 2 } })
    expect(shown.links[0]?.nodes.map(({ standing }) => standing)).toEqual(['behind', 'equal'])
    expect(shown.problems).toMatchObject([{ node: other.url(''), code: 'behind' }])
  })
})

describe('reads of linked data', () => {
  it('say that they are behind if no node answers for the app, and unlink does not keep what may be old', async () => {
    const { owner, prompts } = ownerAtWallet()
    const app = await connect(clientOf(node), { owner, key: KEY, label: LABEL, keyStore: memoryKeyStore() })
    await app.put({ a: 1 })
    const failing: typeof fetch = async (input, init) =>
      String(input).includes(app.avatar) ? new Response('', { status: 500 }) : await fetch(input, init)
    const client = createClient({ nodes: [node.url('')], fetch: failing })
    const shown = await client.getVerified(owner.avatar)
    expect(shown).toMatchObject({ state: 'behind', links: [{ key: KEY, digest: null, state: 'behind' }] })
    expect(shown.problems).not.toEqual([])
    prompts.length = 0
    const kept = unlink(client, { signer: owner, key: KEY, keep: true })
    await expect(kept).rejects.toMatchObject({ code: 'unreachable' })
    expect(prompts).toEqual([])
    await unlink(client, { signer: owner, key: KEY })
    expect((await client.getVerified(owner.avatar)).links).toEqual([])
  })

  it('count what cannot be read as not there, and say so', async () => {
    const client = clientOf(node)
    const { owner } = ownerAtWallet()
    const nobody = privateKeySigner(newKey()).avatar
    const made = { a: { avatar: nobody }, self: { avatar: owner.avatar }, b: 'none' }
    await client.put({ signer: owner, patch: { a: 'own', b: 'own' } })
    await client.put({ signer: owner, patch: { [LINKS_KEY]: made } })
    const shown = await client.getVerified(owner.avatar)
    expect(content(shown)).not.toHaveProperty('a')
    expect(content(shown)).toHaveProperty('b', 'own')
    expect(shown.links).toMatchObject([{ key: 'a', avatar: nobody, digest: null, state: 'verified' }])
  })

  it('end where avatars link to each other', async () => {
    const client = clientOf(node)
    const [a, b] = [privateKeySigner(newKey()), privateKeySigner(newKey())]
    await client.put({ signer: a, patch: { mine: 'a', [LINKS_KEY]: { k: { avatar: b.avatar } } } })
    await client.put({ signer: b, patch: { k: 'b', [LINKS_KEY]: { mine: { avatar: a.avatar } } } })
    expect(content(await client.getVerified(a.avatar))).toMatchObject({ mine: 'a', k: 'b' })
    expect(content(await client.getVerified(b.avatar))).toMatchObject({ mine: 'a', k: 'b' })
  })

  it('cost at most twice as many requests as reads of the own words, and no more time in a row', async () => {
    const { owner } = ownerAtWallet()
    const app = await connect(clientOf(node), { owner, key: KEY, label: LABEL, keyStore: memoryKeyStore() })
    await app.put({ a: 1 })
    const requests: string[] = []
    const counting: typeof fetch = async (input, init) => {
      requests.push(String(input))
      return await fetch(input, init)
    }
    const read = async (linked: boolean) => {
      const client = createClient({ nodes: [node.url('')], fetch: counting })
      const before = requests.length
      await client.getVerified(owner.avatar, { linked })
      const first = requests.length - before
      await client.getVerified(owner.avatar, { linked })
      return [first, requests.length - before - first]
    }
    const [ownFirst = 0, ownAgain = 0] = await read(false)
    const [first = 0, again = 0] = await read(true)
    expect([first <= 2 * ownFirst, again <= 2 * ownAgain]).toEqual([true, true])
  })
})

describe('stores of keys', () => {
  it('in files keep one key a name, which only its user can read, also of two that ask at once', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'avatar-kv-keys-'))
    try {
      const folder = join(directory, 'keys')
      const make = () => newKey()
      const [a, b] = await Promise.all([0, 1].map(async () => await fileKeyStore(folder).getOrCreate('one', make)))
      expect(a).toEqual(b)
      expect(a).toHaveLength(32)
      expect(await fileKeyStore(folder).getOrCreate('one', make)).toEqual(a)
      expect(await fileKeyStore(folder).getOrCreate('two', make)).not.toEqual(a)
      expect((await readdir(folder)).toSorted()).toEqual(['one.key', 'two.key'])
      expect((await stat(join(folder, 'one.key'))).mode & 0o777).toBe(0o600)
      expect((await stat(folder)).mode & 0o777).toBe(0o700)

      await chmod(join(folder, 'one.key'), 0o644)
      await expect(fileKeyStore(folder).getOrCreate('one', make)).rejects.toThrow('chmod 600')
      await writeFile(join(folder, 'two.key'), 'nonsense')
      await expect(fileKeyStore(folder).getOrCreate('two', make)).rejects.toThrow('holds no secret key')
      await expect(fileKeyStore(join(folder, 'two.key')).getOrCreate('x', make)).rejects.toThrow('Check the directory')
    } finally {
      await rm(directory, { recursive: true })
    }
  })
})
