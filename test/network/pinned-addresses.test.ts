import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import type { Multiaddr } from '@multiformats/multiaddr'
import { expect, test } from 'vitest'

import { defaultNetworkLimits } from '../../src/network/limits.ts'
import { openPeerRecord, sealPeerRecord } from '../../src/network/peer-record.ts'
import type { SignedPeer } from '../../src/network/peer-record.ts'
import { pinnedAddresses } from '../../src/network/pinned-addresses.ts'
import type { ResolveHost } from '../../src/network/pinned-addresses.ts'
import { createProber } from '../../src/network/prober.ts'

const dns =
  (v4: readonly string[], v6: readonly string[] = []): ResolveHost =>
  async (name, family) => {
    expect(name).toBe('node.example')
    return [...(family === 4 ? v4 : v6)]
  }

test.each([
  ['an IP address', '/ip4/9.9.9.9/tcp/4382', dns([]), ['/ip4/9.9.9.9/tcp/4382']],
  ['a name', '/dns4/node.example/tcp/4382', dns(['9.9.9.9'], ['2a00::1']), ['/ip4/9.9.9.9/tcp/4382']],
  ['a name of IPv6', '/dns6/node.example/tcp/4382', dns(['9.9.9.9'], ['2a00::1']), ['/ip6/2a00::1/tcp/4382']],
  [
    'a name of both',
    '/dns/node.example/tcp/1',
    dns(['9.9.9.9'], ['2a00::1']),
    ['/ip4/9.9.9.9/tcp/1', '/ip6/2a00::1/tcp/1'],
  ],
  ['wss', '/dns4/node.example/tcp/443/wss', dns(['9.9.9.9']), ['/ip4/9.9.9.9/tcp/443/tls/sni/node.example/ws']],
  ['TLS', '/dns4/node.example/tcp/443/tls/ws', dns(['9.9.9.9']), ['/ip4/9.9.9.9/tcp/443/tls/sni/node.example/ws']],
  [
    'another name for TLS',
    '/dns4/node.example/tcp/443/tls/sni/a.example/ws',
    dns(['9.9.9.9']),
    ['/ip4/9.9.9.9/tcp/443/tls/sni/a.example/ws'],
  ],
  ['no TLS', '/dns4/node.example/tcp/80/ws', dns(['9.9.9.9']), ['/ip4/9.9.9.9/tcp/80/ws']],
  [
    'many addresses',
    '/dns4/node.example/tcp/1',
    dns(['9.9.9.1', '9.9.9.2', '9.9.9.3']),
    ['/ip4/9.9.9.1/tcp/1', '/ip4/9.9.9.2/tcp/1'],
  ],
  ['a private address among them', '/dns/node.example/tcp/1', dns(['9.9.9.9', '192.168.1.1']), []],
  ['loopback', '/dns/node.example/tcp/1', dns([], ['::1']), []],
  ['no address', '/dns/node.example/tcp/1', dns([]), []],
])('%s', async (_, address, resolve, found) => {
  expect((await pinnedAddresses(multiaddr(address), resolve)).map(String)).toEqual(found)
})

async function peerAt(...addresses: readonly string[]): Promise<SignedPeer> {
  const key = await generateKeyPair('Ed25519')
  const record = await sealPeerRecord(
    key,
    addresses.map((each) => multiaddr(each)),
    1n,
  )
  expect(peerIdFromPrivateKey(key).toString()).toMatch(/^12D3/)
  return openPeerRecord(record)
}

/** A prober whose libp2p writes down what it dials. */
function proberWith(resolveHost: ResolveHost) {
  const dialled: string[] = []
  const node = {
    dial: async (address: Multiaddr) => {
      dialled.push(address.toString())
      return { abort: () => undefined }
    },
    peerStore: { delete: async () => undefined },
    stop: async () => undefined,
  }
  const createNode = async () => node as never
  return {
    dialled,
    prober: createProber({ clock: { now: () => 0 }, createNode, resolveHost }, defaultNetworkLimits.discovery.prober),
  }
}

test('what is probed is what was checked: the name is not asked again, when it could lead into the own network', async () => {
  let asked = 0
  const { prober, dialled } = proberWith(async () => {
    asked += 1
    return [asked === 1 ? '9.9.9.9' : '192.168.1.1']
  })
  const signed = await peerAt('/dns4/node.example/tcp/4382')
  const worked = await prober.probe(signed.peer, await prober.allowed(signed))
  expect(dialled).toEqual([`/ip4/9.9.9.9/tcp/4382/p2p/${signed.peer.toString()}`])
  expect(worked?.toString()).toBe('/dns4/node.example/tcp/4382')
  expect(await prober.allowed(signed)).toEqual([])
})

test('any number of names leads to one host at the rate of one host', async () => {
  const { prober } = proberWith(async () => ['9.9.9.9'])
  let allowed = 0
  for (let at = 0; at < 20; at += 1)
    allowed += (await prober.allowed(await peerAt(`/dns4/n${at}.example/tcp/4382`))).length
  expect(allowed).toBe(defaultNetworkLimits.discovery.prober.dials.perKey.burst)
})
