import { join } from 'node:path'

import { nodeAbout } from './about.ts'
import { createAnnouncer } from './announcer.ts'
import { isRestoring } from '../backup/target.ts'
import { fileMark } from './bootstrap-mark.ts'
import { formatHostPort, urlOf } from '../config/addresses.ts'
import type { Config } from '../config/load.ts'
import { explorerFolder, packageVersion } from '../config/package-files.ts'
import { loadNoted } from './data-files.ts'
import type { Environment } from '../platform/environment.ts'
import { fileProblem, makeDirectory } from '../platform/files.ts'
import { loadOperatorToken } from '../hosting/operator-token.ts'
import { createOwnerRequests } from '../hosting/requests.ts'
import { hostedReader } from '../hosting/hosted-reader.ts'
import { createHttpServer } from '../http/server/server.ts'
import { createIngest } from '../ingest/ingest.ts'
import { createNetwork } from '../network/network.ts'
import { NodeError, httpUnusable } from './errors.ts'
import { stopWithin, type Running } from './running.ts'
import { createSafeguards, defaultTotalQuota } from './safeguards.ts'
import { withSync } from './with-sync.ts'
import { openFinder } from './finding.ts'
import { openFollowing, type Following } from './following.ts'
import { openHosting, openPuller } from './hosting.ts'
import { loadPeerKey } from '../network/peer-key.ts'
import type { Network } from '../network/types.ts'
import { createMetrics } from '../observe/metrics.ts'
import type { Logger } from '../observe/types.ts'
import { openNodeStore } from './store.ts'
import { watchGaps } from '../sync/gap-watch.ts'
import { payloadHead } from '../record/payload-head.ts'
import { createSync } from '../sync/scheduler.ts'
import { type Sync } from '../sync/sync.ts'
import { selectEngine } from '../verify/select-engine.ts'
import { createVerifyService } from '../verify/verify-service.ts'

/**
 * The fields of the log line `started` (level `info`, `"msg":"started"`), written once per start. A program that starts a node
 * waits for this line.
 */
export interface Started {
  /** `HOST:PORT` of the HTTP interface; the real port if port 0 was configured. The first one if there are several. */
  readonly http: string
  /** All addresses of the HTTP interface: a host name such as `localhost` can have several. */
  readonly http_addresses: readonly string[]
  /** URL of the HTTP interface on this machine, to open in a browser. */
  readonly url: string
  /** Multiaddrs for dialling this node, each with `/p2p/<peer id>`. */
  readonly addresses: readonly string[]
  readonly peer_id: string
  readonly network: string
  /** Absolute path. */
  readonly data_dir: string
  /** Number of avatars. */
  readonly avatars: number
  /** Number of live records. */
  readonly records: number
  /** Name of the signature engine. */
  readonly engine: string
  readonly version: string
}

export interface RunningNode {
  /** Listens and dials. Resolves when the node is ready and has logged `started`. If it rejects, all parts are stopped. */
  start(): Promise<Started>
  /**
   * Stops all parts in reverse order, within 5 s even if a part hangs.
   *
   * @returns whether all accepted records are on disk and the store is closed
   */
  stop(): Promise<boolean>
}

/** Time for HTTP answers under way to finish when the node stops. Event streams end at once. */
const HTTP_STOP_GRACE_MS = 1000

/**
 * Builds a node: opens the store (taking the lock on the data directory) and connects the parts. Nothing listens before
 * `start`.
 *
 * @throws NodeError, StoreError or NetworkError. Everything opened before the error is closed again
 */
export async function createNode(
  config: Config,
  components: { readonly environment: Environment; readonly logger: Logger },
): Promise<RunningNode> {
  const { environment, logger } = components
  const metrics = createMetrics()
  const part = (name: string) => ({ environment, metrics, logger: logger.child({ part: name }) })
  const version = packageVersion()
  metrics.buildInfo({ version, node: process.version })
  /** In the order of start. */
  const running: Running[] = []

  async function stop(): Promise<boolean> {
    let clean = true
    let spareMs = 0
    for (let one = running.pop(); one !== undefined; one = running.pop()) {
      const limitMs = one.limitMs + spareMs
      const beganMs = environment.clock.now()
      const problem = await stopWithin(environment, one, limitMs)
      spareMs = Math.max(0, limitMs - Math.max(0, environment.clock.now() - beganMs))
      if (problem === undefined) continue
      logger.warn({ part: one.name, err: problem }, 'a part of the node did not stop cleanly')
      if (one.holdsData) clean = false
    }
    return clean
  }

  try {
    await makeDirectory(config.dataDir).catch((error: unknown) => {
      const what = `The data directory ${config.dataDir} cannot be used: ${fileProblem(error)}`
      throw new NodeError(
        'data_dir_unusable',
        `${what}. Correct that, or choose another directory with --data-dir DIR.`,
        { cause: error },
      )
    })
    if (await isRestoring(config.dataDir)) {
      const what = `A restore to ${config.dataDir} was not finished`
      throw new NodeError('restore_unfinished', `${what}. Run the restore again, or remove the directory.`)
    }
    const engine = await selectEngine()
    /** Ingest, network and sync need each other. Records that arrive before they exist are not announced. */
    const link: { network?: Network; sync?: Sync; following?: Following } = {}
    // Peers may offer again what this node refused, or has lost.
    const policyChanged = (): void => {
      link.sync?.policyChanged()
      link.sync?.nudge()
    }
    const quotas = { ...config.quotas }
    const store = await openNodeStore({ ...part('store'), engine, onLoss: policyChanged }, config, quotas)
    running.push({ name: 'store', stop: () => store.close(), limitMs: 800, holdsData: true })
    // Free space of the data directory says nothing about a database server.
    if (config.isTotalQuotaAuto && config.store === '')
      quotas.totalBytes = await defaultTotalQuota(config.dataDir, store.totals().bytes, logger)
    metrics.gauge('store_avatars', 'Avatars stored.', () => store.totals().avatars)
    metrics.gauge('store_records', 'Live records stored.', () => store.totals().records)
    metrics.gauge(
      'store_bytes',
      'Bytes of payloads and signatures of all stored records, history included.',
      () => store.totals().bytes,
    )
    const hosting = await openHosting({ ...part('hosting'), store }, config)
    running.push({ name: 'hosting', stop: () => hosting.close(), limitMs: 100, holdsData: true })
    const stored = (ids: readonly Uint8Array[]) => store.sync.signed(ids)
    const verifier = createVerifyService({ engine, stored, ...part('verify') }, { network: config.network })
    // An empty node receives all records of its peers as soon as it is connected.
    if ((config.peers.length > 0 || config.seeds.length > 0) && store.totals().records === 0) verifier.prepare()
    running.push({ name: 'verify', stop: () => verifier.close(), limitMs: 200, holdsData: false })

    const announce = createAnnouncer({
      environment,
      publish: (records) => link.network?.publish(records),
      nudge: () => link.sync?.nudge(),
    })
    const avatarOf = (payload: Uint8Array) => payloadHead(payload)?.avatar
    const safeguards = createSafeguards({ ...part('hosting'), store, hosting, onRoom: policyChanged }, config)
    const { admission, disk } = safeguards
    await safeguards.start()
    const tell: typeof announce = (records, origin) => {
      announce(records, origin)
      link.following?.push(records, origin)
    }
    const ingest = createIngest({ ...part('ingest'), store, verifier, announce: tell, admission })
    running.push({ name: 'ingest', stop: () => ingest.stop(), limitMs: 800, holdsData: true })
    // Before ingest: what waits for an answer of the operator's program then ends at once.
    running.push({ name: 'safeguards', stop: safeguards.stop, limitMs: 50, holdsData: false })
    const noted = { dataDir: config.dataDir, logger }
    const privateKey = await loadNoted(noted, 'peer.key', loadPeerKey)
    const network = await createNetwork(
      { ingest, environment, metrics, logger, privateKey, onGossipLoss: () => link.sync?.nudge() },
      {
        network: config.network,
        listen: config.listen,
        announce: config.announce,
        peers: config.peers,
        trustedProxies: config.httpTrustedProxies,
        agent: `avatar-kv/${version}`,
        gossip: config.gossip,
        joinsGossip: config.hostingMode === 'all',
        upnp: config.upnp,
        discovery: config.discovery ? { ...config, bookPath: join(config.dataDir, 'peers.json') } : undefined,
      },
    )
    link.network = network
    const sync = createSync(
      {
        ...part('sync'),
        source: store.sync,
        ingest,
        transport: network.sync,
        keccak256: (bytes) => engine.keccak256(bytes),
        isClosed: () => disk.state() === 'full',
        mark: fileMark(join(config.dataDir, 'bootstrap-mark.json')),
      },
      {
        network: config.network,
        scope: () => hosting.scope(),
        limits: { intervalMs: config.syncIntervalSeconds * 1000 },
      },
    )
    link.sync = sync
    const following = openFollowing({ ...part('follow'), hosting, ingest, network, sync }, config)
    link.following = following
    const avatarStore = hostedReader(store, hosting.hosts, avatarOf)
    const findParts = { store: avatarStore, hosting, network, privateKey }
    const finding = openFinder({ ...part('find'), ...findParts }, config)
    hosting.onChange(({ admitted }) => {
      if (admitted.length > 0) policyChanged()
    })
    const puller = openPuller({ ...part('hosting'), hosting, ingest }, config)
    const facts = { network: config.network, peerId: network.peerId }
    const asked = { hosting: safeguards.hosting, puller }
    const ownerRequests = createOwnerRequests({ ...asked, engine, clock: environment.clock }, facts)
    const http = await createHttpServer(
      {
        store: avatarStore,
        fullStore: store,
        hosting: safeguards.hosting,
        ownerRequests,
        disk,
        ingest,
        network: withSync(network, sync),
        ...finding,
        environment,
        metrics,
        logger,
      },
      {
        ...config.http,
        trustedProxies: config.httpTrustedProxies,
        network: config.network,
        version,
        engine: engine.name,
        about: nodeAbout({ ...config, quotas }),
        explorer: explorerFolder(),
        operatorToken: await loadNoted(noted, 'operator-token', (dir) => loadOperatorToken(dir, environment.random)),
        limits: { stopGraceMs: HTTP_STOP_GRACE_MS, cacheBytes: config.caches.answersBytes },
      },
    )
    return { start: () => start(network, http), stop }

    async function start(peers: Network, server: typeof http): Promise<Started> {
      try {
        running.push({ name: 'network', stop: () => peers.stop(), limitMs: 1550, holdsData: false })
        await peers.start()
        const unwatch = watchGaps({ store, environment }, (ids) => sync.missing(ids))
        const stopSync = async (): Promise<void> => {
          unwatch()
          finding.finder.stop()
          following.stop()
          await Promise.all([sync.stop(), puller.stop()])
        }
        running.push({ name: 'sync', stop: stopSync, limitMs: 400, holdsData: false })
        sync.start()
        following.start()
        hosting.resume()
        puller.resume()
        running.push({ name: 'http', stop: () => server.stop(), limitMs: 1100, holdsData: false })
        await server.start().catch((error: unknown) => {
          throw httpUnusable(config.http, error)
        })
      } catch (error) {
        await stop()
        throw error
      }
      const [first = config.http] = server.addresses()
      const started: Started = {
        http: formatHostPort(first),
        http_addresses: server.addresses().map(formatHostPort),
        url: urlOf(first),
        addresses: peers.addresses(),
        peer_id: peers.peerId,
        network: config.network,
        data_dir: config.dataDir,
        ...store.totals(),
        engine: verifier.engine,
        version,
      }
      logger.info(started, 'started')
      return started
    }
  } catch (error) {
    await stop()
    throw error
  }
}
