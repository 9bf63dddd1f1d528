import { multiaddr } from '@multiformats/multiaddr'
import { messageOf } from '../platform/errors.ts'

export interface HostPort {
  readonly host: string
  readonly port: number
}

/** Parses `HOST:PORT` or `[IPv6]:PORT`; undefined if the text is neither. */
export function parseHostPort(text: string): HostPort | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/[\]]+)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  return host === undefined || port > 65_535 ? undefined : { host, port }
}

export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** The `http://` URL by which this machine reaches a server that listens at the address. */
export function urlOf({ host, port }: HostPort): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `http://${formatHostPort({ host: reachable, port })}/`
}

/** Explains why a text is no TCP multiaddr; undefined if it is one. */
export function multiaddrProblem(text: string): string | undefined {
  try {
    const names = multiaddr(text)
      .getComponents()
      .map((component) => component.name)
    return names.includes('tcp') ? undefined : 'it is not a TCP address'
  } catch (error) {
    return messageOf(error)
  }
}
