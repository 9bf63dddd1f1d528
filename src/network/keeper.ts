/**
 * Keeps this node connected: dials peers of the address book until it has `outgoing` connections by its own choice, spreads them
 * over providers, and probes what it heard.
 *
 * Guarantees: incoming connections never take an outgoing one; at most `perProvider` connections by its own choice lead to one network of a
 * provider (reach.ts), which strangers cannot change; peers of the last run are dialled first.
 */
import type { Connection, Libp2p, PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

import type { Logger } from '../observe/types.ts'
import type { Environment } from '../platform/environment.ts'
import { messageOf } from '../platform/errors.ts'
import type { AddressBook, BookEntry } from './address-book.ts'
import { chooseHeard, choosePeer } from './peer-choice.ts'
import { pinnedAddresses } from './pinned-addresses.ts'
import type { ResolveHost } from './pinned-addresses.ts'
import { withPeer } from './prober.ts'
import type { Prober } from './prober.ts'
import { providerOf, reachOf } from './reach.ts'

export interface KeeperLimits {
  /** Outgoing connections that the node keeps. */
  readonly outgoing: number
  readonly perProvider: number
  readonly tickMs: number
  /** Dials, and probes, at the same time. */
  readonly parallel: number
  readonly dialTimeoutMs: number
  /** A connection that ends sooner counts as a failure: the peer is full, or refuses this node. */
  readonly stableMs: number
  /** A connection that stays open is noted in the book this often. */
  readonly noteMs: number
}

export function createKeeper(
  components: {
    readonly environment: Environment
    readonly logger: Logger
    readonly libp2p: Libp2p
    readonly book: AddressBook
    readonly prober: Prober
    readonly resolveHost: ResolveHost
    readonly isRefused: (peer: string) => boolean
    /** Called when peers are needed and the book has none to dial. */
    readonly onShortage: () => void
    /** Called regularly, with one outgoing connection of each peer. */
    readonly onTick: (outgoing: readonly Connection[]) => void
  },
  limits: KeeperLimits,
) {
  const { environment, logger, libp2p, book, prober, resolveHost, isRefused, onShortage, onTick } = components
  const { clock, timers, random } = environment
  /** Peers that are being dialled, and where. */
  const dialing = new Map<string, Multiaddr>()
  const probing = new Set<string>()
  /** Entries that this node dialled and is connected to, at which address, and since when. */
  const kept = new Map<string, { readonly entry: BookEntry; readonly address: Multiaddr; readonly sinceMs: number }>()
  let cancelTick: (() => void) | undefined
  let stopped = false

  /** One outgoing connection of each peer. */
  function outgoing(): Connection[] {
    const own = libp2p.getConnections().filter(({ direction, status }) => direction === 'outbound' && status === 'open')
    return [...new Map(own.map((connection) => [connection.remotePeer.toString(), connection])).values()]
  }

  /** Outgoing connections to each network of a provider, and those under way. */
  function countProviders(): Map<string, number> {
    const counts = new Map<string, number>()
    for (const { remoteAddr } of outgoing()) countProvider(counts, remoteAddr)
    for (const address of dialing.values()) countProvider(counts, address)
    return counts
  }

  /** Where to dial an entry. To which network a name leads is known only once it is resolved. */
  async function pin(address: Multiaddr): Promise<Multiaddr> {
    if (reachOf(address)?.isName !== true) return address
    const found = await pinnedAddresses(address, resolveHost)
    const counts = countProviders()
    const free = found.find((each) => {
      const provider = providerOfAddress(each)
      return provider === undefined || (counts.get(provider) ?? 0) < limits.perProvider
    })
    if (free === undefined) throw new Error('Its name leads to no address that this node may dial now.')
    return free
  }

  const isBusy = (peer: string): boolean => dialing.has(peer) || peer === libp2p.peerId.toString() || isRefused(peer)

  async function connect(entry: BookEntry, address: Multiaddr): Promise<void> {
    const { peer } = entry.signed
    const id = peer.toString()
    dialing.set(id, address)
    try {
      const pinned = await pin(address)
      dialing.set(id, pinned)
      await libp2p.dial(withPeer(pinned, peer), { signal: AbortSignal.timeout(limits.dialTimeoutMs) })
      if (stopped) return
      logger.debug({ peer: id, address: address.toString() }, 'connected to a known peer')
      book.worked(entry, address)
      kept.set(id, { entry, address, sinceMs: clock.now() })
    } catch (error) {
      if (stopped) return
      const reason = messageOf(error)
      logger.debug({ peer: id, address: address.toString(), reason }, 'cannot connect to a known peer')
      book.failed(entry)
      // libp2p remembers every peer that it dialled.
      if (libp2p.getConnections(peer).length === 0) await libp2p.peerStore.delete(peer).catch(() => undefined)
    } finally {
      dialing.delete(id)
    }
  }

  async function probe(entry: BookEntry): Promise<void> {
    const { peer } = entry.signed
    probing.add(peer.toString())
    try {
      const addresses = await prober.allowed(entry.signed)
      // Otherwise the rate of its host is used up, and a later turn probes it.
      if (addresses.length === 0) return
      const address = await prober.probe(peer, addresses)
      if (stopped) return
      if (address === undefined) book.failed(entry)
      else book.worked(entry, address)
    } finally {
      probing.delete(peer.toString())
    }
  }

  /** A connection to an address of its record proves the entry, for as long as it lasts. */
  function noteWorking(connections: readonly Connection[]): void {
    const now = clock.now()
    const open = new Map(
      connections.map(({ remotePeer, remoteAddr }) => [remotePeer.toString(), remoteAddr.toString()]),
    )
    for (const entry of book.entries()) {
      const remote = open.get(entry.signed.peer.toString())
      if (remote === undefined || Math.abs(now - entry.workedAtMs) < limits.noteMs) continue
      const found = entry.signed.addresses.find((each) => `${remote}/`.startsWith(`${each.toString()}/`))
      // A name was replaced by its IP address when it was dialled.
      const address = found ?? kept.get(entry.signed.peer.toString())?.address
      if (address !== undefined) book.worked(entry, address)
    }
  }

  function tick(): void {
    cancelTick = timers.after(limits.tickMs, tick)
    const own = outgoing()
    noteWorking(own)
    onTick(own)
    const perProvider = countProviders()
    const connected = new Set(libp2p.getPeers().map(String))
    const choice = {
      nowMs: clock.now(),
      isTaken: (peer: string) => isBusy(peer) || connected.has(peer),
      perProvider,
      mostPerProvider: limits.perProvider,
    }
    const missing = Math.min(limits.outgoing - own.length, limits.parallel) - dialing.size
    for (let left = missing; left > 0; left -= 1) {
      const entry = choosePeer(book.entries(), choice, random)
      if (entry?.address === undefined) {
        onShortage()
        break
      }
      countProvider(perProvider, entry.address)
      void connect(entry, entry.address)
    }
    const isProbed = (peer: string): boolean => isBusy(peer) || probing.has(peer)
    while (probing.size < limits.parallel) {
      const entry = chooseHeard(book.entries(), clock.now(), isProbed, random)
      if (entry === undefined) break
      void probe(entry)
    }
  }

  const onDisconnect = ({ detail: peer }: CustomEvent<PeerId>): void => {
    const own = kept.get(peer.toString())
    if (own === undefined) return
    kept.delete(peer.toString())
    if (!stopped && clock.now() - own.sinceMs < limits.stableMs) book.failed(own.entry)
  }

  return {
    start(): void {
      libp2p.addEventListener('peer:disconnect', onDisconnect)
      tick()
    },
    /** Whether this node needs more peers. */
    isShort: (): boolean => outgoing().length < limits.outgoing,
    /** Whether an entry is connected by this node's own choice: it becomes an anchor when the book is saved. */
    isKept: ({ signed }: BookEntry): boolean => outgoing().some(({ remotePeer }) => remotePeer.equals(signed.peer)),
    stop(): void {
      stopped = true
      cancelTick?.()
      libp2p.removeEventListener('peer:disconnect', onDisconnect)
    },
  }
}

function providerOfAddress(address: Multiaddr): string | undefined {
  const reach = reachOf(address)
  return reach === undefined ? undefined : providerOf(reach)
}

function countProvider(counts: Map<string, number>, address: Multiaddr): void {
  const provider = providerOfAddress(address)
  if (provider !== undefined) counts.set(provider, (counts.get(provider) ?? 0) + 1)
}
