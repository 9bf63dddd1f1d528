import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { fastify } from 'fastify'
import type { FastifyInstance } from 'fastify'
import type { Socket } from 'node:net'

import type { Environment } from '../../platform/environment.ts'
import type { OwnerRequests, OperatorApi, HostingRules } from '../../hosting/types.ts'
import type { Ingest } from '../../ingest/types.ts'
import type { Logger, Metrics } from '../../observe/types.ts'
import type { Avatar } from '../../record/types.ts'
import type { StoreReader } from '../../store/types.ts'
import { createAvatarNames } from '../lib/avatar-names.ts'
import { installBodyParser } from './body.ts'
import { createClientAddresses } from '../lib/client-address.ts'
import { installCrossOrigin, installNoSniffing } from '../lib/cross-origin.ts'
import { installDocs } from './docs.ts'
import { installErrorHandler, sendError } from '../lib/errors.ts'
import { createEventStreams } from '../v2/event-streams.ts'
import { installExplorer } from './explorer.ts'
import { DEFAULT_LIMITS, PATH_SEGMENT_LENGTH, V1_BODY_BYTES } from '../lib/limits.ts'
import type { HttpLimits } from '../lib/limits.ts'
import { installHostingGate } from './hosting-gate.ts'
import { createJsonAnswers } from '../answers/json-answers.ts'
import { listenOnAll } from './listening.ts'
import type { Listened, Listening, LookupAll } from './listening.ts'
import { createNodeServer } from './node-server.ts'
import { createOutputBudget } from '../answers/output-budget.ts'
import type { OutputBudget } from '../answers/output-budget.ts'
import { installNotFound } from './not-found.ts'
import { installPrivateRoutes } from '../lib/private-routes.ts'
import { installRequestShares } from './request-shares.ts'
import { createReceiptIssuer } from '../v2/receipt-issuer.ts'
import type { PeerSigner } from '../v2/receipt-issuer.ts'
import { v1Routes } from '../v1/routes.ts'
import { createArchiveRoutes } from '../v2/archives.ts'
import { v2AvatarRoutes } from '../v2/avatars.ts'
import { createBackupRoutes } from '../v2/backup.ts'
import { v2EventRoutes } from '../v2/events.ts'
import { v2HostingRoutes } from '../v2/hosting.ts'
import { v2NodeRoutes } from '../v2/node.ts'
import type { ShownNetwork } from '../v2/node.ts'
import { v2ProvenanceRoutes } from '../v2/provenance.ts'
import { v2ReceiptRoutes } from '../v2/receipt.ts'
import { v2RecordRoutes } from '../v2/records.ts'
import { validatorCompiler } from './validation.ts'
import { createViewShortcut } from '../answers/view-answer.ts'
import { createViewCache } from '../answers/view-cache.ts'

export interface HttpComponents {
  /** The records of hosted avatars. */
  readonly store: StoreReader
  /** All records, of hosted avatars or not: only for the operator's backup. */
  readonly fullStore: Pick<StoreReader, 'epoch' | 'exportSnapshot'>
  readonly hosting: HostingRules & OperatorApi
  /** Handles the statements of owners. */
  readonly ownerRequests: OwnerRequests
  readonly ingest: Ingest
  readonly network: ShownNetwork
  /** Signs receipts. */
  readonly signer: PeerSigner
  readonly environment: Environment
  readonly logger: Logger
  readonly metrics: Metrics
}

export interface HttpOptions {
  /** Address to listen on, such as `127.0.0.1` or `::1`, or a host name, which stands for all its addresses. */
  readonly host: string
  /** 0 chooses a free port. */
  readonly port: number
  /** Reverse proxies that name their clients, as `createNetworkList` takes them. */
  readonly trustedProxies: readonly string[]
  /** Name of the network whose records the node accepts. */
  readonly network: string
  /** Version of this software. */
  readonly version: string
  /** Name of the engine that verifies signatures, shown in the status. */
  readonly engine?: string
  /** The operator's token, 64 hex digits. Default: operator routes reject every request. */
  readonly operatorToken?: string
  /** Folder of the built explorer. Default: no explorer. */
  readonly explorer?: string
  /** Default: `DEFAULT_LIMITS`. */
  readonly limits?: Partial<HttpLimits>
  /** Default: the system's. */
  readonly lookup?: LookupAll
}

export interface HttpServer {
  /** Listens on all addresses of `host`. @throws ListenError if it cannot listen on one of them */
  start(): Promise<void>
  /** Ends event streams, waits up to `stopGraceMs` for unfinished answers, and closes all connections. */
  stop(): Promise<void>
  /** The addresses that the server listens on. Empty before `start`. */
  addresses(): readonly Listened[]
}

/** How often a stopping server closes connections that have become idle. */
const IDLE_SWEEP_MS = 20

/** Creates the HTTP interface of a node, versions 1 and 2 (docs/protocol.md, "HTTP"). */
export async function createHttpServer(components: HttpComponents, options: HttpOptions): Promise<HttpServer> {
  const { store, fullStore, hosting, ownerRequests, ingest, network, signer, environment, metrics } = components
  const limits: HttpLimits = { ...DEFAULT_LIMITS, ...options.limits }
  const logger = components.logger.child({ part: 'http' })
  const clients = createClientAddresses(options.trustedProxies)

  const views = createViewCache(store, { maxBytes: limits.cacheBytes, network: options.network })
  const forgetViews = hosting.onChange(({ changed }) => {
    for (const avatar of changed) views.drop(avatar)
  })
  const { clock, timers } = environment
  const budget = createOutputBudget({ clock, timers, metrics, clients }, limits.output)
  metrics.gauge('http_output_bytes', 'Memory of HTTP answers that wait for their readers.', () => budget.bytes())
  const answers = createJsonAnswers({ budget, environment, metrics, logger }, limits)
  const hostedViews: Pick<typeof views, 'peek'> = {
    // The text may be no avatar at all; then it is neither listed nor cached.
    peek: (text) => (hosting.hosts(text as Avatar) ? views.peek(text) : undefined),
  }
  const streams = createEventStreams({ store, environment, logger }, limits)
  metrics.gauge('event_streams', 'Open event streams.', () => streams.count())

  const longRequests = new WeakSet<Socket>()
  const faulty = new WeakSet<Socket>()
  const app = fastify({
    logger: false,
    bodyLimit: V1_BODY_BYTES,
    serverFactory: (handler) =>
      createNodeServer(
        handler,
        createViewShortcut(hostedViews, budget, metrics),
        { longRequests, faulty, clients, metrics },
        limits,
      ),
    return503OnClosing: false,
    // `createNodeServer` answers requests that are malformed or late.
    clientErrorHandler: () => undefined,
    routerOptions: { maxParamLength: PATH_SEGMENT_LENGTH },
    // For malformed URLs, which reach no route and so no hook.
    frameworkErrors: (error, _request, reply) => {
      reply.header('access-control-allow-origin', '*').header('x-content-type-options', 'nosniff')
      metrics.stranger('http', 'bad_request')
      void sendError(reply, error.statusCode ?? 400, 'bad_request', error.message)
    },
  }).withTypeProvider<TypeBoxTypeProvider>()
  app.setValidatorCompiler(validatorCompiler)
  // The response schemas only describe the answers.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data))
  installNoSniffing(app)
  installRequestShares(app, { clients, limits: limits.requests })
  installErrorHandler(app, { logger, metrics, clients, faulty })
  installNotFound(app)
  const names = createAvatarNames()
  installHostingGate(app, { hosting, names })
  installBodyParser(app, { clients, limits: limits.bodyBytes })
  countAnswers(app, metrics)
  watchAnswers(app, budget)
  installPrivateRoutes(app, options.operatorToken)
  await installCrossOrigin(app)
  await installDocs(app, options.version)
  installExplorer(app, options.explorer)

  const facts = { version: options.version, network: options.network }
  await app.register(
    v1Routes({ store, views, answers, ingest, names, environment, clients }, { network: options.network, limits }),
  )
  await app.register(v2AvatarRoutes({ store, views, answers, budget, names }, { network: options.network }))
  await app.register(v2ProvenanceRoutes({ store, names }))
  await app.register(v2RecordRoutes({ store, ingest, answers, names, clients }))
  const receipts = createReceiptIssuer(
    { store, clock: environment.clock, signer },
    { network: options.network, rates: limits.receipts },
  )
  await app.register(v2ReceiptRoutes({ receipts, names, clients }))
  await app.register(v2HostingRoutes({ hosting, ownerRequests, names, clients }))
  await app.register(v2EventRoutes({ store, streams, names, clients }))
  const archives = createArchiveRoutes(
    { store, ingest, names, environment, metrics, logger, longRequests, clients },
    { network: options.network, limits },
  )
  metrics.gauge('archive_streams', 'Archives that are being sent or received by HTTP.', () => archives.count())
  await app.register(archives.routes)
  const { network: name, version } = options
  const backups = createBackupRoutes(
    { store: fullStore, environment, metrics, logger },
    { network: name, version, limits },
  )
  await app.register(backups.routes)
  await app.register(
    v2NodeRoutes(
      { store, hosting, network, clock: environment.clock, metrics, subscribers: () => streams.count() },
      options.engine === undefined ? facts : { ...facts, engine: options.engine },
    ),
  )
  await app.ready()

  let listening: Listening | undefined
  return {
    async start() {
      listening = await listenOnAll(app.server, options, options.lookup)
    },
    async stop() {
      streams.close()
      budget.close()
      views.close()
      forgetViews()
      const { timers } = environment
      const cancelGrace = timers.after(limits.stopGraceMs, () => app.server.closeAllConnections())
      // Connections become idle when their last answer ends; Node would keep them open for the next request.
      const sweep = () => {
        app.server.closeIdleConnections()
        cancelSweep = timers.after(IDLE_SWEEP_MS, sweep)
      }
      let cancelSweep = timers.after(IDLE_SWEEP_MS, sweep)
      await Promise.all([archives.close(), backups.close()])
      await Promise.all([app.close(), listening?.close()])
      cancelSweep()
      cancelGrace()
      await answers.close()
    },
    addresses: () => listening?.addresses ?? [],
  }
}

/** Counts every answer by route, method and status, except event streams, whose duration says nothing. */
function countAnswers(app: FastifyInstance, metrics: Metrics): void {
  app.addHook('onRoute', (route) => {
    const { url } = route
    if (url === '/v2/events') return
    route.onResponse = (request, reply, done) => {
      metrics.http(url, request.method, reply.statusCode, reply.elapsedTime / 1000)
      done()
    }
  })
}

/** Answers of the framework count against the output budget from this size on. */
const WATCHED_BYTES = 16 * 1024

/** Counts the unsent bytes of answers that the framework sends in one piece. */
function watchAnswers(app: FastifyInstance, budget: Pick<OutputBudget, 'watch'>): void {
  app.addHook('onSend', (request, reply, payload, done) => {
    const isLarge = (typeof payload === 'string' || payload instanceof Buffer) && payload.length >= WATCHED_BYTES
    // Fastify writes the answer after this hook.
    if (isLarge) setImmediate(() => budget.watch(request.raw, reply.raw))
    done()
  })
}
