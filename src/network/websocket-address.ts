import { isIP } from 'node:net'

import type { Multiaddr } from '@multiformats/multiaddr'

/** Where a WebSocket address leads, and how to ask there. */
export interface WebSocketTarget {
  /** IP address or name to connect to. */
  readonly host: string
  readonly port: number
  /** 4 or 6 for `/dns4` and `/dns6`; 0: either. */
  readonly family: 0 | 4 | 6
  readonly isSecure: boolean
  /** The name in the certificate and in the header `Host`: that of `/tls/sni/<name>`, or the host. */
  readonly name: string
}

const FAMILIES: Readonly<Record<string, 0 | 4 | 6>> = { ip4: 4, ip6: 6, dns: 0, dns4: 4, dns6: 6 }

/**
 * Reads `/<host>/tcp/<port>/ws`, `/wss`, `/tls/ws` and `/tls/sni/<name>/ws`, with or without `/p2p/<peer id>`; undefined for any
 * other address.
 */
export function webSocketTarget(address: Multiaddr): WebSocketTarget | undefined {
  const components = address.getComponents()
  if (components.at(-1)?.name === 'p2p') components.pop()
  const [host, port, ...rest] = components
  const family = FAMILIES[host?.name ?? '']
  if (host?.value === undefined || family === undefined || port?.name !== 'tcp') return undefined
  const text = rest.map(({ name }) => name).join('/')
  if (!['ws', 'wss', 'tls/ws', 'tls/sni/ws'].includes(text)) return undefined
  const name = rest.find((each) => each.name === 'sni')?.value ?? host.value
  return { host: host.value, port: Number(port.value), family, isSecure: text !== 'ws', name }
}

/** The URL to ask. Its host is the name in the header `Host`. */
export function webSocketUrl({ isSecure, name, port }: WebSocketTarget): string {
  return `${isSecure ? 'wss' : 'ws'}://${isIP(name) === 6 ? `[${name}]` : name}:${port}/`
}
