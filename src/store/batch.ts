/** The result of building a batch from records. */
import type { Avatar, VerifiedRecord } from '../record/types.ts'
import type { Item } from '../negentropy/types.ts'
import type { AvatarEntry } from './avatar-entry.ts'
import type { Counts } from './counts.ts'
import type { Database, Operation } from './level.ts'
import type { FeedRow } from './rows.ts'
import type { AvatarSummary, CommitResult, Quotas } from './types.ts'

/** One change without its avatar's head and digest, which `toEvents` adds. */
export interface Change extends FeedRow {
  readonly sequence: number
}

export interface Batch {
  readonly results: CommitResult[]
  readonly operations: Operation[]
  readonly changes: Change[]
  readonly summaries: Map<Avatar, AvatarSummary>
  readonly lastSequence: number
  readonly newAvatars: number
  /** Counts of all avatars after the batch. */
  readonly counts: Counts
  /** Records that become live. */
  readonly added: readonly Item[]
  /** Records that stop being live and whose `o` rows this batch removes. */
  readonly removed: readonly Item[]
  /** Avatars with superseded records that a background task removes from the sync index. */
  readonly staleInSyncIndex: readonly Avatar[]
  /** Whether there is history to prune. */
  readonly hasGarbage: boolean
  /** Whether an avatar of the batch has history. */
  readonly hasHistory: boolean
}

export interface BatchContext {
  readonly db: Database
  /** The newest sequence committed. */
  readonly lastSequence: number
  /** Counts of all avatars before the batch. */
  readonly counts: Counts
  readonly archive: boolean
  readonly quotas: Quotas
  /** Most superseded records whose `o` rows one batch removes itself. */
  readonly stepRecords: number
  /** Returns the entry of an avatar, the same one for every call during a batch. */
  readonly entryOf: (avatar: Avatar) => Promise<AvatarEntry>
}

/** The batch while avatars add to it, one after the other. */
export class PartialBatch {
  readonly operations: Operation[] = []
  readonly summaries = new Map<Avatar, AvatarSummary>()
  readonly added: Item[] = []
  readonly removed: Item[] = []
  readonly staleInSyncIndex: Avatar[] = []
  newAvatars = 0
  hasGarbage = false
  hasHistory = false
}

/** The bytes of a record in quotas and totals. */
export const bytesOf = ({ payload, signature }: VerifiedRecord): number => payload.length + signature.length
