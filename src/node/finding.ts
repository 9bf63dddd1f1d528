import type { PrivateKey } from '@libp2p/interface'

import type { Config } from '../config/load.ts'
import { createFinder } from '../find/finder.ts'
import { RECEIPT_RATES } from '../find/limits.ts'
import { createReceiptIssuer } from '../find/receipt-issuer.ts'
import type { Finder, ReceiptIssuer } from '../find/types.ts'
import type { Hosting } from '../hosting/types.ts'
import type { Network } from '../network/types.ts'
import type { Metrics } from '../observe/types.ts'
import type { Environment } from '../platform/environment.ts'
import type { StoreReader } from '../store/types.ts'
import { homesOf } from './hosting.ts'

interface Parts {
  /** The records of hosted avatars. */
  readonly store: StoreReader
  readonly hosting: Hosting
  readonly network: Network
  readonly privateKey: PrivateKey
  readonly environment: Environment
  readonly metrics: Metrics
}

/** Signs receipts with the node's key, and finds the hosts of avatars. */
export function openFinder(
  { store, hosting, network, privateKey, environment, metrics }: Parts,
  config: Pick<Config, 'network' | 'httpPublicUrl'>,
): { readonly receipts: ReceiptIssuer; readonly finder: Finder } {
  const { peerId } = network
  const signer = { peerId, sign: (bytes: Uint8Array) => privateKey.sign(bytes) }
  const issuing = { network: config.network, rates: RECEIPT_RATES }
  const receipts = createReceiptIssuer({ store, clock: environment.clock, signer }, issuing)
  const finder = createFinder(
    {
      transport: network.find,
      receipts,
      peerId,
      homesOf: (avatar) => homesOf(store, hosting, avatar),
      addresses: () => network.addresses(),
      urls: () => (config.httpPublicUrl === '' ? [] : [config.httpPublicUrl]),
      environment,
      metrics,
    },
    { network: config.network },
  )
  return { receipts, finder }
}
