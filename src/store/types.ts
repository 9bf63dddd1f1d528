import type { Bound, RangeIndex } from '../negentropy/types.ts'
import type { Avatar, Citation, RecordId, SignedRecord, VerifiedRecord } from '../record/types.ts'
import type { Cell } from '../state/cell.ts'
import type { NamespaceName } from '../state/content.ts'

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

/**
 * JSON text of one committed moment, whatever is written meanwhile. Must be closed: until then the database keeps what is
 * deleted.
 */
export interface JsonMoment {
  /**
   * The text as UTF-8, from its beginning each time: chunks of about 64 KiB, or a member that is larger. One reader at a
   * time.
   *
   * @throws StoreError `unreadable` where a row fails its check: the avatar has been mended, and a new moment can be read
   */
  read(): AsyncIterable<Uint8Array>
  close(): Promise<void>
}

/** What is visible of an avatar: `read` gives an array of `{platform, identity, content}`, sorted as a snapshot's `state`. */
export interface ViewMoment extends JsonMoment {
  readonly summary: AvatarSummary
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

/** What a node keeps at most; 0 is no limit. Bytes are those of payloads and signatures. */
export interface Quotas {
  /** Of one avatar. */
  readonly avatarBytes: number
  readonly avatarRecords: number
  /** Of all avatars together. */
  readonly totalBytes: number
  readonly totalRecords: number
}

/** A quota that is full: what is used of it, and what it allows. */
export interface QuotaUse {
  readonly unit: 'bytes' | 'records'
  readonly used: number
  readonly limit: number
}

/**
 * What became of one record given to `Store.commit`. A `superseded` one was kept only by a store with `archive`; it is never
 * called a `duplicate`, so that its author learns that it has no effect.
 */
export interface CommitResult {
  readonly status: RecordStatus | 'duplicate' | 'refused'
  /** Set when refused. */
  readonly code?: 'too_many_pending' | 'too_many_incomplete' | 'avatar_quota' | 'node_quota'
  /** Set where a quota refused it. */
  readonly quota?: QuotaUse
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

export type CommitListener = (
  events: readonly ChangeEvent[],
  /** Of an avatar among the events, as the commit left it. */
  summaryOf: (avatar: Avatar) => AvatarSummary | undefined,
) => void

export interface StoreTotals {
  readonly avatars: number
  /** Live records. */
  readonly records: number
  /** Payload and signature bytes of all records kept, history included. */
  readonly bytes: number
}

/** Damage that the store found in its files, and what was done about it. */
export interface StoreDamage {
  /** Unix seconds. */
  readonly foundAt: number
  /** What was found, file by file; the first 20. Empty where records are missing and no file is damaged. */
  readonly files: readonly string[]
  /** How many records were lost, at least; null where that is not known. */
  readonly recordsLost: number | null
}

/** A record as an archive has it. */
export interface ExportedRecord extends Citation {
  readonly payload: Uint8Array
  readonly signature: Uint8Array
}

/** All that the store holds, as it was at one committed moment, whatever is written meanwhile. Must be closed. */
export interface ExportMoment {
  /** Hosted avatars in ascending order. */
  avatars(): AsyncIterable<Avatar>
  /**
   * Records of an avatar in order of (counter, id): the live ones, with `history` the superseded ones that are kept too.
   * None of an unknown avatar. Memory stays bounded, whatever is read.
   *
   * @throws StoreError `unreadable` where a row fails its check: the avatar has been mended, a new moment can be read
   */
  records(avatar: Avatar, options: { readonly history: boolean }): AsyncIterable<ExportedRecord>
  /** @throws StoreError as `records` */
  summary(avatar: Avatar): Promise<AvatarSummary | undefined>
  close(): Promise<void>
}

/** Reading: every answer is of one committed moment and was checked against its checksum. */
export interface StoreReader {
  /** Names this store's life; sequences of another epoch mean nothing here. 16 hex digits. */
  readonly epoch: string
  /** The newest sequence committed; 0 in an empty store. */
  lastSequence(): number
  totals(): StoreTotals
  /** The last damage that was found in the files of this store; undefined for none. */
  damage(): StoreDamage | undefined
  summary(avatar: Avatar): Promise<AvatarSummary | undefined>
  /** What is visible of an avatar, to be read step by step. */
  openView(avatar: Avatar): Promise<ViewMoment | undefined>
  /** The content of one namespace, to be read step by step; undefined where it does not exist. */
  openContent(avatar: Avatar, platform: string, identity: string): Promise<JsonMoment | undefined>
  /**
   * A member of a content with the stamps of all that wrote to it, deleted ones included; null where nobody has written
   * it, undefined where the namespace does not exist.
   */
  member(avatar: Avatar, namespace: NamespaceName, key: string): Promise<Cell | null | undefined>
  record(id: RecordId): Promise<StoredRecord | undefined>
  /**
   * Records of one avatar in order of arrival, `after` exclusive, and the digest of the same moment.
   *
   * @param options.stepBytes ends the page with the record whose payload reaches so many bytes; default: no bound
   */
  records(
    avatar: Avatar,
    options: { after: number; limit: number; stepBytes?: number },
  ): Promise<{ records: StoredRecord[]; digest: string } | undefined>
  /**
   * Records of one avatar in order of (counter, id), `after` exclusive: the live ones, with `superseded` the history that
   * is kept too. A page may have fewer than `limit`; the end, and an unknown avatar, is an empty one.
   */
  history(
    avatar: Avatar,
    options: { readonly after?: Citation; readonly limit: number; readonly superseded: boolean },
  ): Promise<StoredRecord[]>
  /** Everything, as of now. Must be closed: until then what is deleted takes room on disk. */
  exportMoment(): Promise<ExportMoment>
  /** Hosted avatars in ascending order, `after` exclusive. */
  avatars(options: { after?: Avatar; limit: number }): Promise<Avatar[]>
  /** Avatars that claim a namespace, in ascending order, `after` exclusive. */
  claims(platform: string, identity: string, options: { after?: Avatar; limit: number }): Promise<Avatar[]>
  /**
   * Entries of the change feed after a sequence, of one avatar or of all, ascending. `reset`: the sequence is older than
   * what the feed still has, or newer than anything written.
   */
  events(options: { after: number; avatar?: Avatar; limit: number }): Promise<ChangeEvent[] | 'reset'>
  /**
   * Calls `listener` after every commit that changed something, in order, with a way to the summaries that the commit has
   * made; the returned function ends it.
   */
  onCommit(listener: CommitListener): () => void
}

export interface Store extends StoreReader {
  /**
   * Appends records in one atomic, fsynced batch: all durable when it resolves, none when it rejects. Calls must not
   * overlap; only `ingest/` may call it.
   */
  commit(records: readonly VerifiedRecord[]): Promise<CommitResult[]>
  close(): Promise<void>
}

/** What a session is about: everything, or some avatars (docs/protocol.md, "Scope"). */
export type Scope = 'all' | readonly Avatar[]

/** The live records in a scope, in (created_at, id) order, as they were at one moment. Must be closed. */
export interface SyncMoment extends RangeIndex {
  close(): Promise<void>
}

/** Count and sum of the ids of an avatar's live records: what its fingerprint is made of. */
export interface AvatarSum {
  readonly avatar: Avatar
  readonly count: number
  /** Sum of the ids modulo 2^256, little-endian, 32 bytes. */
  readonly sum: Uint8Array
}

/** What sync reads from a store. */
export interface SyncSource {
  moment(scope: Scope): Promise<SyncMoment>
  /** Of the avatars asked for, one entry each in the order asked; an unknown avatar has count 0. */
  avatarSums(avatars: readonly Avatar[]): Promise<AvatarSum[]>
  /** Which of these ids are held, superseded ones included. */
  held(ids: readonly Uint8Array[]): Promise<boolean[]>
  /** The live records among these ids, in their order; what is not held or not live is left out. */
  signed(ids: readonly Uint8Array[]): Promise<SignedRecord[]>
  /**
   * Live records of everything in (created_at, id) order from a bound on, at most `bytes` of payload but at least one;
   * `next` is the bound to go on from, null at the end.
   */
  from(
    bound: Bound,
    limits: { readonly records: number; readonly bytes: number },
  ): Promise<{
    records: SignedRecord[]
    next: Bound | null
  }>
}

export interface Rebuilt {
  readonly records: number
  readonly quarantined: number
}

/** A store as the node holds it: it can be mended on demand, and sync reads from it. */
export interface RebuildableStore extends Store {
  readonly sync: SyncSource
  /** Makes everything derived anew, of one avatar or of all, and verifies every record on the way. */
  rebuild(avatar?: Avatar): Promise<Rebuilt>
  /**
   * Drops everything of an avatar. It is gone from the first moment on; its rows go step by step, and if the node ends
   * meanwhile, after its next start. A record of it that is committed later is the first of its avatar.
   */
  forget(avatar: Avatar): Promise<void>
  /** Resolves when no background work is left: everything superseded is pruned, everything forgotten is gone. */
  tasksDone(): Promise<void>
}
