/** Where an address of a peer can be dialled from, and which networks it belongs to. */
import { BlockList, isIPv4, isIPv6 } from 'node:net'

import type { Multiaddr } from '@multiformats/multiaddr'

import { ipv6Groups } from '../shares/host.ts'
import { isPublicAddress } from '../shares/public-address.ts'

/** `loopback`: this machine. `private`: one site, such as a home or a carrier. `public`: the internet. */
export type Scope = 'loopback' | 'private' | 'public'

export interface Reach {
  /** An IP address, or a host name. */
  readonly host: string
  readonly isName: boolean
  readonly scope: Scope
}

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

const PRIVATE = new BlockList()
PRIVATE.addSubnet('10.0.0.0', 8, 'ipv4')
PRIVATE.addSubnet('172.16.0.0', 12, 'ipv4')
PRIVATE.addSubnet('192.168.0.0', 16, 'ipv4')
PRIVATE.addSubnet('169.254.0.0', 16, 'ipv4')
PRIVATE.addSubnet('100.64.0.0', 10, 'ipv4')
PRIVATE.addSubnet('fc00::', 7, 'ipv6')

/** Any number of nodes may share these. */
const SHARED_HOSTS: readonly string[] = ['127.0.0.1', '::1']
const NAMES: readonly string[] = ['dns', 'dns4', 'dns6']
/** What may follow the host in an address that this node can dial. */
const TRANSPORTS: readonly string[] = ['tcp', 'tcp/ws', 'tcp/wss', 'tcp/tls/ws', 'tcp/tls/sni/ws']

/** The scope of an IP address; undefined for one that no peer can have, such as multicast, or IPv6 link-local without its zone. */
export function scopeOfIp(ip: string): Scope | undefined {
  const family = isIPv4(ip) ? 'ipv4' : 'ipv6'
  if (family === 'ipv6' && (!isIPv6(ip) || ip.includes('%'))) return undefined
  if (LOOPBACK.check(ip, family)) return 'loopback'
  if (PRIVATE.check(ip, family)) return 'private'
  return isPublicAddress(ip) ? 'public' : undefined
}

/** What an address leads to; undefined if this node cannot dial it. A name counts as public: `prober.ts` checks what it resolves to. */
export function reachOf(address: Multiaddr): Reach | undefined {
  const [host, ...rest] = address.getComponents().filter(({ name }) => name !== 'p2p')
  const port = Number(rest[0]?.value ?? 0)
  if (host?.value === undefined || port === 0 || !TRANSPORTS.includes(rest.map(({ name }) => name).join('/'))) {
    return undefined
  }
  if (NAMES.includes(host.name)) return { host: host.value.toLowerCase(), isName: true, scope: 'public' }
  if (host.name !== 'ip4' && host.name !== 'ip6') return undefined
  const scope = scopeOfIp(host.value)
  return scope === undefined ? undefined : { host: host.value, isName: false, scope }
}

/**
 * The network that one party is likely to own whole: 24 bits of IPv4, 56 bits of IPv6 (RFC 6177), the last two labels of a name.
 * Undefined for an address that many nodes may share.
 */
export function siteOf(reach: Reach): string | undefined {
  return networkOf(reach, 24, 56)
}

/** The network of one provider, as far as an address shows it: 16 bits of IPv4, 32 bits of IPv6. Undefined as for `siteOf`. */
export function providerOf(reach: Reach): string | undefined {
  return networkOf(reach, 16, 32)
}

function networkOf({ host, isName, scope }: Reach, ipv4Bits: number, ipv6Bits: number): string | undefined {
  if (isName) return host.split('.').slice(-2).join('.')
  // All nodes of a private site are in one network.
  if (scope === 'private' || SHARED_HOSTS.includes(host)) return undefined
  if (isIPv4(host))
    return `${host
      .split('.')
      .slice(0, ipv4Bits / 8)
      .join('.')}/${ipv4Bits}`
  const groups = ipv6Groups(host)
  const whole = groups.slice(0, Math.floor(ipv6Bits / 16))
  const rest = ipv6Bits % 16
  if (rest > 0) whole.push((groups[whole.length] ?? 0) & (0xffff << (16 - rest)))
  return `${whole.map((group) => group.toString(16)).join(':')}::/${ipv6Bits}`
}

/** From near to far. */
const SCOPES: readonly Scope[] = ['loopback', 'private', 'public']

/** Whether addresses of a scope may be told to, and believed from, a peer in another one: never nearer ones than the peer itself. */
export function mayHearOf(peer: Scope, scope: Scope): boolean {
  return SCOPES.indexOf(scope) >= SCOPES.indexOf(peer)
}
