import { generateKeyPair } from '@libp2p/crypto/keys'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { createFinder, type FinderComponents } from '../../src/find/finder.ts'
import { encodeAnswer } from '../../src/find/wire.ts'
import { createMetrics } from '../../src/observe/metrics.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { signReceipt, verifyReceipt, type Receipt } from '../../src/receipt/receipt.ts'
import type { Avatar } from '../../src/record/types.ts'
import type { FrameStream, PeerListener } from '../../src/sync/types.ts'
import { memoryPipe } from '../support/pipe.ts'
import { startHttpNode, SIGNER, type HttpNode } from '../http/node.ts'
import { newKey, postRecords, signedPatch } from '../http/writer.ts'

type Serve = (stream: FrameStream) => void

/** The transport of a node whose peers are played by functions. */
function transportTo(peers: Map<string, Serve>) {
  const penalties: string[] = []
  let listener: PeerListener | undefined
  let opened = 0
  const transport: FinderComponents['transport'] = {
    peers: () => [...peers.keys()],
    hostOf: (peer) => ({ key: peer }),
    isConfigured: () => false,
    async open(peer) {
      opened += 1
      const [mine, theirs] = memoryPipe()
      peers.get(peer)?.(theirs)
      return mine
    },
    listen(one) {
      listener = one
      return () => (listener = undefined)
    },
    penalize: (peer, code) => void penalties.push(`${peer} ${code}`),
  }
  return {
    transport,
    penalties,
    opened: () => opened,
    /** Asks the node as a peer does. */
    async ask(peer: string, question: unknown) {
      const [mine, theirs] = memoryPipe()
      listener?.stream(peer, theirs)
      await mine.send(new TextEncoder().encode(typeof question === 'string' ? question : JSON.stringify(question)))
      const frame = await mine.receive()
      const text = new TextDecoder().decode(frame ?? undefined)
      return JSON.parse(text) as { hosts: { receipt: Receipt; addresses: string[] }[]; busy?: boolean }
    },
  }
}

async function signer() {
  const key = await generateKeyPair('Ed25519')
  return { peerId: key.publicKey.toString(), sign: (bytes: Uint8Array) => key.sign(bytes) }
}

const nowS = (): number => Math.floor(Date.now() / 1000)

async function receiptBy(by: Awaited<ReturnType<typeof signer>>, avatar: Avatar, time = nowS()): Promise<Receipt> {
  const state = { head: 1, id: `0x${'ab'.repeat(32)}` as const, records: 1, digest: 'cd'.repeat(32) }
  return await signReceipt({ ...state, avatar, network: 'main', time, peer_id: by.peerId }, by)
}

const telling =
  (...hosts: { receipt: Receipt; addresses?: string[]; urls?: string[] }[]): Serve =>
  (stream) => {
    const full = hosts.map((host) => ({ addresses: [], urls: [], ...host }))
    void stream.receive().then(() => stream.send(encodeAnswer({ hosts: full, homes: [], busy: false })))
  }

describe('where an avatar lives, by its peers', () => {
  const peers = new Map<string, Serve>()
  const net = transportTo(peers)
  let node: HttpNode
  beforeAll(async () => {
    node = await startHttpNode({ findTransport: net.transport, urls: ['https://here.example'] })
  })
  afterAll(() => node.close())

  async function find(avatar: Avatar) {
    const { status, body } = await node.json(`/v2/avatars/${avatar}/hosts`)
    expect(status).toBe(200)
    return body as {
      hosts: { peer_id: string; here: boolean; told_by: string | null; urls: string[]; receipt: Receipt }[]
      homes: string[]
      peers_asked: number
      peers_answered: number
    }
  }

  it('names itself where it has the avatar, with a genuine receipt', async () => {
    peers.clear()
    const key = newKey()
    await postRecords(node, [signedPatch(key)])
    const { hosts } = await find(key.avatar)
    expect(hosts).toMatchObject([{ peer_id: SIGNER.peerId, here: true, told_by: null, urls: ['https://here.example'] }])
    expect(verifyReceipt(hosts[0]!.receipt)).toBe(true)
  })

  it('asks peers, once a minute, and names what they signed', async () => {
    const [one, two] = [await signer(), await signer()]
    const { avatar } = newKey()
    peers.clear()
    const second = { receipt: await receiptBy(two, avatar), urls: ['https://two.example'] }
    peers.set(one.peerId, telling({ receipt: await receiptBy(one, avatar), urls: ['https://one.example'] }, second))
    const before = net.opened()
    const found = await find(avatar)
    expect(found).toMatchObject({ peers_asked: 1, peers_answered: 1 })
    expect(new Map(found.hosts.map((host) => [host.peer_id, host]))).toMatchObject(
      new Map([
        [one.peerId, { here: false, told_by: null, urls: ['https://one.example'] }],
        [two.peerId, { here: false, told_by: one.peerId, urls: ['https://two.example'] }],
      ]),
    )
    await find(avatar)
    expect(net.opened()).toBe(before + 1)
  })

  it('believes no forged, old or foreign receipt, and penalises a forgery', async () => {
    const [liar, old, other] = [await signer(), await signer(), await signer()]
    const { avatar } = newKey()
    const good = await receiptBy(liar, avatar)
    peers.clear()
    peers.set(liar.peerId, telling({ receipt: { ...good, head: 2 } }))
    peers.set(old.peerId, telling({ receipt: await receiptBy(old, avatar, nowS() - 7_200) }))
    peers.set(other.peerId, telling({ receipt: await receiptBy(other, newKey().avatar) }))
    const found = await find(avatar)
    expect(found.hosts).toEqual([])
    expect(found.peers_answered).toBe(1)
    expect(net.penalties.toSorted()).toEqual([`${liar.peerId} bad_message`, `${other.peerId} bad_message`].toSorted())
  })

  it('answers a search although peers are silent, and asks 8 of many', async () => {
    const { avatar } = newKey()
    peers.clear()
    for (let count = 0; count < 20; count += 1) peers.set(`peer ${count}`, () => undefined)
    expect(await find(avatar)).toMatchObject({ hosts: [], peers_asked: 8, peers_answered: 0 })
  })

  it('is not displaced by hosts that a peer invents', async () => {
    const { avatar } = newKey()
    peers.clear()
    const honest = await Promise.all(Array.from({ length: 6 }, signer))
    for (const each of honest) peers.set(each.peerId, telling({ receipt: await receiptBy(each, avatar) }))
    for (const liar of [await signer(), await signer()]) {
      const invented = await Promise.all(Array.from({ length: 40 }, signer))
      const receipts = await Promise.all(invented.map(async (each) => ({ receipt: await receiptBy(each, avatar) })))
      peers.set(liar.peerId, telling(...receipts))
    }
    const { hosts } = await find(avatar)
    expect(hosts.length).toBeLessThanOrEqual(16)
    const ids = hosts.map(({ peer_id }) => peer_id)
    for (const { peerId } of honest) expect(ids).toContain(peerId)
    // Each liar tells 4 at most.
    expect(hosts.filter(({ told_by }) => told_by !== null)).toHaveLength(8)
  })

  it('answers a peer with its own receipt and those that hosts gave it, never with rumours', async () => {
    const [one, two] = [await signer(), await signer()]
    const key = newKey()
    await postRecords(node, [signedPatch(key)])
    peers.clear()
    const rumour = { receipt: await receiptBy(two, key.avatar) }
    peers.set(one.peerId, telling({ receipt: await receiptBy(one, key.avatar) }, rumour))
    await find(key.avatar)
    const answer = await net.ask('a peer', { avatar: key.avatar, network: 'main' })
    const ids = answer.hosts.map(({ receipt }) => receipt.peer_id)
    expect(ids).toEqual([SIGNER.peerId, one.peerId])
    expect(await net.ask('a peer', { avatar: key.avatar, network: 'other' })).toEqual({ hosts: [], homes: [] })
  })

  it('rates each peer, and penalises one that sends something else', async () => {
    const { avatar } = newKey()
    let busy = 0
    for (let count = 0; count < 60; count += 1) {
      if ((await net.ask('a busy peer', { avatar, network: 'main' })).busy === true) busy += 1
    }
    expect(busy).toBeGreaterThan(0)
    expect(await net.ask('a calm peer', { avatar, network: 'main' })).toEqual({ hosts: [], homes: [] })
    await expect(net.ask('a rude peer', '[')).rejects.toThrow('broke the rules')
    expect(net.penalties).toContain('a rude peer bad_message')
  })

  it('tells private addresses to private peers only', async () => {
    const key = newKey()
    await postRecords(node, [signedPatch(key)])
    const question = { avatar: key.avatar, network: 'main' }
    const addressesFor = async (peer: string) => (await net.ask(peer, question)).hosts[0]?.addresses
    expect(await addressesFor('127.0.0.1')).toEqual(['/ip4/127.0.0.1/tcp/1'])
    expect(await addressesFor('9.9.9.9')).toEqual([])
    expect(await addressesFor('2001:4860:4860:0::/64')).toEqual([])
  })
})

it('uses the rate of searches for what asks peers, and answers from memory beyond it', async () => {
  const net = transportTo(new Map([['one', () => undefined]]))
  const finder = createFinder(
    {
      transport: net.transport,
      receipts: { issue: () => Promise.resolve(undefined) },
      peerId: SIGNER.peerId,
      homesOf: () => Promise.resolve(['https://home.example']),
      addresses: () => [],
      urls: () => [],
      environment: { ...systemEnvironment(), timers: { after: (_, run) => (setImmediate(run), () => undefined) } },
      metrics: createMetrics(),
    },
    { network: 'main' },
  )
  const answers = []
  for (let count = 0; count < 30; count += 1) answers.push(await finder.find(newKey().avatar, { key: 'a client' }))
  expect(net.opened()).toBeLessThan(30)
  expect(net.opened()).toBeGreaterThanOrEqual(20)
  expect(answers.at(-1)).toMatchObject({ peersAsked: 0, askedAt: null, homes: ['https://home.example'] })
  finder.stop()
})
