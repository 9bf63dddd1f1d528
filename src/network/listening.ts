import type { Transport } from '@libp2p/interface'

import { messageOf } from '../platform/errors.ts'
import { NetworkError } from './errors.ts'

/** What the system says of an address, and what to do, by error code of Node.js. */
const PROBLEMS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is already in use. Stop the program that uses it, or choose another port',
  EACCES: 'this user may not use that port. Choose a port above 1023',
  EADDRNOTAVAIL: 'this machine has no such address. Choose one that it has',
  EAFNOSUPPORT: 'this machine does not support that kind of address. Choose another kind',
  EINVAL: 'the system rejects that address. A link-local address cannot be used; choose another one',
  ENOTFOUND: 'there is no such host. Choose an address of this machine',
}

/**
 * A record of each address on which a transport could not listen. libp2p starts without an error if all IPv4 addresses work and
 * no IPv6 address does, and reports all errors of a start in one text.
 */
export function createListening() {
  const failures = new Map<string, unknown>()
  return {
    /** The transport, with its failures recorded. */
    watched(transport: Transport): Transport {
      const createListener = transport.createListener.bind(transport)
      transport.createListener = (options) => {
        const listener = createListener(options)
        const listen = listener.listen.bind(listener)
        listener.listen = async (address) => {
          try {
            await listen(address)
          } catch (error) {
            failures.set(address.toString(), error)
            throw error
          }
        }
        return listener
      }
      return transport
    },
    /**
     * To be called when libp2p has started.
     *
     * @throws NetworkError `listen_failed` where the node does not listen on one of the addresses that were asked for
     */
    check() {
      for (const [address, error] of failures) {
        const why = listenProblem(error)
        throw new NetworkError('listen_failed', `Cannot listen for peers on ${address}: ${why} with --listen.`, {
          cause: error,
        })
      }
    },
  }
}

/** Why an address cannot be listened on, and what to do. The caller adds with which option, and a full stop. */
export function listenProblem(error: unknown): string {
  const known = error instanceof Error && 'code' in error ? PROBLEMS[String(error.code)] : undefined
  if (known !== undefined) return known
  return `${messageOf(error)}. Choose another address`
}
