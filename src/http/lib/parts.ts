import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify'
import type { Socket } from 'node:net'
import type { Static } from 'typebox'

import type { HostingRules, OperatorApi, OwnerRequests } from '../../hosting/types.ts'
import type { Finder, ReceiptIssuer } from '../../find/types.ts'
import type { Ingest } from '../../ingest/types.ts'
import type { Logger, Metrics } from '../../observe/types.ts'
import type { PeerInfo, Reachability } from '../../network/types.ts'
import type { Environment } from '../../platform/environment.ts'
import type { StoreReader } from '../../store/types.ts'
import type { JsonAnswers } from '../answers/json-answers.ts'
import type { OutputBudget } from '../answers/output-budget.ts'
import type { Transfers } from '../answers/transfers.ts'
import type { ViewCache } from '../answers/view-cache.ts'
import type { ActivityLog } from '../v2/activity.ts'
import type { EventStreams } from '../v2/event-stream-api.ts'
import type { PeerSync } from '../v2/status-schemas.ts'
import type { AvatarNames } from './avatar-names.ts'
import type { ClientAddresses } from '../../shares/client-address.ts'
import type { HttpLimits } from './limits.ts'

/** The framework with all its hooks, to which routes are added. */
export type HttpApp = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

/** The parts of the node behind the HTTP interface. */
export interface HttpComponents {
  /** The records of hosted avatars. */
  readonly store: StoreReader
  /** All records, of hosted avatars or not: only for the operator's backup. */
  readonly fullStore: Pick<StoreReader, 'epoch' | 'exportSnapshot'>
  readonly hosting: HostingRules & OperatorApi
  /** The disk that holds the data. */
  readonly disk: { state(): 'ok' | 'low' | 'full'; freePercent(): number | undefined }
  /** Handles the statements of owners. */
  readonly ownerRequests: OwnerRequests
  readonly ingest: Ingest
  readonly network: {
    readonly peerId: string
    addresses(): string[]
    /** Those of `addresses` that others can dial over the internet. */
    publicAddresses(): string[]
    reachability(): Reachability
    /** Connected peers; `sync` is null for a peer that does not support sync. */
    peers(): readonly (PeerInfo & { readonly sync: Static<typeof PeerSync> | null })[]
  }
  /** Signs receipts with the node's key. */
  readonly receipts: ReceiptIssuer
  /** Finds the hosts of an avatar. */
  readonly finder: Pick<Finder, 'find' | 'peerId'>
  readonly environment: Environment
  readonly logger: Logger
  readonly metrics: Metrics
}

/** What the operator says about the node (`GET /v2/node`); null: not stated, or no limit. */
export interface NodeAbout {
  readonly name: string | null
  readonly contact: string | null
  readonly policy: string | null
  readonly public_url: string | null
  /** Whether a program of the operator decides on new avatars. */
  readonly reviews_new_avatars: boolean
  readonly history: { readonly kept: boolean; readonly erased_kept: boolean }
  /** Percent of free disk below which the node takes no new avatars, and no records; 0: never. */
  readonly disk: { readonly new_avatars_percent: number; readonly writes_percent: number }
  readonly quotas: {
    readonly avatar_bytes: number | null
    readonly avatar_records: number | null
    readonly total_bytes: number | null
    readonly total_records: number | null
  }
}

/** Facts about the node that its answers tell. */
export interface NodeFacts {
  /** Name of the network whose records the node accepts. */
  readonly network: string
  /** Version of this software. */
  readonly version: string
  /** Name of the engine that verifies signatures, if known. */
  readonly engine?: string
  readonly about: NodeAbout
}

/** What routes are built from; each takes the parts that it uses. */
export interface RouteParts extends HttpComponents {
  readonly facts: NodeFacts
  readonly limits: HttpLimits
  readonly clients: ClientAddresses
  readonly names: AvatarNames
  readonly views: ViewCache
  readonly answers: JsonAnswers
  readonly budget: OutputBudget
  readonly streams: EventStreams
  readonly activity: ActivityLog
  readonly transfers: Transfers
  /** Connections whose request may exceed `requestTimeoutMs`; the route that adds one bounds its time, and removes it. */
  readonly longRequests: WeakSet<Socket>
  /** Connections whose fault has been counted. */
  readonly faulty: WeakSet<Socket>
}
