import type { Connection, Libp2p } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { multiaddr } from '@multiformats/multiaddr'

import type { Logger } from '../observe/types.ts'
import type { Environment } from '../platform/environment.ts'
import type { DialBack, DialBackVerdict } from './dial-back.ts'
import { DIAL_REQUEST_PROTOCOL } from './dial-back.ts'
import type { OwnAddresses } from './own-addresses.ts'
import type { PortForwarding } from './port-forwarding.ts'
import { providerOf, reachOf, scopeOfIp } from './reach.ts'
import { reachabilityOf } from './reachability.ts'
import type { Reachability } from './reachability.ts'

export interface OutsideViewLimits {
  readonly tickMs: number
  /** A peer that could reach this node is asked again after this time, and one that could not. */
  readonly openAgainMs: number
  readonly closedAgainMs: number
  /** A peer that gave no verdict, because it was busy, or the connection broke. */
  readonly noneAgainMs: number
  /** A verdict counts for this time. */
  readonly validMs: number
}

interface Verdict {
  readonly address: Multiaddr
  readonly verdict: DialBackVerdict
  readonly atMs: number
}

/**
 * What peers on the internet see of this node: under which address, and whether they can dial it. An address that one of them has reached becomes
 * one of the node's own.
 */
export function createOutsideView(
  components: {
    readonly environment: Environment
    readonly logger: Logger
    readonly libp2p: Libp2p
    readonly own: OwnAddresses
    readonly dialBack: Pick<DialBack, 'ask'>
    /** Undefined if no router is asked. */
    readonly forwarding: Pick<PortForwarding, 'port' | 'text'> | undefined
  },
  limits: OutsideViewLimits,
) {
  const { environment, logger, libp2p, own, dialBack, forwarding } = components
  const { clock, timers } = environment
  /** The IP address under which each connected peer sees this node, if it is a public one. */
  const seenAs = new Map<string, string>()
  /** Peers that can be asked. */
  const servers = new Set<string>()
  /** The last verdict of each network of a provider. */
  const verdicts = new Map<string, Verdict>()
  let reachedAtMs = Number.NEGATIVE_INFINITY
  let isAsking = false
  let cancelTick: (() => void) | undefined
  let last: string | undefined

  const onIdentify: Parameters<typeof libp2p.addEventListener<'peer:identify'>>[1] = ({ detail }) => {
    const id = detail.peerId.toString()
    const { remoteAddr, direction } = detail.connection
    if (reachOf(remoteAddr)?.scope !== 'public' || libp2p.getConnections(detail.peerId).length === 0) return
    if (direction === 'inbound') reachedAtMs = clock.now()
    if (detail.protocols.includes(DIAL_REQUEST_PROTOCOL)) servers.add(id)
    const ip = detail.observedAddr?.getComponents()[0]?.value
    if (ip !== undefined && scopeOfIp(ip) === 'public') seenAs.set(id, ip)
  }
  const onDisconnect: Parameters<typeof libp2p.addEventListener<'peer:disconnect'>>[1] = ({ detail }) => {
    servers.delete(detail.toString())
    seenAs.delete(detail.toString())
  }

  const isRecent = (atMs: number, withinMs: number): boolean => Math.abs(clock.now() - atMs) < withinMs

  /** The address at which this node should be reachable, if its port is open. */
  function candidate(ip: string): Multiaddr | undefined {
    const forwarded = forwarding?.port()
    // The router may have taken another port than that of this node.
    if (forwarded?.ip === ip) return multiaddr(`/ip4/${ip}/tcp/${forwarded.port}`)
    const family = ip.includes(':') ? 'ip6' : 'ip4'
    for (const address of own.listening()) {
      const [host, port] = address.getComponents()
      if (host?.name !== family || port?.name !== 'tcp' || address.getComponents().length > 2) continue
      if (reachOf(address)?.scope !== 'loopback') return multiaddr(`/${family}/${ip}/tcp/${port.value}`)
    }
    return undefined
  }

  async function ask(connection: Connection, network: string, address: Multiaddr): Promise<void> {
    isAsking = true
    const verdict = await dialBack.ask(connection, address)
    isAsking = false
    verdicts.set(network, { address, verdict, atMs: clock.now() })
    learn()
  }

  function learn(): void {
    for (const [network, { atMs }] of verdicts) if (!isRecent(atMs, limits.validMs)) verdicts.delete(network)
    const open = [...verdicts.values()].filter(({ verdict }) => verdict === 'open')
    own.learn([...new Map(open.map(({ address }) => [address.toString(), address])).values()])
    const { state, text } = view()
    if (state === last) return
    last = state
    if (state !== 'unknown' && state !== 'this_machine_only') logger.info({ reachability: state }, text)
  }

  function view(): Reachability {
    const recent = [...verdicts.values()]
    return reachabilityOf({
      listening: own.listening(),
      announced: own.announced,
      seenAs: [...new Set(seenAs.values())],
      wasReached: recent.some(({ verdict }) => verdict === 'open') || isRecent(reachedAtMs, limits.validMs),
      wasMissed: recent.some(({ verdict }) => verdict === 'closed'),
      router: forwarding?.text(),
    })
  }

  function tick(): void {
    cancelTick = timers.after(limits.tickMs, tick)
    learn()
    if (isAsking) return
    for (const id of servers) {
      const ip = seenAs.get(id)
      const connection = libp2p
        .getConnections()
        .find(({ remotePeer, status }) => status === 'open' && remotePeer.toString() === id)
      const reach = connection === undefined ? undefined : reachOf(connection.remoteAddr)
      const address = ip === undefined ? undefined : candidate(ip)
      if (connection === undefined || reach === undefined || address === undefined) continue
      const network = providerOf(reach) ?? id
      const before = verdicts.get(network)
      const againMs = { open: limits.openAgainMs, closed: limits.closedAgainMs, none: limits.noneAgainMs }[
        before?.verdict ?? 'none'
      ]
      if (before !== undefined && before.address.equals(address) && isRecent(before.atMs, againMs)) continue
      void ask(connection, network, address)
      return
    }
  }

  return {
    reachability: view,
    /** This machine has other addresses: peers are asked again. */
    forget(): void {
      verdicts.clear()
      reachedAtMs = Number.NEGATIVE_INFINITY
    },
    start(): void {
      libp2p.addEventListener('peer:identify', onIdentify)
      libp2p.addEventListener('peer:disconnect', onDisconnect)
      tick()
    },
    stop(): void {
      cancelTick?.()
      libp2p.removeEventListener('peer:identify', onIdentify)
      libp2p.removeEventListener('peer:disconnect', onDisconnect)
    },
  }
}
