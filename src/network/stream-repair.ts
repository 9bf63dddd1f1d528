import type { Connection, PeerId } from '@libp2p/interface'

import type { Timers } from '../platform/environment.ts'
import type { Logger } from '../observe/types.ts'

/** The names of all versions of the gossipsub protocol begin with this (libp2p specs, pubsub/gossipsub). */
const GOSSIP_PROTOCOL_PREFIX = '/meshsub/'

export function isGossipProtocol(protocol: string): boolean {
  return protocol.startsWith(GOSSIP_PROTOCOL_PREFIX)
}

export interface StreamRepairComponents {
  readonly timers: Timers
  readonly logger: Logger
  readonly connections: () => Connection[]
  /** Whether the peer has said that it supports gossipsub. */
  readonly speaksGossip: (peer: PeerId) => boolean
  /** Tells gossipsub again that the peer is connected. */
  readonly announce: (peer: PeerId, connection: Connection) => void
}

/**
 * Gossipsub opens one stream to a peer when it connects, and never another: not after the stream was dropped because it was too
 * slow, nor when the connection with the stream closes and the peer has a second one. The peer then gets no messages, without
 * any error. So this checks now and then, and if a connected peer lacks its stream at two checks in a row, it makes gossipsub
 * open one.
 */
export function createStreamRepair(components: StreamRepairComponents, intervalMs: number) {
  let lacking = new Set<string>()
  let cancel: (() => void) | undefined

  /** Checks all peers once. */
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
