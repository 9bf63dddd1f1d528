import { isIP } from 'node:net'

import { hostOfHome, isLocalName } from '../homes/homes.ts'
import { isPublicAddress } from '../shares/public-address.ts'

/**
 * Whether a home (a URL or a multiaddr, normalised) names a public address or a name of the public internet. What a name
 * resolves to must be checked when it is used: see `createPullGuard`.
 */
export function isPublicHome(home: string): boolean {
  const host = hostOfHome(home)
  return isIP(host) === 0 ? !isLocalName(host) : isPublicAddress(host)
}

/** The addresses that a client may see: one of the public internet gets no address of a private network. */
export function addressesFor(client: string, addresses: readonly string[]): string[] {
  return isPublicAddress(client) ? addresses.filter(isPublicHome) : [...addresses]
}
