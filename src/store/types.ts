import type { Bound, RangeIndex } from '../negentropy/types.ts'
import type { Avatar, Citation, RecordId, SignedRecord, VerifiedRecord } from '../record/types.ts'
import type { Cell } from '../state/cell.ts'
import type { NamespaceName } from '../state/content.ts'
import type { Link, LinkState } from '../state/links.ts'
import type { RecordStatus } from '../state/state-source.ts'

/** The missing ids of an avatar: their number, and the first 100 in order. */
export interface Missing {
  readonly total: number
  readonly ids: readonly RecordId[]
}

/** Facts about an avatar without its content (docs/protocol.md, "From records to state"). */
export interface AvatarSummary {
  readonly avatar: Avatar
  readonly head: number
  /** The greatest 16 in order of (counter, id): a new record may cite them. */
  readonly tips: readonly Citation[]
  readonly tipsTotal: number
  readonly base: Citation | null
  /** 64 hex digits, without `0x`. */
  readonly digest: string
  readonly pending: number
  readonly missing: Missing
  /** Number of live records. */
  readonly records: number
  /** Payload and signature bytes of the live records. */
  readonly bytes: number
}

/**
 * JSON text of one committed moment, unaffected by later writes. Must be closed: until then the database keeps deleted rows on
 * disk.
 */
export interface JsonSnapshot {
  /**
   * The text as UTF-8, from the start at each call, in chunks of about 64 KiB or one larger member. One reader at a time.
   *
   * @throws StoreError `unreadable` if a row fails its check. The avatar is repaired by then: read a new moment
   */
  read(): AsyncIterable<Uint8Array>
  close(): Promise<void>
}

/** The visible content of an avatar: `read` gives an array of `{platform, identity, content}`, sorted as a snapshot's `state`. */
export interface ViewSnapshot extends JsonSnapshot {
  readonly summary: AvatarSummary
}

/** The linked view of an avatar (docs/protocol.md, "Linked keys"), or the content of its own namespace in it. */
export interface LinkedSnapshot extends ViewSnapshot {
  /** The links that count, in order. `digest` is null where nothing is held, or shown, of the linked avatar. */
  readonly links: readonly LinkState[]
  /** 64 hex digits, without `0x`. */
  readonly linkedDigest: string
}

/** An avatar that links to another one, and the keys under which it does. */
export interface LinkedFrom {
  readonly avatar: Avatar
  readonly keys: readonly string[]
}

export interface StoredRecord extends SignedRecord {
  /** Position in the node's order of arrival: ascending, unique in the store. */
  readonly sequence: number
  readonly id: RecordId
  readonly status: RecordStatus
}

/** Most that a node stores; 0 means no limit. Bytes are those of payloads and signatures. */
export interface Quotas {
  /** Of one avatar. */
  readonly avatarBytes: number
  readonly avatarRecords: number
  /** Of all avatars together. */
  readonly totalBytes: number
  readonly totalRecords: number
}

/** A full quota: its use and its limit. */
export interface QuotaUse {
  readonly unit: 'bytes' | 'records'
  readonly used: number
  readonly limit: number
}

/**
 * The result of one record given to `Store.commit`. A `superseded` record is stored only with `archive`. It is never reported
 * as a `duplicate`, so that its author learns that it has no effect.
 */
export interface CommitResult {
  readonly status: RecordStatus | 'duplicate' | 'refused'
  /** Set if the record was rejected. */
  readonly code?: 'too_many_pending' | 'too_many_incomplete' | 'avatar_quota' | 'node_quota'
  /** Set if a quota is the reason. */
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
  /** Returns the summary of an avatar among the events, as of the commit. */
  summaryOf: (avatar: Avatar) => AvatarSummary | undefined,
) => void

export interface StoreTotals {
  readonly avatars: number
  /** Number of live records. */
  readonly records: number
  /** Payload and signature bytes of all stored records, history included. */
  readonly bytes: number
}

/** Damage that the store found in its files. */
export interface StoreDamage {
  /** Unix seconds. */
  readonly foundAt: number
  /** The first 20 damaged files, each with the reason. Empty if records are lost but no file is damaged. */
  readonly files: readonly string[]
  /** Least number of lost records; null if unknown. */
  readonly recordsLost: number | null
}

/** A record for an archive. */
export interface ExportedRecord extends Citation, SignedRecord {}

/** The whole store as of one committed moment, unaffected by later writes. Must be closed. */
export interface ExportSnapshot {
  /** Hosted avatars in ascending order. */
  avatars(): AsyncIterable<Avatar>
  /**
   * Records of an avatar in order of (counter, id): the live ones and, with `history`, the stored superseded ones. None for
   * an unknown avatar. Memory is bounded.
   *
   * @throws StoreError `unreadable` if a row fails its check. The avatar is repaired by then: read a new moment
   */
  records(avatar: Avatar, options: { readonly history: boolean }): AsyncIterable<ExportedRecord>
  /** @throws StoreError as `records` */
  summary(avatar: Avatar): Promise<AvatarSummary | undefined>
  close(): Promise<void>
}

/** Reads. Every answer is of one committed moment, and all of its rows passed their checksums. */
export interface StoreReader {
  /** Sequences of another epoch are not comparable. 16 hex digits. */
  readonly epoch: string
  /**
   * The sequence up to which listeners know the feed; 0 in an empty store. The store keeps it current, so that no caller waits.
   * Only where several processes write, the database may already be further: see `hasReached`.
   */
  lastSequence(): number
  /** Whether a sequence was given already, by any process. */
  hasReached(sequence: number): Promise<boolean>
  /** As of `lastSequence`. */
  totals(): StoreTotals
  /** The last damage that this process found in the store's files; undefined if there was none, or there are no files. */
  damage(): StoreDamage | undefined
  summary(avatar: Avatar): Promise<AvatarSummary | undefined>
  /** The visible content of an avatar, for reading in steps; undefined for an unknown avatar. */
  openView(avatar: Avatar): Promise<ViewSnapshot | undefined>
  /** The content of one namespace, for reading in steps; undefined if it does not exist. */
  openContent(avatar: Avatar, platform: string, identity: string): Promise<JsonSnapshot | undefined>
  /**
   * The linked view of an avatar, for reading in steps; undefined for an unknown avatar.
   *
   * @param isShown whether this node shows the state of an avatar; a link to any other shows nothing
   */
  openLinkedView(avatar: Avatar, isShown: (linked: Avatar) => boolean): Promise<LinkedSnapshot | undefined>
  /** The content of an avatar's own namespace in its linked view; undefined if the namespace does not exist. */
  openLinkedContent(avatar: Avatar, isShown: (linked: Avatar) => boolean): Promise<LinkedSnapshot | undefined>
  /** The links of an avatar that count, in order. */
  links(avatar: Avatar): Promise<readonly Link[]>
  /**
   * Avatars that link to an avatar, in ascending order, `after` exclusive. A page ends early after 1 Mi characters of keys;
   * `isLast` tells whether it is the last one. Until the links of data from an older version are indexed, some may be missing.
   */
  linkedFrom(
    avatar: Avatar,
    options: { readonly after?: Avatar; readonly limit: number },
  ): Promise<{ readonly owners: readonly LinkedFrom[]; readonly isLast: boolean }>
  /**
   * A member of a content, present or deleted, with the stamps of all records that wrote to it; null if no record has written
   * it, undefined if the namespace does not exist.
   */
  member(avatar: Avatar, namespace: NamespaceName, key: string): Promise<Cell | null | undefined>
  record(id: RecordId): Promise<StoredRecord | undefined>
  /**
   * Records of one avatar in order of arrival, `after` exclusive, and the digest of the same moment. With `stepBytes` the page ends
   * when its payloads reach this many bytes.
   */
  records(
    avatar: Avatar,
    options: { after: number; limit: number; stepBytes?: number },
  ): Promise<{ records: StoredRecord[]; digest: string } | undefined>
  /**
   * Records of one avatar in order of (counter, id), `after` exclusive: the live ones and, with `superseded`, the stored
   * history. A page may have fewer than `limit` records. It is empty at the end, and for an unknown avatar.
   */
  history(
    avatar: Avatar,
    options: { readonly after?: Citation; readonly limit: number; readonly superseded: boolean },
  ): Promise<StoredRecord[]>
  /** The whole store as of now. Must be closed: until then deleted rows stay on disk. */
  exportSnapshot(): Promise<ExportSnapshot>
  /** Hosted avatars in ascending order, `after` exclusive. */
  avatars(options: { after?: Avatar; limit: number }): Promise<Avatar[]>
  /** Avatars that claim a namespace, in ascending order, `after` exclusive. */
  claims(platform: string, identity: string, options: { after?: Avatar; limit: number }): Promise<Avatar[]>
  /**
   * Entries of the change feed after a sequence, of one avatar or of all, ascending. `reset`: the sequence is older than the
   * feed, or newer than the newest sequence.
   */
  events(options: { after: number; avatar?: Avatar; limit: number }): Promise<ChangeEvent[] | 'reset'>
  /**
   * Calls `listener` after every commit that changed something, of any process, in the order of the feed. A commit of this
   * process resolves after its call. The returned function removes the listener.
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

/** The scope of a sync session: all records, or those of some avatars (docs/protocol.md, "Scope"). */
export type Scope = 'all' | readonly Avatar[]

/** The live records in a scope, in (created_at, id) order, as of one moment. Must be closed. */
export interface SyncSnapshot extends RangeIndex {
  /** Calling it again does nothing. */
  close(): Promise<void>
}

/** Count and sum of ids of an avatar's live records: the input of its fingerprint. */
export interface AvatarSum {
  readonly avatar: Avatar
  readonly count: number
  /** Sum of the ids modulo 2^256, little-endian, 32 bytes. */
  readonly sum: Uint8Array
}

/** The reads of a store for sync. */
export interface SyncSource {
  readSnapshot(scope: Scope): Promise<SyncSnapshot>
  /** One entry for each avatar, in the same order. An unknown avatar has count 0. */
  avatarSums(avatars: readonly Avatar[]): Promise<AvatarSum[]>
  /** Which ids belong to stored records, superseded ones included. */
  held(ids: readonly Uint8Array[]): Promise<boolean[]>
  /** The live records among these ids, in the same order. */
  signed(ids: readonly Uint8Array[]): Promise<SignedRecord[]>
  /**
   * Live records of all avatars in (created_at, id) order from a bound on: at most `bytes` of payload, but at least one.
   * `next` is the bound to continue from; null at the end.
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
  /** Number of records that remain. */
  readonly records: number
  /** Number of rows moved to quarantine. */
  readonly quarantined: number
}

/** The store of a node: it can be rebuilt on demand, and sync reads from it. */
export interface RebuildableStore extends Store {
  readonly sync: SyncSource
  /** Verifies every record of one avatar, or of all, and rebuilds the derived rows. */
  rebuild(avatar?: Avatar): Promise<Rebuilt>
  /**
   * Deletes an avatar. It is unknown from the first batch on; background tasks delete its rows, and resume after a restart.
   * A record of the avatar that is committed later starts it from nothing.
   */
  forget(avatar: Avatar): Promise<void>
  /** Resolves when no background task is left: superseded records are pruned, deleted avatars are removed. */
  tasksDone(): Promise<void>
}
