import { createSocket } from 'node:dgram'
import type { Socket } from 'node:dgram'
import { once } from 'node:events'
import { Resolver } from 'node:dns/promises'

import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import type { Multiaddr } from '@multiformats/multiaddr'
import { afterEach, expect, test } from 'vitest'

import { createSeedDialler } from '../../src/network/seed-dialler.ts'
import { parseSeed, resolveSeed } from '../../src/network/seeds.ts'
import type { ResolveTxt } from '../../src/network/seeds.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { sleep, until } from '../support/until.ts'
import { silent } from './nodes.ts'

const PEER = '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp'
const OTHER = '12D3KooWHdiAxVd8uMQR1hGWXccidmfCwLqcMpGwR6QcTP6QRMuD'

const sockets: Socket[] = []
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.close()
})

/** A name server on this machine that knows these TXT records, and says of other names that they do not exist (RFC 1035). */
async function nameServer(records: Readonly<Record<string, readonly string[]>>): Promise<ResolveTxt> {
  const socket = createSocket('udp4')
  sockets.push(socket)
  socket.on('message', (query, { port, address }) => {
    const labels: string[] = []
    let at = 12
    for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
      labels.push(query.subarray(at + 1, at + 1 + length).toString())
      at += 1 + length
    }
    const texts = records[labels.join('.')]
    const question = query.subarray(12, at + 5)
    const head = Buffer.from([...query.subarray(0, 2), 0x81, texts === undefined ? 0x83 : 0x80, 0, 1, 0, 0, 0, 0, 0, 0])
    head.writeUInt16BE(texts?.length ?? 0, 6)
    const answers = (texts ?? []).map((text) => {
      const parts = text.match(/.{1,200}/g) ?? []
      const data = Buffer.concat(parts.map((part) => Buffer.from([part.length, ...Buffer.from(part)])))
      const answer = Buffer.from([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, 0])
      answer.writeUInt16BE(data.length, 10)
      return Buffer.concat([answer, data])
    })
    socket.send(Buffer.concat([head, question, ...answers]), port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const resolver = new Resolver({ timeout: 2000, tries: 2 })
  resolver.setServers([`127.0.0.1:${socket.address().port}`])
  return (name) => resolver.resolveTxt(name)
}

const textsOf = async (seed: string, resolveTxt: ResolveTxt): Promise<string[]> =>
  (await resolveSeed(parseSeed(seed), resolveTxt)).map(({ address }) => address.toString())

test('TXT records name addresses and further names', async () => {
  const resolveTxt = await nameServer({
    '_dnsaddr.seed.example': [
      `dnsaddr=/ip4/192.0.2.7/tcp/4382/p2p/${PEER}`,
      'dnsaddr=/dnsaddr/more.example',
      'v=spf1 -all',
      'dnsaddr=/ip4/192.0.2.8/udp/1/quic-v1',
      'dnsaddr=nonsense',
    ],
    '_dnsaddr.more.example': [`dnsaddr=/dns4/node.example/tcp/4382/p2p/${OTHER}`, 'dnsaddr=/dnsaddr/seed.example'],
  })
  const all = [`/ip4/192.0.2.7/tcp/4382/p2p/${PEER}`, `/dns4/node.example/tcp/4382/p2p/${OTHER}`]
  expect(await textsOf('/dnsaddr/seed.example', resolveTxt)).toEqual(all)
  // A peer id after the name leaves out the addresses of all others.
  expect(await textsOf(`/dnsaddr/seed.example/p2p/${OTHER}`, resolveTxt)).toEqual([all[1]])
})

test('a chain of names ends, and a seed has 32 addresses at most', async () => {
  const chain = Object.fromEntries(
    Array.from({ length: 9 }, (_, at) => [
      `_dnsaddr.n${at}.example`,
      [`dnsaddr=/ip4/192.0.2.${at}/tcp/1`, `dnsaddr=/dnsaddr/n${at + 1}.example`],
    ]),
  )
  expect(await textsOf('/dnsaddr/n0.example', await nameServer(chain))).toHaveLength(3)
  const many = { '_dnsaddr.x.example': Array.from({ length: 20 }, (_, at) => `dnsaddr=/dnsaddr/y${at}.example`) }
  const each = Object.fromEntries(
    Array.from({ length: 20 }, (_, at) => [
      `_dnsaddr.y${at}.example`,
      Array.from({ length: 9 }, (__, port) => `dnsaddr=/ip4/192.0.2.${at}/tcp/${port + 1}`),
    ]),
  )
  expect(await textsOf('/dnsaddr/x.example', await nameServer({ ...many, ...each }))).toHaveLength(32)
})

test.each([
  ['a name that does not exist', '/dnsaddr/none.example', /ENOTFOUND.*--seed/],
  ['a name without addresses', '/dnsaddr/bare.example', /no TXT record with dnsaddr=/],
  ['a name whose records cannot be dialled', '/dnsaddr/udp.example', /none of its TXT records/],
])('%s is an error that says so', async (_, seed, why) => {
  const resolveTxt = await nameServer({
    '_dnsaddr.bare.example': ['v=spf1 -all'],
    '_dnsaddr.udp.example': ['dnsaddr=/ip4/192.0.2.8/udp/1/quic-v1'],
  })
  await expect(textsOf(seed, resolveTxt)).rejects.toMatchObject({
    code: 'seed_unusable',
    message: expect.stringMatching(why) as string,
  })
})

test.each([
  '/dnsaddr',
  '/dnsaddr/a.example/tcp/1',
  '/dnsaddr/a.example/p2p/nonsense',
  '/ip4/192.0.2.1',
  'seed.example',
])('the seed %s is an error', (text) => {
  expect(() => parseSeed(text)).toThrow(expect.objectContaining({ code: 'invalid_address' }) as Error)
})

test('of many seeds a few are dialled at a time, others only in place of those that do not answer', async () => {
  const dead = new Set(['/ip4/192.0.2.1/tcp/1', '/ip4/192.0.2.2/tcp/1', '/ip4/192.0.2.3/tcp/1'])
  const connected = new Map<string, unknown[]>()
  const libp2p = {
    async dial(address: Multiaddr) {
      if (dead.has(address.toString())) throw new Error('no answer')
      const remotePeer = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
      connected.set(remotePeer.toString(), [address])
      return { remotePeer }
    },
    getConnections: (peer: unknown) => connected.get(String(peer)) ?? [],
  }
  const { clock, random } = systemEnvironment()
  const limits = { retryMs: 0, longestRetryMs: 0, dialTimeoutMs: 1000, connections: 4 }
  const texts = Array.from({ length: 20 }, (_, at) => `/ip4/192.0.2.${at + 1}/tcp/1`)
  const parts = { clock, random, logger: silent, libp2p: libp2p as never, resolveTxt: async () => [] }
  const dialler = createSeedDialler(parts, texts, limits)
  for (let round = 0; round < 3; round += 1) {
    dialler.dial()
    await until(() => connected.size >= limits.connections, 'some are connected')
    await sleep(20)
    expect(connected.size).toBe(limits.connections)
  }
  // One leaves: another one takes its place.
  connected.delete([...connected.keys()][0] ?? '')
  dialler.dial()
  await until(() => connected.size === limits.connections, 'there are as many again')
})
