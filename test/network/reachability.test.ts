import { multiaddr } from '@multiformats/multiaddr'
import { expect, test } from 'vitest'

import { reachabilityOf } from '../../src/network/reachability.ts'

const LAN = ['/ip4/127.0.0.1/tcp/4382', '/ip4/192.168.1.20/tcp/4382']
const MOBILE = ['/ip4/100.70.3.4/tcp/4382']
const SERVER = ['/ip4/9.9.9.9/tcp/4382']
const yes = { wasReached: true, wasMissed: false }
const no = { wasReached: false, wasMissed: true }
const nothing = { wasReached: false, wasMissed: false }

test.each([
  ['a node that peers reached, behind a router or not', LAN, ['9.9.9.1'], yes, 'reachable', 'reachable from outside'],
  [
    'one of two peers could not',
    LAN,
    ['9.9.9.1'],
    { wasReached: true, wasMissed: true },
    'reachable',
    'reachable from',
  ],
  [
    'a home',
    LAN,
    ['9.9.9.1'],
    no,
    'behind_router',
    'behind a router: forward TCP 4382, or start the node with --upnp true',
  ],
  ['an address that a provider shares', MOBILE, ['9.9.9.1'], no, 'behind_provider_nat', "behind your provider's NAT"],
  ['peers that see two addresses', LAN, ['9.9.9.1', '9.9.9.2'], no, 'behind_provider_nat', 'outgoing only'],
  ['a home with IPv4 and IPv6', LAN, ['9.9.9.1', '2a00:1::1'], no, 'behind_router', 'forward TCP 4382'],
  ['a public address of this machine', SERVER, ['9.9.9.9'], no, 'firewalled', 'a firewall blocks TCP 4382'],
  ['nobody has tried', LAN, [], nothing, 'unknown', 'not known yet'],
  ['loopback alone', LAN.slice(0, 1), [], nothing, 'this_machine_only', 'this machine only'],
  [
    'an address that is neither private nor public',
    ['/ip4/192.0.2.2/tcp/4382'],
    [],
    nothing,
    'unknown',
    'not known yet',
  ],
  ['no address at all', [], ['9.9.9.1'], no, 'this_machine_only', 'this machine only'],
])('%s', (_, listening, seenAs, facts, state, text) => {
  const view = reachabilityOf({ listening: listening.map((each) => multiaddr(each)), announced: [], seenAs, ...facts })
  expect(view).toMatchObject({ state, text: expect.stringContaining(text) as string })
})

test('a node behind a proxy is not on this machine only', () => {
  const listening = [multiaddr('/ip4/127.0.0.1/tcp/4383/ws')]
  const announced = [multiaddr('/dns/node.example.org/tcp/443/tls/ws')]
  expect(reachabilityOf({ listening, announced, seenAs: [], ...nothing })).toMatchObject({ state: 'unknown' })
  expect(reachabilityOf({ listening, announced, seenAs: [], ...yes })).toMatchObject({ state: 'reachable' })
})

test('what the router answered stands after the rest', () => {
  const facts = { listening: LAN.map((each) => multiaddr(each)), announced: [], seenAs: ['9.9.9.9'], ...no }
  const { text } = reachabilityOf({ ...facts, router: 'no router answered (UPnP, NAT-PMP)' })
  expect(text).toBe('behind a router: forward TCP 4382; no router answered (UPnP, NAT-PMP)')
})
