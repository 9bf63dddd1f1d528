import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { fastify } from 'fastify'

import type { Avatar } from '../../record/types.ts'
import { createJsonAnswers } from '../answers/json-answers.ts'
import { createOutputBudget } from '../answers/output-budget.ts'
import { createTransfers } from '../answers/transfers.ts'
import { createViewShortcut } from '../answers/view-answer.ts'
import { avatarOfPath, createViewCache, type ViewCache } from '../answers/view-cache.ts'
import { createAvatarNames } from '../lib/avatar-names.ts'
import { createClientAddresses } from '../../shares/client-address.ts'
import { installCrossOrigin, installNoSniffing } from '../lib/cross-origin.ts'
import { HttpError, sendError } from '../lib/errors.ts'
import { DEFAULT_LIMITS, PATH_SEGMENT_LENGTH, V1_BODY_BYTES, type HttpLimits } from '../lib/limits.ts'
import type { HttpApp, HttpComponents, NodeFacts, RouteParts } from '../lib/parts.ts'
import { installPrivateRoutes } from '../lib/private-routes.ts'
import { addV1Routes } from '../v1/routes.ts'
import { addArchiveRoutes } from '../v2/archives.ts'
import { addAvatarRoutes } from '../v2/avatars.ts'
import { addBackupRoute } from '../v2/backup.ts'
import { createActivityLog } from '../v2/activity.ts'
import { createEventStreams } from '../v2/event-streams.ts'
import { addOverviewRoutes } from '../v2/overview.ts'
import { addEventRoute } from '../v2/events.ts'
import { addHostingRoutes } from '../v2/hosting.ts'
import { addNodeRoutes } from '../v2/node.ts'
import { addProvenanceRoutes } from '../v2/provenance.ts'
import { addReceiptRoutes } from '../v2/receipt.ts'
import { addRecordRoutes } from '../v2/records.ts'
import { installBodyParser } from './body.ts'
import { installDocs } from './docs.ts'
import { installErrorHandler } from './error-handler.ts'
import { installExplorer } from './explorer.ts'
import { installHostingGate } from './hosting-gate.ts'
import { listenOnAll, type Listened, type Listening, type LookupAll } from './listening.ts'
import { createNodeServer } from './node-server.ts'
import { installNotFound } from './not-found.ts'
import { installRequestShares } from './request-shares.ts'
import { validatorCompiler } from './validation.ts'

export interface HttpOptions extends NodeFacts {
  /** Address to listen on, such as `127.0.0.1` or `::1`, or a host name, which stands for all its addresses. */
  readonly host: string
  /** 0 chooses a free port. */
  readonly port: number
  /** Reverse proxies that name their clients, as `createNetworkList` takes them. */
  readonly trustedProxies: readonly string[]
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
  const { store, hosting, environment, metrics } = components
  const { network, version, engine, about } = options
  const limits: HttpLimits = { ...DEFAULT_LIMITS, ...options.limits }
  const logger = components.logger.child({ part: 'http' })
  const clients = createClientAddresses(options.trustedProxies)
  const isShown = (avatar: Avatar): boolean => hosting.hosts(avatar)
  const views = createViewCache(store, { maxBytes: limits.cacheBytes, network, isShown })
  const budget = createOutputBudget({ environment, metrics, clients }, limits.output)
  metrics.gauge('http_output_bytes', 'Memory of HTTP answers that wait for their readers.', () => budget.bytes())
  const answers = createJsonAnswers({ budget, environment, metrics, logger }, limits)
  const streams = createEventStreams({ store, environment, logger }, limits)
  const unwatchHosting = hosting.onChange(({ changed }) => {
    for (const avatar of changed) views.drop(avatar)
    if (!changed.every(isShown)) streams.dropEvents()
  })
  metrics.gauge('event_streams', 'Open event streams.', () => streams.count())
  const activity = createActivityLog(store, environment.clock)
  const transfers = createTransfers({ environment, metrics, logger }, limits)
  const parts: RouteParts = {
    ...components,
    logger,
    limits,
    clients,
    views,
    budget,
    answers,
    streams,
    activity,
    transfers,
    facts: { network, version, about, ...(engine === undefined ? {} : { engine }) },
    names: createAvatarNames(),
    longRequests: new WeakSet(),
    faulty: new WeakSet(),
  }

  const app = createApp(parts)
  installNoSniffing(app)
  installRequestShares(app, parts)
  installErrorHandler(app, parts)
  installNotFound(app)
  installHostingGate(app, parts)
  installBodyParser(app, parts)
  watchAnswers(app, parts)
  installPrivateRoutes(app, options.operatorToken)
  await installCrossOrigin(app)
  const pageFiles = installExplorer(app, options.explorer)
  await installDocs(app, { version, pageFiles, publicUrl: about.public_url })
  addV1Routes(app, parts)
  addAvatarRoutes(app, parts)
  addOverviewRoutes(app, parts)
  addProvenanceRoutes(app, parts)
  addRecordRoutes(app, parts)
  addReceiptRoutes(app, parts)
  addHostingRoutes(app, parts)
  addEventRoute(app, parts)
  addArchiveRoutes(app, parts)
  addBackupRoute(app, parts)
  addNodeRoutes(app, parts)
  await app.ready()

  let listening: Listening | undefined
  return {
    async start() {
      listening = await listenOnAll(app.server, options, options.lookup)
    },
    async stop() {
      streams.close()
      activity.close()
      budget.close()
      views.close()
      unwatchHosting()
      const { timers } = environment
      const cancelGrace = timers.after(limits.stopGraceMs, () => app.server.closeAllConnections())
      // Connections become idle when their last answer ends; Node would keep them open for the next request.
      const sweep = () => {
        app.server.closeIdleConnections()
        cancelSweep = timers.after(IDLE_SWEEP_MS, sweep)
      }
      let cancelSweep = timers.after(IDLE_SWEEP_MS, sweep)
      await transfers.close()
      await Promise.all([app.close(), listening?.close()])
      cancelSweep()
      cancelGrace()
      await answers.close()
    },
    addresses: () => listening?.addresses ?? [],
  }
}

/** Creates the framework on top of `createNodeServer`, without hooks and routes. */
function createApp(parts: RouteParts): HttpApp {
  const { hosting, views, budget, metrics } = parts
  const hostedViews: Pick<ViewCache, 'peek'> = {
    // The text may name no avatar at all; then it is neither listed nor cached.
    peek: (path) => (hosting.hosts(avatarOfPath(path)) ? views.peek(path) : undefined),
  }
  const shortcut = createViewShortcut(hostedViews, budget, metrics)
  const app = fastify({
    logger: false,
    bodyLimit: V1_BODY_BYTES,
    serverFactory: (handler) => createNodeServer(handler, shortcut, parts),
    return503OnClosing: false,
    // `createNodeServer` answers requests that are malformed or late.
    clientErrorHandler: () => undefined,
    routerOptions: { maxParamLength: PATH_SEGMENT_LENGTH },
    // For malformed URLs, which reach no route and so no hook.
    frameworkErrors: ({ statusCode = 400, message }, _request, reply) => {
      reply.header('access-control-allow-origin', '*').header('x-content-type-options', 'nosniff')
      metrics.stranger('http', 'bad_request')
      void sendError(reply, new HttpError(statusCode, 'bad_request', message))
    },
  }).withTypeProvider<TypeBoxTypeProvider>()
  app.setValidatorCompiler(validatorCompiler)
  // The response schemas only describe the answers.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data))
  return app
}

/** Answers of the framework count against the output budget from this size on. */
const WATCHED_BYTES = 16 * 1024

/**
 * Counts every answer by route, method and status, except event streams, whose duration says nothing; and the unsent bytes of
 * answers that the framework sends in one piece.
 */
function watchAnswers(app: HttpApp, { metrics, budget }: RouteParts): void {
  app.addHook('onRoute', (route) => {
    const { url } = route
    if (url === '/v2/events') return
    route.onResponse = (request, reply, done) => {
      metrics.http(url, request.method, reply.statusCode, reply.elapsedTime / 1000)
      done()
    }
  })
  app.addHook('onSend', (request, reply, payload, done) => {
    const isLarge = (typeof payload === 'string' || payload instanceof Buffer) && payload.length >= WATCHED_BYTES
    // Fastify writes the answer after this hook.
    if (isLarge) setImmediate(() => budget.watch(request.raw, reply.raw))
    done()
  })
}
