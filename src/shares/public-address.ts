/**
 * Tells public internet addresses from all others. An address is public unless an IANA registry of special-purpose addresses
 * (IPv4, IPv6) lists it. An IPv6 address that embeds an IPv4 address is public if the embedded one is.
 */
import { BlockList, isIPv4, isIPv6 } from 'node:net'

import { ipv4Text, ipv6Groups } from './host.ts'

const SPECIAL_IPV4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8], // this network (RFC 791)
  ['10.0.0.0', 8], // private (RFC 1918)
  ['100.64.0.0', 10], // shared by carriers' NAT (RFC 6598)
  ['127.0.0.0', 8], // loopback
  ['169.254.0.0', 16], // link-local (RFC 3927), includes cloud metadata services
  ['172.16.0.0', 12], // private
  ['192.0.0.0', 24], // protocol assignments (RFC 6890)
  ['192.0.2.0', 24], // documentation (RFC 5737)
  ['192.31.196.0', 24], // AS112 (RFC 7535)
  ['192.52.193.0', 24], // AMT (RFC 7450)
  ['192.88.99.0', 24], // 6to4 relays, deprecated (RFC 7526)
  ['192.168.0.0', 16], // private
  ['192.175.48.0', 24], // AS112 (RFC 7534)
  ['198.18.0.0', 15], // benchmarks (RFC 2544)
  ['198.51.100.0', 24], // documentation
  ['203.0.113.0', 24], // documentation
  ['224.0.0.0', 4], // multicast
  ['240.0.0.0', 4], // reserved, and broadcast
]

/** Within 2000::/3; no address outside of it is public. */
const SPECIAL_IPV6: readonly (readonly [string, number])[] = [
  ['2001::', 23], // protocol assignments, includes Teredo and ORCHID (RFC 2928)
  ['2001:db8::', 32], // documentation (RFC 3849)
  ['2620:4f:8000::', 48], // AS112 (RFC 7534)
  ['3fff::', 20], // documentation (RFC 9637)
]

const ipv4Rules = new BlockList()
for (const [net, prefix] of SPECIAL_IPV4) ipv4Rules.addSubnet(net, prefix, 'ipv4')
const ipv6Rules = new BlockList()
for (const [net, prefix] of SPECIAL_IPV6) ipv6Rules.addSubnet(net, prefix, 'ipv6')
const globalUnicast = new BlockList()
globalUnicast.addSubnet('2000::', 3, 'ipv6')

/** Prefixes of IPv6 addresses that embed an IPv4 address, in groups of 16 bits, and the group at which it begins. */
const EMBEDDINGS: readonly (readonly [readonly number[], number])[] = [
  [[0, 0, 0, 0, 0, 0xffff], 6], // mapped (RFC 4291, section 2.5.5.2)
  [[0x64, 0xff9b, 0, 0, 0, 0], 6], // NAT64 (RFC 6052)
  [[0x2002], 1], // 6to4 (RFC 3056)
]

/** Whether a text is an address of the public internet; false for a text that is not an address. */
export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !ipv4Rules.check(address, 'ipv4')
  // A zone names an interface of this machine.
  if (!isIPv6(address) || address.includes('%')) return false
  const groups = ipv6Groups(address)
  for (const [prefix, at] of EMBEDDINGS) {
    if (!prefix.every((group, index) => groups[index] === group)) continue
    return isPublicAddress(ipv4Text(groups.slice(at, at + 2)))
  }
  return globalUnicast.check(address, 'ipv6') && !ipv6Rules.check(address, 'ipv6')
}
