import { generateKeyPair } from '@libp2p/crypto/keys'

import { createNetwork } from '../network/network.ts'
import type { Environment } from '../platform/environment.ts'
import type { Logger, Metrics } from '../observe/types.ts'
import { MigrateError } from './errors.ts'
import { CONNECT_MS } from './limits.ts'
import type { Staging } from './staging.ts'
import { throwIfStopped } from './wait.ts'

/** Pause between two checks whether the peer is connected. */
const LOOK_MS = 50

export type PeerLink = Awaited<ReturnType<typeof openPeerLink>>

/**
 * Connects to the node at a multiaddr, under a temporary peer id, and dials again when the connection is lost. It listens
 * nowhere and serves nobody.
 *
 * @throws NetworkError `invalid_address`
 */
export async function openPeerLink(
  components: {
    readonly environment: Environment
    readonly logger: Logger
    readonly metrics: Metrics
    readonly staging: Staging
  },
  address: string,
) {
  const { environment, logger, metrics, staging } = components
  const privateKey = await generateKeyPair('Ed25519')
  const network = await createNetwork(
    { ingest: staging.ingest, environment, logger, metrics, privateKey },
    { network: staging.network, listen: [], peers: [address], agent: 'avatar-kv-migrate', gossip: false },
  )
  await network.start()

  /** The peer, once it has announced the protocol. */
  async function connected(signal: AbortSignal): Promise<string> {
    for (let waitedMs = 0; ; waitedMs += LOOK_MS) {
      throwIfStopped(signal)
      const [peer] = network.sync.peers()
      if (peer !== undefined) return peer
      if (waitedMs >= CONNECT_MS) {
        const why = network.peers().length === 0 ? 'nothing answers' : 'the node there does not speak avatar-kv sync'
        throw new MigrateError('unreachable', `${address} cannot be reached: ${why} within ${CONNECT_MS / 1_000} s.`)
      }
      await new Promise((resolve) => {
        setTimeout(resolve, LOOK_MS)
      })
    }
  }

  return {
    /** Opens a stream of the sync protocol, and returns the peer's id with it. */
    async open(signal: AbortSignal) {
      const peer = await connected(signal)
      return { peer, stream: await network.sync.open(peer, signal) }
    },
    close: () => network.stop(),
  }
}
