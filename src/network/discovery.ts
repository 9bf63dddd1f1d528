/** Finds peers: by the address book of the last run, by seeds, by what peers tell, and on the local network. */
import type { Connection, Libp2p, PeerId } from '@libp2p/interface'

import type { Logger, Metrics } from '../observe/types.ts'
import type { Environment } from '../platform/environment.ts'
import { messageOf } from '../platform/errors.ts'
import { createAddressBook } from './address-book.ts'
import { loadAddressBook, saveAddressBook } from './address-book-file.ts'
import { createKeeper } from './keeper.ts'
import type { Libp2pParts } from './libp2p-parts.ts'
import type { DiscoveryLimits } from './limits.ts'
import { createLocalNetwork } from './local-network.ts'
import type { OwnAddresses } from './own-addresses.ts'
import { createPeerExchange, peersProtocol } from './peer-exchange.ts'
import { systemResolveHost } from './pinned-addresses.ts'
import type { ResolveHost } from './pinned-addresses.ts'
import { createProber } from './prober.ts'
import { createSeedDialler } from './seed-dialler.ts'
import { systemResolveTxt } from './seeds.ts'
import type { ResolveTxt } from './seeds.ts'

export interface DiscoveryOptions {
  /** Nodes to ask for peers: `/dnsaddr/<name>`, or addresses of peers. */
  readonly seeds: readonly string[]
  /** The file of the address book; none: it is in memory only. */
  readonly bookPath?: string
  /** Whether nodes on the local network are found, and find this one, by mDNS. Default false. */
  readonly mdns?: boolean
  /** Default: the resolver of the system. */
  readonly resolveTxt?: ResolveTxt
  /** Default: the resolver of the system. */
  readonly resolveHost?: ResolveHost
}

/** @throws NetworkError `invalid_address` for a seed that cannot be used */
export function createDiscovery(
  components: {
    readonly environment: Environment
    readonly logger: Logger
    readonly metrics: Metrics
    readonly libp2p: Libp2p
    readonly parts: () => Libp2pParts
    readonly own: OwnAddresses
    readonly isRefused: (peer: string) => boolean
    /** Makes a libp2p node that only dials, for probes. */
    readonly createProbeNode: () => Promise<Libp2p>
  },
  options: DiscoveryOptions & { readonly network: string },
  limits: DiscoveryLimits,
) {
  const { environment, logger, metrics, libp2p, parts, own, isRefused } = components
  const { seeds, bookPath, resolveTxt = systemResolveTxt(), resolveHost = systemResolveHost() } = options
  const { clock, timers } = environment
  const protocol = peersProtocol(options.network)
  const book = createAddressBook(environment, limits.book)
  const prober = createProber({ clock, createNode: components.createProbeNode, resolveHost }, limits.prober)
  const exchange = createPeerExchange({ libp2p, environment, logger, metrics, book, own }, protocol, limits.exchange)
  const dialler = createSeedDialler(
    { clock, random: environment.random, logger, libp2p, resolveTxt },
    seeds,
    limits.seeds,
  )
  const keeper = createKeeper(
    { environment, logger, libp2p, book, prober, resolveHost, isRefused, onShortage: dialler.dial, onTick: askSome },
    limits.keeper,
  )
  const local =
    options.mdns === true
      ? createLocalNetwork({ clock, logger, libp2p, parts, own, isRefused }, options.network, limits.local)
      : undefined
  /** When each peer was last asked; 0: never. Connected peers that speak the protocol have an entry. */
  const askedAtMs = new Map<string, number>()
  const asking = new Set<string>()
  let savedChanges = 0
  let saving: Promise<void> = Promise.resolve()
  let cancelSave: (() => void) | undefined
  let stopped = false

  const onIdentify: Parameters<typeof libp2p.addEventListener<'peer:identify'>>[1] = ({ detail }) => {
    const id = detail.peerId.toString()
    if (!detail.protocols.includes(protocol) || libp2p.getConnections(detail.peerId).length === 0) return
    if (!askedAtMs.has(id)) askedAtMs.set(id, 0)
  }
  const onDisconnect = ({ detail }: CustomEvent<PeerId>): void => void askedAtMs.delete(detail.toString())

  /** Only peers that this node dialled are asked: a stranger that connects cannot fill the book with its friends. */
  function askSome(outgoing: readonly Connection[]): void {
    const everyMs = keeper.isShort() ? limits.askWhenShortMs : limits.askMs
    for (const connection of outgoing) {
      const id = connection.remotePeer.toString()
      const last = askedAtMs.get(id)
      if (last === undefined || asking.has(id) || Math.abs(clock.now() - last) < everyMs) continue
      askedAtMs.set(id, clock.now())
      asking.add(id)
      exchange
        .ask(connection)
        .catch((error: unknown) => {
          logger.debug({ peer: id, reason: messageOf(error) }, 'a peer did not tell of other peers')
        })
        .finally(() => asking.delete(id))
    }
  }

  function save(): Promise<void> {
    if (bookPath === undefined || book.changes() === savedChanges) return saving
    savedChanges = book.changes()
    saving = saving
      .then(() => saveAddressBook(bookPath, book, keeper.isKept))
      .catch((error: unknown) => {
        logger.debug({ file: bookPath, reason: messageOf(error) }, 'the known peers could not be saved')
      })
    return saving
  }

  function saveLater(): void {
    cancelSave = timers.after(limits.saveMs, () => {
      void save()
      saveLater()
    })
  }

  metrics.gauge('known_peers', 'Peers in the address book.', () => book.entries().length)
  metrics.gauge(
    'known_peers_tried',
    'Peers in the address book to which a connection worked.',
    () => book.entries().filter(({ workedAtMs }) => workedAtMs > 0).length,
  )

  return {
    /** Call this before the node starts, so that peers learn of the protocol. */
    async prepare(): Promise<void> {
      libp2p.addEventListener('peer:identify', onIdentify)
      libp2p.addEventListener('peer:disconnect', onDisconnect)
      await exchange.start()
    },
    async start(): Promise<void> {
      if (bookPath !== undefined) await loadAddressBook(bookPath, book, logger)
      if (stopped) return
      keeper.start()
      await local?.start()
      saveLater()
    },
    /** This machine has other addresses: peers are told, and what failed is dialled again. */
    wake(): void {
      for (const id of askedAtMs.keys()) askedAtMs.set(id, 0)
      book.retryNow()
      dialler.wake()
    },
    async stop(): Promise<void> {
      stopped = true
      cancelSave?.()
      // The peers that are connected now are the anchors of the next start.
      savedChanges = -1
      const saved = save()
      keeper.stop()
      dialler.stop()
      exchange.stop()
      libp2p.removeEventListener('peer:identify', onIdentify)
      libp2p.removeEventListener('peer:disconnect', onDisconnect)
      await Promise.all([saved, prober.stop(), local?.stop()])
    },
  }
}
