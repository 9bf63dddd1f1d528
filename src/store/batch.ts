/** What a batch of records is made into. */
import type { Avatar, VerifiedRecord } from '../record/types.ts'
import type { Item } from '../negentropy/types.ts'
import type { AvatarEntry } from './avatar-entry.ts'
import type { Counts } from './counts.ts'
import type { Database, Operation } from './level.ts'
import type { FeedRow } from './rows.ts'
import type { AvatarSummary, CommitResult, Quotas } from './types.ts'

/** One change, its avatar's head and digest still to be filled in. */
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
  /** What all avatars hold once the batch is in. */
  readonly counts: Counts
  /** Records that are live now and were not. */
  readonly added: readonly Item[]
  /** Records that are live no longer and whose `o` rows this batch removes. */
  readonly removed: readonly Item[]
  /** Avatars of which others have to be removed later. */
  readonly staleInSyncIndex: readonly Avatar[]
  /** Whether there is history to be pruned. */
  readonly hasGarbage: boolean
  /** Whether an avatar of the batch has history. */
  readonly hasHistory: boolean
}

export interface BatchContext {
  readonly db: Database
  /** The newest sequence committed. */
  readonly lastSequence: number
  /** What all avatars hold. */
  readonly counts: Counts
  readonly archive: boolean
  readonly quotas: Quotas
  /** Superseded records whose `o` rows are removed at once. */
  readonly stepRecords: number
  /** The entry of an avatar, the same for every call in one batch. */
  readonly entryOf: (avatar: Avatar) => Promise<AvatarEntry>
}

/** What the batches of all avatars add up to. */
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

/** What a record counts for in quotas and totals. */
export const bytesOf = ({ payload, signature }: VerifiedRecord): number => payload.length + signature.length
