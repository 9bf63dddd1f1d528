import type { LookupAddress } from 'node:dns'
import { lookup as systemLookup } from 'node:dns/promises'
import { once } from 'node:events'
import type { Server as HttpServer } from 'node:http'
import { createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import { codeOf } from '../../platform/errors.ts'

/** An IP address and a port. */
export interface Listened {
  readonly host: string
  readonly port: number
}

/** Returns the addresses of a host name, as `lookup` of `node:dns/promises` does with `all`. */
export type LookupAll = (host: string) => Promise<readonly Pick<LookupAddress, 'address'>[]>

export interface Listening {
  /** Every address that the server listens on, in the order of the host name's addresses. */
  readonly addresses: readonly Listened[]
  /** Stops listening. Resolves once all connections have ended. */
  close(): Promise<void>
}

/** The server cannot listen on one of its addresses; `cause` is the error of the system. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
  readonly address: Listened

  constructor(address: Listened, cause: unknown) {
    super(`Cannot listen on ${address.host}, port ${address.port}.`, { cause })
    this.address = address
  }
}

/** Attempts with port 0: the free port of the first address may be taken on another one. */
const FREE_PORT_ATTEMPTS = 10

const lookupAll: LookupAll = (host) => systemLookup(host, { all: true })

/**
 * Listens on every address of a host name, on one port: `localhost` is 127.0.0.1 and ::1 on many machines. All connections
 * go to one server, so its limits apply to all addresses together. `::` accepts IPv4 too.
 *
 * @param port 0 chooses a free port, the same on all addresses
 * @throws ListenError if it cannot listen on one address; then it listens on none. The error of the look-up if the name has
 *   no address.
 */
export async function listenOnAll(
  server: HttpServer,
  { host, port }: Listened,
  lookup: LookupAll = lookupAll,
): Promise<Listening> {
  const hosts = [...new Set((await lookup(host)).map(({ address }) => address))]
  for (let attempt = 1; ; attempt++) {
    const servers: Server[] = []
    try {
      for (const address of hosts) {
        const one = servers.length === 0 ? server : forwardingTo(server)
        await listenOn(one, { host: address, port: servers[0] === undefined ? port : addressOf(servers[0]).port })
        servers.push(one)
      }
      return { addresses: servers.map(addressOf), close: () => closeAll(servers) }
    } catch (error) {
      await closeAll(servers)
      const isTaken = error instanceof ListenError && codeOf(error.cause) === 'EADDRINUSE'
      if (port !== 0 || !isTaken || attempt === FREE_PORT_ATTEMPTS) throw error
    }
  }
}

/** Returns a server that passes its connections to `server`, with the options that Node's HTTP servers use. */
function forwardingTo(server: HttpServer): Server {
  return createServer({ allowHalfOpen: true, noDelay: true }, (socket) => server.emit('connection', socket))
}

async function listenOn(server: Server, address: Listened): Promise<void> {
  try {
    server.listen(address)
    await once(server, 'listening')
  } catch (error) {
    throw new ListenError(address, error)
  }
}

async function closeAll(servers: readonly Server[]): Promise<void> {
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
}

function addressOf(server: Server): Listened {
  const { address, port } = server.address() as AddressInfo
  return { host: address, port }
}
