import type { IncomingMessage } from 'node:http'
import { isIPv4, isIPv6 } from 'node:net'

import { hostOf } from '../../shares/host.ts'
import { createNetworkList } from '../../shares/networks.ts'
import type { Source } from '../../shares/types.ts'

/** Proxies between a client and the node that are looked through; real chains have one to three. */
const MAX_HOPS = 16

/** The client that a request or connection comes from. */
export interface Client extends Source {
  /** Its IP address, for log lines. */
  readonly address: string
}

export interface ClientAddresses {
  /**
   * The client of a request: the peer of its connection; where that is a trusted proxy, the address that the proxy names.
   * Of several addresses in `X-Forwarded-For` or `Forwarded` (RFC 7239) it is the rightmost that is no trusted proxy, since
   * the client can have sent anything to its left.
   *
   * A proxy sets one of the two headers and passes the other on as the client sent it: by default nginx, Caddy and Traefik
   * pass on `Forwarded`, and HAProxy with `option forwarded` passes on `X-Forwarded-For`. The node cannot tell which one the
   * proxy set. So where the two name different clients, neither counts: all such requests of a proxy have one host's share.
   */
  ofRequest(request: Pick<IncomingMessage, 'socket' | 'headers'>): Client
  /** The peer of a connection. `isShared` if it is a trusted proxy, because its clients are not known yet. */
  ofSocket(socket: { readonly remoteAddress?: string | undefined }): Client
}

/** @param trusted proxies, as `createNetworkList` takes them */
export function createClientAddresses(trusted: readonly string[]): ClientAddresses {
  const isProxy = createNetworkList(trusted)
  /** Look-ups in the list took 15 µs of CPU a request: each needs the peer of its connection several times. */
  const peers = new WeakMap<object, Client>()

  function ofSocket(socket: { readonly remoteAddress?: string | undefined }): Client {
    const known = peers.get(socket)
    if (known !== undefined) return known
    const address = plainAddress(socket.remoteAddress ?? '')
    const peer = { address, key: hostOf(address), isShared: isProxy(address) }
    // A connection that is gone has no address any more.
    if (address !== '') peers.set(socket, peer)
    return peer
  }

  return {
    ofSocket,
    ofRequest({ socket, headers }) {
      const peer = ofSocket(socket)
      if (peer.isShared !== true) return peer
      const { 'x-forwarded-for': list, forwarded } = headers
      if (list === undefined) return forwarded === undefined ? peer : namedBy(peer, elements(forwarded).map(forOf))
      const client = namedBy(peer, elements([list].flat().join(',')))
      if (forwarded === undefined || namedBy(peer, elements(forwarded).map(forOf)).address === client.address)
        return client
      return { address: peer.address, key: `contradicting headers by ${peer.key}` }
    },
  }

  /** The client behind a proxy. */
  function namedBy(peer: Client, names: readonly string[]): Client {
    let client = peer
    for (const name of names) {
      const address = addressIn(name)
      // Hidden or unknown (RFC 7239, section 6): the client of the last proxy that is known.
      if (address === undefined) return client
      client = { address, key: hostOf(address), isShared: isProxy(address) }
      if (client.isShared !== true) return client
    }
    return client
  }
}

/** The last elements of a header's list, the last proxy's first. */
function elements(list: string): string[] {
  return list.split(',').slice(-MAX_HOPS).toReversed()
}

/** The value of `for` in one element of `Forwarded`; empty if there is none. */
function forOf(element: string): string {
  return /(?:^|;)\s*for\s*=\s*"?([^";]*)/i.exec(element)?.[1] ?? ''
}

/** The IP address in `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`. */
function addressIn(text: string): string | undefined {
  const trimmed = text.trim()
  const address = /^\[([^\]]*)\](?::\d+)?$/.exec(trimmed)?.[1] ?? /^([\d.]+):\d+$/.exec(trimmed)?.[1] ?? trimmed
  return isIPv4(address) || isIPv6(address) ? plainAddress(address) : undefined
}

/** An IPv4 address that a socket of both families shows as `::ffff:192.0.2.1`, without that. */
function plainAddress(address: string): string {
  const mapped = /^::ffff:([\d.]+)$/i.exec(address)?.[1]
  return mapped !== undefined && isIPv4(mapped) ? mapped : address
}
