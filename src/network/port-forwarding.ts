import { isIPv4 } from 'node:net'

import type { Multiaddr } from '@multiformats/multiaddr'

import type { Logger } from '../observe/types.ts'
import type { Timers } from '../platform/environment.ts'
import { messageOf } from '../platform/errors.ts'
import { reachOf, scopeOfIp } from './reach.ts'
import type { Router } from './router.ts'

/** A port of the router that leads to this node. */
export interface ForwardedPort {
  readonly ip: string
  readonly port: number
}

export interface PortForwardingLimits {
  /** How often the router is asked again, milliseconds: below `FORWARD_SECONDS`. */
  readonly everyMs: number
  /** The same while it does not forward the port. */
  readonly retryMs: number
}

/** Longest text of a router in status. */
const MAX_TEXT_CHARACTERS = 200

/** Has the router of the local network forward this node's TCP port, and gives it back at the stop. */
export function createPortForwarding(
  components: {
    readonly timers: Timers
    readonly logger: Logger
    /** Addresses on which the node listens. */
    readonly listening: () => readonly Multiaddr[]
    /** Finds the router beside one of this machine's addresses. Undefined if none answers. */
    readonly find: (local: string) => Promise<Router | undefined>
  },
  limits: PortForwardingLimits,
) {
  const { timers, logger, listening, find } = components
  let router: Router | undefined
  let local: string | undefined
  let forwarded: (ForwardedPort & { readonly internalPort: number }) | undefined
  let text = 'the node asks the router to forward its port'
  let cancel: (() => void) | undefined
  let working: Promise<void> = Promise.resolve()
  let stopped = false

  /** The first TCP port that is open to the local network by IPv4. */
  function target(): { readonly local: string; readonly port: number } | undefined {
    for (const address of listening()) {
      const [host, port, ...rest] = address.getComponents()
      const ip = host?.value ?? ''
      if (rest.length === 0 && isIPv4(ip) && reachOf(address)?.scope === 'private')
        return { local: ip, port: Number(port?.value) }
    }
    return undefined
  }

  function say(words: string): void {
    const next = words.slice(0, MAX_TEXT_CHARACTERS)
    if (next === text) return
    text = next
    logger.info({ router: router?.speaks }, text)
  }

  function fail(words: string): void {
    forwarded = undefined
    say(words)
  }

  async function ask(): Promise<void> {
    const wanted = target()
    if (wanted === undefined) return fail('no port to forward: the node listens on no private IPv4 address')
    if (wanted.local !== local) router = undefined
    local = wanted.local
    router ??= await find(wanted.local)
    if (router === undefined) return fail('no router answered (UPnP, NAT-PMP)')
    const port = await router.forward(wanted.port)
    const ip = await router.externalIp()
    forwarded = { ip, port, internalPort: wanted.port }
    const done = `the router forwards TCP ${port} (${router.speaks})`
    if (scopeOfIp(ip) === 'public') return say(done)
    say(
      `${done}, but its own address ${ip.slice(0, 40)} is not public: it is behind another router, or your provider's NAT`,
    )
  }

  async function work(): Promise<void> {
    cancel?.()
    try {
      await ask()
    } catch (error) {
      fail(messageOf(error))
      // It may have restarted, or be another one.
      router = undefined
    }
    if (!stopped) cancel = timers.after(forwarded === undefined ? limits.retryMs : limits.everyMs, renew)
  }

  function renew(): void {
    if (!stopped) working = working.then(work)
  }

  return {
    /** Call this when the node listens. */
    start: renew,
    /** Asks the router again: this machine has other addresses. */
    renew,
    /** The port that leads to this node; undefined: none. */
    port: (): ForwardedPort | undefined => forwarded,
    /** What the router answered, in words. */
    text: (): string => text,
    async stop(): Promise<void> {
      stopped = true
      cancel?.()
      await working
      if (router !== undefined && forwarded !== undefined) {
        await router.release(forwarded.internalPort).catch((error: unknown) => {
          logger.debug({ reason: messageOf(error) }, 'the router did not end the forwarding; it ends by itself')
        })
      }
    },
  }
}

export type PortForwarding = ReturnType<typeof createPortForwarding>
