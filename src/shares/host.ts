import { isIPv4, isIPv6 } from 'node:net'

/** Groups of 16 bits that identify a network: one customer gets at least 64 bits (RFC 6177) and can use all addresses in them. */
const NETWORK_GROUPS = 4
const MAPPED_IPV4 = [0, 0, 0, 0, 0, 0xffff]

/**
 * The host behind an IP address, as the key of a share: an IPv4 address (also one written into an IPv6 address), or the
 * IPv6 network of 64 bits, such as `2001:db8:0:1::/64`. IPv6 loopback stays `::1`. Text that is not an address is returned unchanged.
 */
export function hostOf(address: string): string {
  if (isIPv4(address)) return address
  const plain = address.split('%', 1)[0] ?? ''
  if (!isIPv6(plain)) return address
  const groups = ipv6Groups(plain)
  if (MAPPED_IPV4.every((group, at) => groups[at] === group)) return ipv4Text(groups.slice(6))
  if (groups.slice(0, 7).every((group) => group === 0) && groups[7] === 1) return '::1'
  return `${groups
    .slice(0, NETWORK_GROUPS)
    .map((group) => group.toString(16))
    .join(':')}::/64`
}

/** The dotted text of an IPv4 address, from two groups of 16 bits. */
export function ipv4Text([high = 0, low = 0]: readonly number[]): string {
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.')
}

/** The eight groups of 16 bits of a valid IPv6 address without a zone (RFC 4291, section 2.2). */
export function ipv6Groups(address: string): number[] {
  const [head = '', tail] = address.split('::')
  const front = groupsIn(head)
  const back = tail === undefined ? [] : groupsIn(tail)
  const zeros = Array.from({ length: tail === undefined ? 0 : 8 - front.length - back.length }, () => 0)
  return [...front, ...zeros, ...back]
}

function groupsIn(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap((part) => {
    if (!part.includes('.')) return [Number.parseInt(part, 16)]
    const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number)
    return [(a << 8) | b, (c << 8) | d]
  })
}
