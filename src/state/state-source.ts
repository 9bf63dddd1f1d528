import type { Citation, RecordBody, RecordId } from '../record/types.ts'
import type { ContentSource } from './content.ts'
import type { PendingRecord } from './waiting.ts'

/** Counter and type of a record that is held. */
export interface HeldRecord {
  readonly counter: number
  readonly type: RecordBody['type']
}

/** Reads the stored records of one avatar. */
export interface StateSource extends ContentSource {
  /** A stored record of this avatar, history below the base included; undefined if it is not stored. */
  held(id: RecordId): HeldRecord | undefined
  /** The body of a held record. */
  body(place: Citation): RecordBody
}

/** What is stored of an avatar between commits, besides its content. */
export interface StoredState {
  readonly base: Citation | null
  readonly tips: Iterable<Citation>
  readonly pendingRecords: Iterable<PendingRecord>
}

/**
 * - `stored`: the record counts (a visible patch; a complete live snapshot; a part that the base names).
 * - `pending`: live and stored, but a record that it needs is missing.
 * - `superseded`: below the base, kept as history.
 */
export type RecordStatus = 'stored' | 'pending' | 'superseded'

/** A genuine record, as far as the state depends on it; a `VerifiedRecord` is one. */
export interface RecordToAdd {
  readonly id: RecordId
  readonly body: RecordBody
}
