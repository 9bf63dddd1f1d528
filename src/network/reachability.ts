/** Whether this node can be reached from outside, as far as peers have found out, in words. Pure. */
import { isIPv4 } from 'node:net'

import type { Multiaddr } from '@multiformats/multiaddr'

import { reachOf } from './reach.ts'

export type ReachabilityState =
  | 'reachable'
  | 'behind_router'
  | 'behind_provider_nat'
  | 'firewalled'
  | 'this_machine_only'
  | 'unknown'

export interface Reachability {
  readonly state: ReachabilityState
  /** The state in words for people, with what to do. */
  readonly text: string
}

export interface ReachabilityFacts {
  /** Addresses on which the node listens. */
  readonly listening: readonly Multiaddr[]
  /** Addresses that the operator states. */
  readonly announced: readonly Multiaddr[]
  /** Public IP addresses under which peers see this node. */
  readonly seenAs: readonly string[]
  /** Whether a peer on the internet has reached this node lately. */
  readonly wasReached: boolean
  /** Whether a peer on the internet has tried lately and failed. */
  readonly wasMissed: boolean
  /** What the router answered when it was asked to forward the port; undefined if it was not asked. */
  readonly router?: string | undefined
}

/** First octets of the addresses that providers share among customers (RFC 6598, 100.64.0.0/10). */
const SHARED_BY_PROVIDERS = /^100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./

export function reachabilityOf(facts: ReachabilityFacts): Reachability {
  const { state, text } = withoutRouter(facts)
  if (facts.router !== undefined) return { state, text: `${text}; ${facts.router}` }
  return { state, text: state === 'behind_router' ? `${text}, or start the node with --upnp true` : text }
}

function withoutRouter({ listening, announced, seenAs, wasReached, wasMissed }: ReachabilityFacts): Reachability {
  const own = listening.flatMap((address) => {
    const reach = reachOf(address)
    const port = address.getComponents()[1]?.value
    return reach === undefined || port === undefined ? [] : [{ ...reach, port }]
  })
  const open = own.filter(({ scope }) => scope !== 'loopback')
  const [first] = open
  const all = [...listening, ...announced]
  if (all.every((address) => reachOf(address)?.scope === 'loopback')) {
    return { state: 'this_machine_only', text: 'this machine only: the node listens on no other address' }
  }
  if (wasReached) return { state: 'reachable', text: 'reachable from outside' }
  // An address that is neither private nor public, such as one of documentation, tells nothing.
  if (!wasMissed || first === undefined) return { state: 'unknown', text: 'not known yet' }
  const { port } = first
  if (open.some(({ host }) => seenAs.includes(host))) {
    return { state: 'firewalled', text: `not reachable from outside: a firewall blocks TCP ${port}. Allow it` }
  }
  const isShared = open.some(({ host }) => SHARED_BY_PROVIDERS.test(host)) || seenAs.filter(isIPv4).length > 1
  return isShared
    ? {
        state: 'behind_provider_nat',
        text: "behind your provider's NAT: outgoing only, which is enough to follow and to write",
      }
    : { state: 'behind_router', text: `behind a router: forward TCP ${port}` }
}
