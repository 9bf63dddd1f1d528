/** How this node is reached from outside: it asks its router for a port, and its peers whether they can dial it. */
import type { Libp2p } from '@libp2p/interface'

import type { Logger, Metrics } from '../observe/types.ts'
import type { Environment } from '../platform/environment.ts'
import { createDialBack } from './dial-back.ts'
import type { DialBackLimits } from './dial-back.ts'
import { findRouter } from './find-router.ts'
import type { Libp2pParts } from './libp2p-parts.ts'
import { createOutsideView } from './outside-view.ts'
import type { OutsideViewLimits } from './outside-view.ts'
import type { OwnAddresses } from './own-addresses.ts'
import { createPortForwarding } from './port-forwarding.ts'
import type { PortForwardingLimits } from './port-forwarding.ts'

export function createBeingReached(
  components: {
    readonly environment: Environment
    readonly logger: Logger
    readonly metrics: Pick<Metrics, 'stranger'>
    readonly libp2p: Libp2p
    readonly parts: () => Libp2pParts
    readonly own: OwnAddresses
  },
  { asksRouter }: { readonly asksRouter: boolean },
  limits: {
    readonly dialBack: DialBackLimits
    readonly outside: OutsideViewLimits
    readonly forwarding: PortForwardingLimits
  },
) {
  const { environment, logger, own } = components
  const dialBack = createDialBack(components, limits.dialBack)
  const asking = { timers: environment.timers, logger, listening: own.listening, find: findRouter }
  const forwarding = asksRouter ? createPortForwarding(asking, limits.forwarding) : undefined
  const outside = createOutsideView({ ...components, dialBack, forwarding }, limits.outside)
  return {
    reachability: outside.reachability,
    /** Call this before the node starts, so that peers learn of the protocols. */
    prepare: dialBack.prepare,
    start(): void {
      forwarding?.start()
      outside.start()
    },
    /** This machine has other addresses. */
    renew(): void {
      forwarding?.renew()
      outside.forget()
    },
    async stop(): Promise<void> {
      outside.stop()
      await Promise.all([dialBack.stop(), forwarding?.stop()])
    },
  }
}
