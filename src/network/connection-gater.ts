import type { Connection, ConnectionGater, MultiaddrConnection } from '@libp2p/interface'

type Address = Connection['remoteAddr']

/**
 * Lets in at most so many connections from one host, so that one machine cannot take all places; loopback is free. Any
 * address may be dialled, private ones too: a node may well live in a private network.
 *
 * @param connections those that are open now
 */
export function limitPerHost(connections: () => readonly Connection[], connectionsPerHost: number): ConnectionGater {
  return {
    denyDialMultiaddr: () => false,
    denyInboundConnection(candidate: MultiaddrConnection) {
      const host = hostOf(candidate.remoteAddr)
      if (host === undefined || isLoopback(host)) return false
      const open = connections().filter(
        ({ direction, remoteAddr }) => direction === 'inbound' && hostOf(remoteAddr) === host,
      )
      return open.length >= connectionsPerHost
    },
  }
}

function hostOf(address: Address): string | undefined {
  return address.getComponents()[0]?.value
}

function isLoopback(host: string): boolean {
  return host.startsWith('127.') || host === '::1' || host.startsWith('::ffff:127.')
}
