/** The result of building a batch from records. */
import type { Avatar, VerifiedRecord } from '../record/types.ts'
import type { Item } from '../negentropy/types.ts'
import type { AvatarEntry } from './avatar-entry.ts'
import type { RowSink } from './avatar-rows.ts'
import type { Counts } from './counts.ts'
import type { Change } from './rows.ts'
import type { AvatarSummary, CommitResult, Quotas } from './types.ts'

/** What a batch means for the state in memory. Avatars add to it one after the other. */
export class BatchEffects {
  readonly summaries = new Map<Avatar, AvatarSummary>()
  /** Records that become live. */
  readonly added: Item[] = []
  /** Records that stop being live and whose `o` rows this batch removes. */
  readonly removed: Item[] = []
  /** Avatars with superseded records that a background task removes from the sync index. */
  readonly staleInSyncIndex: Avatar[] = []
  newAvatars = 0
  /** Whether there is history to prune. */
  hasGarbage = false
  /** Whether an avatar of the batch has history. */
  hasHistory = false
}

export interface Batch extends Readonly<BatchEffects> {
  /** The avatars that took part. */
  readonly entries: ReadonlyMap<Avatar, AvatarEntry>
  readonly results: CommitResult[]
  readonly changes: Change[]
  readonly lastSequence: number
  /** Counts of all avatars after the batch. */
  readonly counts: Counts
}

export interface BatchContext {
  /** Gets all rows that change. */
  readonly sink: RowSink
  /** The newest sequence committed. */
  readonly lastSequence: number
  /** Counts of all avatars before the batch. */
  readonly counts: Counts
  readonly archive: boolean
  /** With `archive`: whether the history of erased avatars is kept too. */
  readonly keepsErased: boolean
  readonly quotas: Quotas
  /** Most superseded records whose `o` rows one batch removes itself. */
  readonly stepRecords: number
  readonly entryOf: (avatar: Avatar) => Promise<AvatarEntry>
}

/** The bytes of a record in quotas and totals. */
export const bytesOf = ({ payload, signature }: VerifiedRecord): number => payload.length + signature.length
