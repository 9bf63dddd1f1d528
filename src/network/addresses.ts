import type { PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { CODE_P2P, multiaddr } from '@multiformats/multiaddr'
import type { Multiaddr } from '@multiformats/multiaddr'

import { messageOf } from '../platform/errors.ts'
import { NetworkError } from './errors.ts'
import { reachOf } from './reach.ts'
import { webSocketTarget } from './websocket-address.ts'

const LISTEN_HOSTS: readonly string[] = ['ip4', 'ip6']
const DIAL_HOSTS: readonly string[] = [...LISTEN_HOSTS, 'dns', 'dns4', 'dns6']

const LISTEN_EXAMPLE = '/ip4/0.0.0.0/tcp/7701'

/** An address is shown up to this length in an error message. */
const MAX_SHOWN_CHARACTERS = 200

/**
 * Reads an address to listen on: `/ip4/<address>/tcp/<port>` or `/ip6/…`, and `/ws` after it for WebSockets without TLS; port 0
 * lets the system choose.
 *
 * @throws NetworkError `invalid_address`
 */
export function parseListenAddress(text: string): Multiaddr {
  const { address, rest } = parse(text, LISTEN_HOSTS, LISTEN_EXAMPLE)
  if (rest.some(({ name }) => name === 'tls' || name === 'wss')) {
    throw invalid(text, 'TLS is for the proxy in front of the node', '/ip4/127.0.0.1/tcp/4383/ws')
  }
  if (rest.length > 0 && (rest.length > 1 || rest[0]?.name !== 'ws')) {
    throw invalid(text, 'only /ws may follow the port', LISTEN_EXAMPLE)
  }
  return address
}

/**
 * Reads the address of a peer: host (`ip4`, `ip6`, `dns`, `dns4`, `dns6`), TCP port, what WebSockets need (`/ws`, `/wss`, `/tls/ws`,
 * `/tls/sni/<name>/ws`) and, where it is known, `/p2p/<peer id>`, without which the node trusts any peer that answers there.
 *
 * @throws NetworkError `invalid_address`
 */
export function parsePeerAddress(text: string): { address: Multiaddr; peer: PeerId | undefined } {
  const example = '/dns4/node.example.org/tcp/7701 or /ip4/203.0.113.7/tcp/7701/p2p/12D3KooW…'
  const { address, port, rest } = parse(text, DIAL_HOSTS, example)
  if (Number(port) === 0) throw invalid(text, 'no node can be reached on port 0', example)
  const last = rest.at(-1)?.name === 'p2p' ? rest.pop() : undefined
  if (rest.length > 0 && webSocketTarget(address) === undefined) {
    throw invalid(text, 'only /ws, /wss or /tls/ws, and then /p2p/<peer id>, may follow the port', example)
  }
  if (last?.value === undefined) return { address, peer: undefined }
  try {
    return { address, peer: peerIdFromString(last.value) }
  } catch {
    throw invalid(text, 'what follows /p2p/ is not a peer id', example)
  }
}

/**
 * Reads an address that this node tells others as its own: the address of a peer, with or without this node's peer id.
 *
 * @returns without `/p2p/<peer id>`
 * @throws NetworkError `invalid_address`
 */
export function parseAnnouncedAddress(text: string, own: PeerId): Multiaddr {
  const { address, peer } = parsePeerAddress(text)
  const example = '/dns/node.example.org/tcp/443/tls/ws or /ip4/203.0.113.7/tcp/7701'
  if (peer !== undefined && !peer.equals(own))
    throw invalid(text, `the peer id of this node is ${own.toString()}`, example)
  if (reachOf(address) === undefined) throw invalid(text, 'no peer can dial it', example)
  return address.decapsulateCode(CODE_P2P)
}

function parse(text: string, hosts: readonly string[], example: string) {
  let address: Multiaddr
  try {
    address = multiaddr(text)
  } catch (error) {
    throw invalid(text, messageOf(error), example)
  }
  const [host, port, ...rest] = address.getComponents()
  if (host === undefined || !hosts.includes(host.name) || port?.name !== 'tcp') {
    throw invalid(text, `it must begin with a host (${hosts.join(', ')}) and a TCP port`, example)
  }
  return { address, port: port.value, rest }
}

function invalid(text: string, reason: string, example: string): NetworkError {
  return new NetworkError(
    'invalid_address',
    `Cannot use the address "${text.slice(0, MAX_SHOWN_CHARACTERS)}": ${reason}. Write it like ${example}.`,
  )
}
