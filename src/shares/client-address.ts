import { isIPv4, isIPv6 } from 'node:net'

import { hostOf } from './host.ts'
import { createNetworkList } from './networks.ts'
import type { Source } from './types.ts'

/** Proxies between a client and the node that are followed; real chains have one to three. */
const MAX_HOPS = 16

/** The client of a request or connection. */
export interface Client extends Source {
  /** Its IP address, for log lines. */
  readonly address: string
}

/** What is read of a request; an `IncomingMessage` of `node:http` has it. */
interface RequestOrigin {
  readonly socket: { readonly remoteAddress?: string | undefined }
  readonly headers: {
    readonly 'x-forwarded-for'?: string | string[] | undefined
    readonly forwarded?: string | undefined
  }
}

export interface ClientAddresses {
  /**
   * Returns the client of a request: the peer of the connection or, if that is a trusted proxy, the address that the proxy
   * names in `X-Forwarded-For` or `Forwarded` (RFC 7239). Of several addresses it is the rightmost that is not a trusted proxy;
   * the client can forge everything to its left.
   *
   * A proxy sets one of the two headers and passes the other on as the client sent it: by default nginx, Caddy and Traefik
   * pass on `Forwarded`, and HAProxy with `option forwarded` passes on `X-Forwarded-For`. The node cannot tell which one the
   * proxy set. So if the two name different clients, both are ignored, and all such requests of a proxy use one share.
   */
  ofRequest(request: RequestOrigin): Client
  /** Returns the peer of a connection; `isShared` if it is a trusted proxy, whose clients are not known yet. */
  ofSocket(socket: { readonly remoteAddress?: string | undefined }): Client
}

/** @param trusted proxies, as `createNetworkList` takes them */
export function createClientAddresses(trusted: readonly string[]): ClientAddresses {
  const isProxy = createNetworkList(trusted)
  /** Cached, because each request needs its peer several times: look-ups in the list took 15 µs of CPU a request. */
  const peers = new WeakMap<object, Client>()

  function ofSocket(socket: { readonly remoteAddress?: string | undefined }): Client {
    const known = peers.get(socket)
    if (known !== undefined) return known
    const address = plainAddress(socket.remoteAddress ?? '')
    const peer = { address, key: hostOf(address), isShared: isProxy(address) }
    // A closed connection has no address.
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
      // A proxy may hide the address (RFC 7239, section 6); then the last known proxy stands for its client.
      if (address === undefined) return client
      client = { address, key: hostOf(address), isShared: isProxy(address) }
      if (client.isShared !== true) return client
    }
    return client
  }
}

/** Returns the last elements of a header's list, in reverse order: the nearest proxy first. */
function elements(list: string): string[] {
  return list.split(',').slice(-MAX_HOPS).toReversed()
}

/** Returns the value of `for` in one element of `Forwarded`; empty if there is none. */
function forOf(element: string): string {
  return /(?:^|;)\s*for\s*=\s*"?([^";]*)/i.exec(element)?.[1] ?? ''
}

/** Returns the IP address in `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`. */
function addressIn(text: string): string | undefined {
  const trimmed = text.trim()
  const address = /^\[([^\]]*)\](?::\d+)?$/.exec(trimmed)?.[1] ?? /^([\d.]+):\d+$/.exec(trimmed)?.[1] ?? trimmed
  return isIPv4(address) || isIPv6(address) ? plainAddress(address) : undefined
}

/** Removes the prefix of an IPv4-mapped address, such as `::ffff:192.0.2.1`, as dual-stack sockets show it. */
function plainAddress(address: string): string {
  const mapped = /^::ffff:([\d.]+)$/i.exec(address)?.[1]
  return mapped !== undefined && isIPv4(mapped) ? mapped : address
}
