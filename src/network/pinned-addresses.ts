import { Resolver } from 'node:dns/promises'

import type { Multiaddr } from '@multiformats/multiaddr'
import { multiaddr } from '@multiformats/multiaddr'

import { reachOf, scopeOfIp } from './reach.ts'

/** Answers the IP addresses of a name, of one family. */
export type ResolveHost = (name: string, family: 4 | 6) => Promise<string[]>

/** A name may have any number of addresses; a peer that needs more than two of a family does not exist. */
const MAX_IPS = 2
const DNS_TIMEOUT_MS = 5000
const DNS_TRIES = 2

const FAMILIES: Readonly<Record<string, readonly (4 | 6)[]>> = { dns: [4, 6], dns4: [4], dns6: [6] }

/** The resolver of this system: no central service is asked. */
export function systemResolveHost(): ResolveHost {
  const resolver = new Resolver({ timeout: DNS_TIMEOUT_MS, tries: DNS_TRIES })
  return (name, family) => (family === 4 ? resolver.resolve4(name) : resolver.resolve6(name))
}

/**
 * The addresses to dial for one that a stranger told: with an IP address in place of a name, so that what is dialled is what was checked. A second
 * answer of DNS could lead into the operator's network (DNS rebinding).
 *
 * Empty if the name has no address, or one that is not public.
 */
export async function pinnedAddresses(address: Multiaddr, resolveHost: ResolveHost): Promise<Multiaddr[]> {
  const reach = reachOf(address)
  if (reach === undefined) return []
  if (!reach.isName) return [address]
  const [host, port, ...rest] = address.getComponents()
  const families = FAMILIES[host?.name ?? ''] ?? []
  const found = await Promise.all(families.map((family) => resolveHost(reach.host, family).catch(() => [])))
  if (found.flat().some((ip) => scopeOfIp(ip) !== 'public')) return []
  const ips = found.flatMap((each) => each.slice(0, MAX_IPS))
  // TLS still asks for the name.
  const isSecure = rest.some(({ name }) => name === 'wss' || name === 'tls')
  const name = rest.find((each) => each.name === 'sni')?.value ?? reach.host
  const transport = isSecure ? `/tls/sni/${name}/ws` : rest.map((each) => `/${each.name}`).join('')
  return ips.map((ip) => multiaddr(`/ip${ip.includes(':') ? 6 : 4}/${ip}/tcp/${port?.value ?? ''}${transport}`))
}
