import type { Avatar, Citation, RecordId, VerifiedRecord } from '../record/types.ts'

/** The ids that an avatar lacks: how many, and the first 100 in order. */
export interface Missing {
  readonly total: number
  readonly ids: readonly RecordId[]
}

/** What a node knows of an avatar without its content (docs/protocol.md, "From records to state"). */
export interface AvatarSummary {
  readonly avatar: Avatar
  readonly head: number
  /** The greatest 16 in order of (counter, id), ready to be cited. */
  readonly tips: readonly Citation[]
  readonly tipsTotal: number
  readonly base: Citation | null
  /** 64 hex digits, without `0x`. */
  readonly digest: string
  readonly pending: number
  readonly missing: Missing
  /** Live records held. */
  readonly records: number
  /** Payload and signature bytes of the live records. */
  readonly bytes: number
}

export interface NamespaceContent {
  readonly platform: string
  readonly identity: string
  /** The content as JSON text, ready to be sent. */
  readonly json: string
}

export interface AvatarView {
  readonly summary: AvatarSummary
  /** Sorted as in a snapshot's `state`. */
  readonly namespaces: readonly NamespaceContent[]
}

/**
 * `stored`: it counts now (a visible patch; a complete live snapshot; a part that the base names). `pending`: live and kept,
 * but something that it needs is not there. `superseded`: below the base, kept as history.
 */
export type RecordStatus = 'stored' | 'pending' | 'superseded'

export interface StoredRecord {
  /** Place in the order of arrival at this node; unique in the store, ascending. */
  readonly sequence: number
  readonly id: RecordId
  readonly payload: Uint8Array
  readonly signature: Uint8Array
  readonly status: RecordStatus
}

/** What became of one record given to `Store.commit`. A `superseded` one was not kept. */
export interface CommitResult {
  readonly status: RecordStatus | 'duplicate' | 'refused'
  /** Set when refused. */
  readonly code?: 'too_many_pending' | 'too_many_incomplete'
}

/** One entry of the change feed. `head` and `digest` are the avatar's when the event is delivered. */
export interface ChangeEvent {
  readonly sequence: number
  readonly kind: 'record' | 'superseded'
  readonly avatar: Avatar
  readonly id: RecordId
  readonly counter: number
  readonly head: number
  readonly digest: string
}

export interface StoreTotals {
  readonly avatars: number
  /** Live records. */
  readonly records: number
}

/** Reading: every answer is of one committed moment and was checked against its checksum. */
export interface StoreReader {
  /** Names this store's life; sequences of another epoch mean nothing here. 16 hex digits. */
  readonly epoch: string
  /** The newest sequence committed; 0 in an empty store. */
  lastSequence(): number
  totals(): StoreTotals
  summary(avatar: Avatar): Promise<AvatarSummary | undefined>
  view(avatar: Avatar): Promise<AvatarView | undefined>
  /** JSON text of one namespace's content; undefined where it does not exist. */
  content(avatar: Avatar, platform: string, identity: string): Promise<string | undefined>
  record(id: RecordId): Promise<StoredRecord | undefined>
  /** Records of one avatar in order of arrival, `after` exclusive, and the digest of the same moment. */
  records(
    avatar: Avatar,
    options: { after: number; limit: number },
  ): Promise<{ records: StoredRecord[]; digest: string } | undefined>
  /** Hosted avatars in ascending order, `after` exclusive. */
  avatars(options: { after?: Avatar; limit: number }): Promise<Avatar[]>
  /** Avatars that claim the namespace, in ascending order, with its content as JSON text. */
  byIdentity(platform: string, identity: string, limit: number): Promise<{ avatar: Avatar; json: string }[]>
  /**
   * Entries of the change feed after a sequence, of one avatar or of all, ascending. `reset`: the sequence is older than
   * what the feed still has, or newer than anything written.
   */
  events(options: { after: number; avatar?: Avatar; limit: number }): Promise<ChangeEvent[] | 'reset'>
  /** Calls `listener` after every commit that changed something, in order; the returned function ends it. */
  onCommit(listener: (events: readonly ChangeEvent[]) => void): () => void
}

export interface Store extends StoreReader {
  /**
   * Appends records in one atomic, fsynced batch: all durable when it resolves, none when it rejects. Calls must not
   * overlap; only `ingest/` may call it.
   */
  commit(records: readonly VerifiedRecord[]): Promise<CommitResult[]>
  close(): Promise<void>
}
