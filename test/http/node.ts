import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { generateKeyPair } from '@libp2p/crypto/keys'
import { pino } from 'pino'
import type { Logger } from 'pino'

import type { Environment } from '../../src/platform/environment.ts'
import type { NodeAbout } from '../../src/http/lib/parts.ts'
import type { HttpLimits } from '../../src/http/lib/limits.ts'
import type { LookupAll } from '../../src/http/server/listening.ts'
import { createHttpServer } from '../../src/http/server/server.ts'
import { ADMITS_ALL, type Admission } from '../../src/ingest/admission.ts'
import { createIngest } from '../../src/ingest/ingest.ts'
import { DEFAULT_INGEST_LIMITS } from '../../src/ingest/limits.ts'
import type { IngestLimits } from '../../src/ingest/limits.ts'
import { createMetrics } from '../../src/observe/metrics.ts'
import { openStore } from '../../src/store/store.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'
import { payloadHead } from '../../src/record/payload-head.ts'
import { createFinder, type FinderComponents } from '../../src/find/finder.ts'
import { RECEIPT_RATES } from '../../src/find/limits.ts'
import { createReceiptIssuer } from '../../src/find/receipt-issuer.ts'
import type { RateLimits } from '../../src/shares/rates.ts'
import { hostedReader } from '../../src/hosting/hosted-reader.ts'
import type { HostingOptions } from '../../src/hosting/hosting.ts'
import { createVerifyService } from '../../src/verify/verify-service.ts'
import { openOwnerRequests, openHostingForTest } from '../hosting/open-hosting.ts'
import type { HostingForTestOptions } from '../hosting/open-hosting.ts'

export const NETWORK = 'main'
export const OPERATOR_TOKEN = 'ab'.repeat(32)
export const PEER = {
  peer_id: '12D3KooWExamplePeer',
  addresses: ['/ip4/192.0.2.7/tcp/4382'],
  direction: 'outbound' as const,
  gossip: true,
  connected_at: 1_790_000_000,
  agent: null,
  gossip_records_in: 6,
  sync: {
    state: 'bootstrapping' as const,
    role: 'initiator' as const,
    progress: { done: 7, total: 100 },
    last: {
      finished_at: 1_790_000_001,
      role: 'responder' as const,
      outcome: 'equal_except_refused' as const,
      differences: 3,
      refused_here: 1,
      refused_there: 0,
    },
    sessions: 2,
    failures: 1,
    error: 'stalled',
    records_in: 4,
    records_out: 5,
    bytes_in: 2000,
    bytes_out: 3000,
  },
}

const engine = await selectEngine()
const peerKey = await generateKeyPair('Ed25519')
export const SIGNER = { peerId: peerKey.publicKey.toString(), sign: (bytes: Uint8Array) => peerKey.sign(bytes) }
const silent = pino({ level: process.env['TEST_LOG'] ?? 'silent' })

const NO_PEERS: FinderComponents['transport'] = {
  peers: () => [],
  hostOf: (peer) => ({ key: peer }),
  isConfigured: () => false,
  open: () => Promise.reject(new Error('There are no peers.')),
  listen: () => () => undefined,
  penalize: () => undefined,
}

export interface NodeOptions {
  readonly limits?: Partial<HttpLimits>
  readonly ingestLimits?: Partial<IngestLimits>
  readonly environment?: Environment
  readonly feedEntries?: number
  readonly hosting?: Partial<HostingOptions> & Pick<HostingForTestOptions, 'path'>
  readonly receiptRates?: RateLimits
  /** Peers that can be asked where an avatar lives. Default: none. */
  readonly findTransport?: FinderComponents['transport']
  /** Addresses of its HTTP interface that it tells. */
  readonly urls?: readonly string[]
  /** What every avatar says where it lives. */
  readonly homes?: readonly string[]
  readonly logger?: Logger
  readonly trustedProxies?: readonly string[]
  readonly host?: string
  readonly port?: number
  readonly lookup?: LookupAll
  /** Further rules of admission. */
  readonly admission?: Partial<Admission>
  /** What the operator says about the node. Default: nothing. */
  readonly about?: Partial<NodeAbout>
  /** Null: there is no operator. */
  readonly operatorToken?: string | null
}

export type HttpNode = Awaited<ReturnType<typeof startHttpNode>>

const NOTHING_SAID: NodeAbout = {
  name: null,
  contact: null,
  policy: null,
  public_url: null,
  reviews_new_avatars: false,
  history: { kept: false, erased_kept: false },
  disk: { new_avatars_percent: 10, writes_percent: 5 },
  quotas: { avatar_bytes: null, avatar_records: null, total_bytes: null, total_records: null },
}

/** The HTTP interface of a node, with a real store, ingest and verification behind it; only the network is left out. */
export async function startHttpNode(options: NodeOptions = {}) {
  const { operatorToken = OPERATOR_TOKEN } = options
  const operator = operatorToken === null ? {} : { operatorToken }
  const { limits = {}, ingestLimits = {}, environment = systemEnvironment(), feedEntries, logger = silent } = options
  const directory = await mkdtemp(join(tmpdir(), 'avatar-kv-http-'))
  const metrics = createMetrics()
  const parts = { environment, logger, metrics }

  async function open() {
    const store = await openStore(
      { ...parts, engine },
      { location: join(directory, 'store'), network: NETWORK, ...(feedEntries === undefined ? {} : { feedEntries }) },
    )
    const hosting = await openHostingForTest({
      ...options.hosting,
      environment,
      held: {
        avatars: store.avatars.bind(store),
        homes: () => Promise.resolve(options.homes ?? []),
        links: async (avatar) => (await store.links(avatar)).map((link) => link.avatar),
        forget: (avatar) => store.forget(avatar),
        isHeld: async (avatar) => (await store.summary(avatar)) !== undefined,
      },
    })
    store.onCommit((events) => hosting.linksChanged(events.map(({ avatar }) => avatar)))
    const avatarOf = (payload: Uint8Array) => payloadHead(payload)?.avatar
    const verifier = createVerifyService({ engine, logger }, { network: NETWORK, workers: 0 })
    const ingest = createIngest(
      {
        ...parts,
        metrics: createMetrics(),
        store,
        verifier,
        announce: () => {},
        admission: { ...ADMITS_ALL, peek: avatarOf, admit: hosting.admit, ...options.admission },
      },
      { ...DEFAULT_INGEST_LIMITS, ...ingestLimits },
    )
    const httpMetrics = createMetrics()
    const avatarStore = hostedReader(store, hosting.hosts, avatarOf)
    const receipts = createReceiptIssuer(
      { store: avatarStore, clock: environment.clock, signer: SIGNER },
      { network: NETWORK, rates: options.receiptRates ?? RECEIPT_RATES },
    )
    const finder = createFinder(
      {
        ...parts,
        transport: options.findTransport ?? NO_PEERS,
        receipts,
        peerId: SIGNER.peerId,
        homesOf: (avatar) =>
          Promise.resolve(hosting.hosts(avatar) ? (options.homes ?? []) : hosting.formerHomes(avatar)),
        addresses: () => ['/ip4/127.0.0.1/tcp/1'],
        urls: () => options.urls ?? [],
      },
      { network: NETWORK },
    )
    const server = await createHttpServer(
      {
        ...parts,
        metrics: httpMetrics,
        store: avatarStore,
        fullStore: store,
        hosting,
        disk: { state: () => 'ok', freePercent: () => 42.5 },
        ownerRequests: openOwnerRequests(hosting, engine, '12D3KooWThisNode', { environment }),
        ingest,
        network: {
          peerId: '12D3KooWThisNode',
          addresses: () => ['/ip4/127.0.0.1/tcp/1/p2p/x'],
          publicAddresses: () => ['/dns4/node.example.org/tcp/1/p2p/x'],
          peers: () => [PEER],
          reachability: () => ({ state: 'unknown', text: 'not known yet' }),
        },
        receipts,
        finder,
      },
      {
        host: options.host ?? '127.0.0.1',
        port: options.port ?? 0,
        trustedProxies: options.trustedProxies ?? ['loopback'],
        network: NETWORK,
        version: '1.2.3',
        engine: engine.name,
        about: { ...NOTHING_SAID, ...options.about },
        ...operator,
        limits,
        ...(options.lookup === undefined ? {} : { lookup: options.lookup }),
      },
    )
    await server.start()
    return { store, hosting, verifier, ingest, server, metrics: httpMetrics }
  }

  let running = await open()

  async function shut(): Promise<void> {
    await running.server.stop()
    await running.ingest.stop()
    await running.verifier.close()
    await running.store.close()
  }

  return {
    /** The counters of one kind of what strangers did, by its name. */
    async strangers(): Promise<Record<string, number>> {
      const { text } = await running.metrics.expose()
      const found = text.matchAll(/^avatar_kv_strangers_total\{part="http",kind="(\w+)"\} (\d+)$/gm)
      return Object.fromEntries([...found].map(([, kind, count]) => [kind, Number(count)]))
    },
    get store() {
      return running.store
    },
    get ingest() {
      return running.ingest
    },
    get hosting() {
      return running.hosting
    },
    addresses: () => running.server.addresses(),
    get port() {
      return running.server.addresses()[0]!.port
    },
    url: (path: string) => `http://127.0.0.1:${running.server.addresses()[0]!.port}${path}`,
    fetch: (path: string, init?: RequestInit) =>
      fetch(`http://127.0.0.1:${running.server.addresses()[0]!.port}${path}`, init),
    async json(path: string, init?: RequestInit) {
      const response = await fetch(`http://127.0.0.1:${running.server.addresses()[0]!.port}${path}`, init)
      return { status: response.status, headers: response.headers, body: JSON.parse(await response.text()) }
    },
    stopServer: () => running.server.stop(),
    /** Stops everything and starts it anew on the same store. */
    async restart() {
      await shut()
      running = await open()
    },
    async close() {
      await shut()
      await rm(directory, { recursive: true })
    },
  }
}

/** A POST as Next.ID's clients make it: JSON, called text. */
export function post(body: unknown): RequestInit {
  return {
    method: 'POST',
    headers: { 'content-type': 'text/plain;charset=UTF-8' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  }
}
