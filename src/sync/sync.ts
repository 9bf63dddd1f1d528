import type { Logger, Metrics } from '../observe/types.ts'
import type { RecordId } from '../record/types.ts'
import type { Scope, SyncSource } from '../store/types.ts'
import type { BootstrapMark } from './bootstrap.ts'
import type { PeerSyncHealth } from './health.ts'
import type { SyncLimits } from './limits.ts'
import type { SessionParts } from './session.ts'
import type { SyncTransport } from './types.ts'

export interface SyncComponents extends Pick<SessionParts, 'ingest' | 'environment' | 'keccak256'> {
  readonly source: SyncSource
  readonly transport: SyncTransport
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'gauge' | 'counter'>
  /** The position of an unfinished bootstrap. Default: in memory. */
  readonly mark?: BootstrapMark
  /** Whether this node takes no records at all now. Then sync asks for none, and still sends. Default: never. */
  readonly isClosed?: () => boolean
}

export interface SyncOptions {
  /** Name of the network. */
  readonly network: string
  /** The avatars that this node stores, asked before every session. Default: all. */
  readonly scope?: () => Scope
  readonly limits?: Partial<SyncLimits>
}

export interface Sync {
  start(): void
  /** Aborts all sessions, and resolves when they have ended. Committed records stay. */
  stop(): Promise<void>
  /** Opens sessions with all peers soon, because gossip lost records. */
  nudge(): void
  /** Asks peers for ids that newly went missing, once. */
  missing(ids: readonly RecordId[]): void
  /** Forgets which ids this node refused, because its policy has changed. */
  policyChanged(): void
  /** Connected peers, in the order in which they came. */
  peers(): PeerSyncHealth[]
}
