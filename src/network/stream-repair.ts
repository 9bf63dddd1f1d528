import type { Connection, PeerId } from '@libp2p/interface'

import type { Timers } from '../platform/environment.ts'
import type { Logger } from '../observe/types.ts'

/** All versions of the gossipsub protocol begin so (libp2p specs, pubsub/gossipsub). */
const GOSSIP_PROTOCOL_PREFIX = '/meshsub/'

export function isGossipProtocol(protocol: string): boolean {
  return protocol.startsWith(GOSSIP_PROTOCOL_PREFIX)
}

export interface StreamRepairComponents {
  readonly timers: Timers
  readonly logger: Logger
  readonly connections: () => Connection[]
  /** Whether the peer has said that it speaks gossipsub. */
  readonly speaksGossip: (peer: PeerId) => boolean
  /** Tells gossipsub, as if anew, that the peer is connected. */
  readonly announce: (peer: PeerId, connection: Connection) => void
}

export interface StreamRepair {
  start(): void
  /** Looks once, now. */
  check(): void
  stop(): void
}

/**
 * Gossipsub opens one stream to a peer when it connects, and never another: not when that stream was dropped because it
 * was too slow, nor when the peer has a second connection and the first, with the stream, is closed. The peer then gets
 * no message any more, and nothing tells. So: look now and then, and where a connected peer lacks its stream at two
 * looks in a row, have gossipsub open it.
 */
export function createStreamRepair(components: StreamRepairComponents, intervalMs: number): StreamRepair {
  let lacking = new Set<string>()
  let cancel: (() => void) | undefined

  function check(): void {
    const open = new Map<string, Connection>()
    const served = new Set<string>()
    for (const connection of components.connections()) {
      if (connection.status !== 'open') continue
      const peer = connection.remotePeer.toString()
      if (connection.streams.some(isOwnGossipStream)) served.add(peer)
      else if (components.speaksGossip(connection.remotePeer)) open.set(peer, connection)
    }
    const found = new Set<string>()
    for (const [peer, connection] of open) {
      if (served.has(peer)) continue
      found.add(peer)
      if (!lacking.has(peer)) continue
      components.logger.debug({ peer }, 'gossip stream to a connected peer was closed; opening it again')
      components.announce(connection.remotePeer, connection)
    }
    lacking = found
  }

  function schedule(): void {
    cancel = components.timers.after(intervalMs, () => {
      check()
      schedule()
    })
  }

  return { start: schedule, check, stop: () => cancel?.() }
}

function isOwnGossipStream(stream: Connection['streams'][number]): boolean {
  return stream.direction === 'outbound' && stream.writeStatus === 'writable' && isGossipProtocol(stream.protocol)
}
