import { networkInterfaces } from 'node:os'

import type { Connection } from '@libp2p/interface'

import type { Logger } from '../observe/types.ts'
import type { Timers } from '../platform/environment.ts'

export interface InterfaceWatchLimits {
  /** How often the addresses of this machine are read: a home that gets another address is found again within a minute. */
  readonly everyMs: number
  /** Time for a peer to answer over a connection that may be dead. */
  readonly answerMs: number
}

/** IP addresses of this machine that other machines may use. */
export function machineAddresses(): string[] {
  const found = Object.values(networkInterfaces()).flatMap((each) => each ?? [])
  return found.filter(({ internal, scopeid = 0 }) => !internal && scopeid === 0).map(({ address }) => address)
}

/**
 * Notices that this machine has other addresses, as after a change of the network. No peer and no system tells a program so: a connection over an
 * address that is gone looks open until something is sent.
 */
export function createInterfaceWatch(
  components: {
    readonly timers: Timers
    readonly logger: Logger
    readonly addresses: () => readonly string[]
    readonly connections: () => readonly Connection[]
    /** Asks the peer of a connection for an answer. Rejects if none comes. */
    readonly ask: (connection: Connection, signal: AbortSignal) => Promise<unknown>
    /** Called at a change, before connections are tried. */
    readonly onChange: () => void
  },
  limits: InterfaceWatchLimits,
) {
  const { timers, logger, addresses, connections, ask, onChange } = components
  let known: ReadonlySet<string> = new Set()
  let cancel: (() => void) | undefined

  /** Closes a connection whose peer does not answer, so that it is dialled again. */
  async function test(connection: Connection): Promise<void> {
    try {
      await ask(connection, AbortSignal.timeout(limits.answerMs))
    } catch {
      if (connection.status !== 'open') return
      logger.debug({ peer: connection.remotePeer.toString() }, 'a connection did not outlive a change of addresses')
      connection.abort(new Error('The addresses of this machine changed, and the peer does not answer.'))
    }
  }

  function look(): void {
    cancel = timers.after(limits.everyMs, look)
    const now = new Set(addresses())
    const gone = [...known].filter((each) => !now.has(each))
    const added = [...now].filter((each) => !known.has(each))
    known = now
    if (gone.length === 0 && added.length === 0) return
    logger.info(
      { gone, added },
      'the addresses of this machine changed; the node tries its connections and tells its peers',
    )
    onChange()
    if (gone.length > 0) for (const connection of connections()) void test(connection)
  }

  return {
    start(): void {
      known = new Set(addresses())
      cancel = timers.after(limits.everyMs, look)
    },
    stop(): void {
      cancel?.()
    },
  }
}
