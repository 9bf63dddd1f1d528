import { generateKeyPair } from '@libp2p/crypto/keys'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, test } from 'vitest'

import { openPeerRecord, sealPeerRecord } from '../../src/network/peer-record.ts'

const seal = async (...addresses: string[]): Promise<Uint8Array> =>
  sealPeerRecord(
    await generateKeyPair('Ed25519'),
    addresses.map((text) => multiaddr(text)),
    7n,
  )

test('a record is read as it was signed', async () => {
  const addresses = ['/ip4/9.9.9.9/tcp/4382', '/dns4/node.example.org/tcp/443/wss']
  const signed = await openPeerRecord(await seal(...addresses))
  expect(signed.addresses.map(String)).toEqual(addresses)
  expect(signed).toMatchObject({ scope: 'public', seq: 7n })
})

test('addresses that cannot be dialled are left out', async () => {
  const bytes = await seal(
    '/ip4/9.9.9.9/udp/4382/quic-v1',
    '/ip4/224.0.0.1/tcp/1',
    '/ip6/fe80::1/tcp/1',
    '/ip4/9.9.9.9/tcp/1',
  )
  expect((await openPeerRecord(bytes)).addresses.map(String)).toEqual(['/ip4/9.9.9.9/tcp/1'])
})

test.each([
  ['private and public addresses mixed', ['/ip4/9.9.9.9/tcp/1', '/ip4/192.168.1.7/tcp/1'], /mixes private and public/],
  ['no address', [], /no address/],
  ['a multicast address alone', ['/ip4/224.0.0.1/tcp/1'], /no address/],
  ['port 0', ['/ip4/9.9.9.9/tcp/0'], /no address/],
])('a record with %s is not valid', async (_, addresses, why) => {
  await expect(openPeerRecord(await seal(...addresses))).rejects.toMatchObject({
    code: 'peer_record_invalid',
    message: expect.stringMatching(why) as string,
  })
})

test('a changed record is not valid, or says the same', async () => {
  const bytes = await seal('/ip4/9.9.9.9/tcp/1')
  const { peer, seq, addresses } = await openPeerRecord(bytes)
  let rejected = 0
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const changed = Uint8Array.from(bytes)
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    const read = await openPeerRecord(changed).catch((error: { code: string }) => error)
    if ('code' in read) {
      expect(read.code).toBe('peer_record_invalid')
      rejected += 1
    } else {
      expect([read.peer.toString(), read.seq, read.addresses.map(String)]).toEqual([
        peer.toString(),
        seq,
        addresses.map(String),
      ])
    }
  }
  // Protobuf has a few bits that mean nothing.
  expect(rejected).toBeGreaterThan(bytes.length * 8 * 0.95)
})

test('a record of more than 1,024 bytes is not valid', async () => {
  await expect(openPeerRecord(new Uint8Array(1025))).rejects.toMatchObject({
    message: expect.stringMatching(/1024 bytes/) as string,
  })
})
