import type { Environment } from '../platform/environment.ts'
import type { Ingest } from '../ingest/types.ts'
import type { Logger, Metrics } from '../observe/types.ts'
import type { Keccak256 } from '../record/id.ts'
import type { RecordId } from '../record/types.ts'
import type { Scope, SyncSource } from '../store/types.ts'
import type { BootstrapMark } from './bootstrap.ts'
import type { PeerSyncHealth } from './health.ts'
import type { SyncLimits } from './limits.ts'
import type { SyncTransport } from './types.ts'

export interface SyncComponents {
  readonly source: SyncSource
  readonly ingest: Pick<Ingest, 'submit'>
  readonly transport: SyncTransport
  readonly environment: Environment
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'gauge' | 'counter'>
  /** Names records; the signature engine's is the quickest. */
  readonly keccak256: Keccak256
  /** Where a bootstrap has got to. Default: in memory. */
  readonly mark?: BootstrapMark
}

export interface SyncOptions {
  /** The network that records are of. */
  readonly network: string
  /** What this node cares for, asked before every session. Default: everything. */
  readonly scope?: () => Scope
  readonly limits?: Partial<SyncLimits>
}

export interface Sync {
  start(): void
  /** Breaks all sessions; resolves when nothing of them is left. What was committed stays. */
  stop(): Promise<void>
  /** Gossip could not keep up: calls all peers soon. */
  nudge(): void
  /** These ids newly went missing: asks peers for them, once. */
  missing(ids: readonly RecordId[]): void
  /** What was refused may be taken now. */
  policyChanged(): void
  /** Connected peers, in the order in which they came. */
  peers(): PeerSyncHealth[]
}
