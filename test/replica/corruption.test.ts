import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { privateKeySigner } from '../../src/client/signers.ts'
import { MAX_REBASES } from '../../src/replica/limits.ts'
import { encodeJson } from '../../src/replica/rows.ts'
import type { Replica } from '../../src/replica/types.ts'
import { startHttpNode, type HttpNode } from '../http/node.ts'
import { testKey } from '../oracle/signing.ts'
import { Writer } from '../store/writer.ts'
import { ROWS, give, replicaHarness, type RawDb, type ReplicaHarness } from './harness.ts'
import { WAIT } from '../support/until.ts'

const DAMAGES: readonly [title: string, damage: (value: Uint8Array) => Uint8Array][] = [
  ['the first bit flipped', (value) => flipped(value, 0)],
  ['a bit in the middle flipped', (value) => flipped(value, Math.floor(value.length / 2))],
  ['the last bit flipped', (value) => flipped(value, value.length - 1)],
  ['the last byte lost', (value) => value.subarray(0, -1)],
  ['no bytes', () => new Uint8Array(0)],
  ['other bytes', (value) => new Uint8Array(value.length + 3).fill(0xa5)],
]
const SEED = 7
/** Nobody writes to this one but its chain. */
const READ_SEED = 8
const signer = privateKeySigner(testKey(SEED).secretKey)
const { avatar } = signer

let node: HttpNode
beforeAll(async () => void (node = await startHttpNode()))
afterAll(async () => await node.close())

let harness: ReplicaHarness
beforeEach(() => void (harness = replicaHarness()))
afterEach(() => harness.close())

async function damage(prefix: string, index: number, how: (value: Uint8Array) => Uint8Array): Promise<void> {
  await harness.tamper(async (db: RawDb) => {
    const rows = (await db.iterator<string, Uint8Array>(ROWS).all()).filter(([key]) => key.startsWith(prefix))
    const [key, value] = rows.at(index) ?? []
    if (key === undefined || value === undefined) throw new Error(`no row ${index} of ${prefix}`)
    await db.put<string, Uint8Array>(key, how(value), ROWS)
  })
}

const damagesTold = (): string[] => harness.events.flatMap((each) => (each.type === 'damaged' ? [each.what] : []))

describe.each(DAMAGES)('a row with %s', (_, how) => {
  it('of a record: is not served, is told of, and fetched again though cursors were kept', async () => {
    const writer = new Writer(READ_SEED)
    const { avatar } = writer
    const chain = writer.chain(6)
    await node.json('/v2/records', { method: 'POST', body: bodyOf(chain) })
    const before = await harness.open({ avatars: [avatar], nodes: [node.url('')] })
    await vi.waitFor(() => expect(before.state(avatar).records).toBe(6), WAIT)
    await vi.waitFor(() => expect(before.info(avatar).verifiedAt).not.toBeNull(), WAIT)
    const shown = before.state(avatar)
    await damage('r/', 3, how)

    const offline = await harness.open()
    const isRepaired = offline.info(avatar).damaged === 0
    if (isRepaired) {
      // The check, or what is told of the record, was damaged, and the record itself is sound.
      expect(offline.state(avatar)).toEqual(shown)
    } else {
      expect(damagesTold()).toEqual(['record'])
      expect(offline.state(avatar)).toMatchObject({ head: 3, pending: 2, missing: [chain[3]?.id] })
    }
    const online = await harness.open({ nodes: [node.url('')] })
    await vi.waitFor(() => expect(online.state(avatar)).toEqual(shown), WAIT)
    // Told once it is on disk.
    const isFetched = (): boolean => isRepaired || harness.events.some(({ type }) => type === 'change')
    await vi.waitFor(() => expect(isFetched()).toBe(true), WAIT)
    const later = await harness.open()
    expect(later.state(avatar)).toEqual(shown)
    expect(damagesTold()).toEqual([])
  })

  it('of a write that waits: is not sent, is kept and told of, and what was built on it is signed anew', async () => {
    await give(await harness.open(), new Writer(SEED).chain(2))
    let replica: Replica = await harness.open()
    for (const n of [1, 2, 3]) await replica.put({ signer, patch: { [`w${n}`]: n } })
    await damage('q/', 1, how)

    replica = await harness.open({ signers: [signer] })
    if (replica.info(avatar).damaged === 0) {
      expect(replica.get(avatar)).toMatchObject({ w1: 1, w2: 2, w3: 3 })
      return
    }
    expect(damagesTold()).toEqual(['write'])
    expect(replica.get(avatar)).not.toHaveProperty('w2')
    await expect(replica.unfollow(avatar)).rejects.toMatchObject({ code: 'unsent' })
    replica = await harness.open({ nodes: [node.url('')] })
    await vi.waitFor(() => expect(replica.waiting()).toMatchObject([{ state: 'conflict' }]), WAIT)
    expect(replica.waiting()[0]?.reason).toMatch(/damaged.*retry/)
    replica = await harness.open({ signers: [signer], nodes: [node.url('')] })
    await replica.sync()
    await vi.waitFor(() => expect(replica.waiting()).toEqual([]), WAIT)
    expect(replica.get(avatar)).toMatchObject({ w1: 1, w3: 3 })
    expect(await replica.discardDamaged(avatar)).toBe(1)
    await replica.unfollow(avatar)
    expect(await harness.dump()).toHaveLength(1)
  })

  it('of notes on an avatar: they are made anew, and nothing is lost', async () => {
    const replica = await harness.open()
    await give(replica, new Writer(SEED).chain(4))
    await replica.put({ signer, patch: { own: 1 } })
    const shown = replica.state(avatar)
    await damage('a/', 0, how)
    const again = await harness.open()
    expect(damagesTold()).toEqual(['row'])
    expect(again.state(avatar)).toEqual(shown)
    await harness.open()
    expect(damagesTold()).toEqual([])
  })
})

describe('with a damaged write that is kept', () => {
  /** Opens it with a node that takes nothing, and waits until it was handed something. */
  async function opened(): Promise<Replica> {
    let tell = (): void => {}
    const handed = new Promise<void>((resolve) => (tell = resolve))
    const fetch = async (_: unknown, init?: { readonly method?: string }): Promise<Response> => {
      if (init?.method === 'POST') tell()
      return new Response('{"code":"down","message":"down"}', { status: 503 })
    }
    const replica = await harness.open({ signers: [signer], nodes: ['http://node.example'], fetch })
    await handed
    return replica
  }

  it('what was written after it, and not on it, stays as it was signed over restarts', async () => {
    await give(await harness.open(), new Writer(SEED).chain(2))
    let replica = await harness.open()
    await replica.put({ signer, patch: { a: 1 } })
    await damage('q/', 0, (value) => flipped(value, value.length - 1))
    replica = await harness.open()
    await replica.put({ signer, patch: { b: 2 } })
    const [{ id } = { id: undefined }] = replica.waiting()
    for (let restart = 0; restart < 3; restart++) {
      replica = await opened()
      expect(replica.waiting()).toMatchObject([{ id, state: 'waiting' }])
      expect(replica.info(avatar)).toMatchObject({ damaged: 1 })
    }
  })

  it('what was written on it is signed anew however often that happens: it is no dispute', async () => {
    const rounds = MAX_REBASES + 1
    let replica = await harness.open({ avatars: [avatar] })
    await give(replica, new Writer(SEED).chain(1))
    for (let n = 0; n <= rounds; n++) await replica.put({ signer, patch: { [`w${n}`]: n } })
    for (let round = 0; round < rounds; round++) {
      // Damaged rows stay where they are, and what is signed anew goes behind.
      await damage('q/', round, (value) => flipped(value, value.length - 1))
      replica = await opened()
      expect(replica.info(avatar)).toMatchObject({ waiting: rounds - round, stuck: 0, damaged: round + 1 })
    }
    expect(replica.get(avatar)).toMatchObject({ [`w${rounds}`]: rounds })
  })
})

it('the data of another network, or of a newer version, is refused and left as it is', async () => {
  await give(await harness.open(), new Writer(SEED).chain(1))
  const rows = await harness.dump()
  await expect(harness.open({ network: 'test' })).rejects.toMatchObject({ name: 'ReplicaError', code: 'wrong_network' })
  expect(await harness.dump()).toEqual(rows)
  const newer = encodeJson('m', { version: 2, network: 'main' })
  await harness.tamper((db) => db.put<string, Uint8Array>('m', newer, ROWS))
  await expect(harness.open()).rejects.toMatchObject({
    code: 'newer',
    message: expect.stringMatching(/Upgrade avatar-kv/),
  })
})

function bodyOf(records: ReturnType<Writer['chain']>): string {
  return JSON.stringify({
    records: records.map(({ payload, signature }) => ({
      payload: Buffer.from(payload).toString(),
      signature: `0x${Buffer.from(signature).toString('hex')}`,
    })),
  })
}

function flipped(value: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(value)
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}
