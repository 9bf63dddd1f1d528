import type { SignatureEngine } from '../record/engine.ts'
import type { Avatar, Citation, JsonObject, RecordId, StateEntry, VerifiedRecord } from '../record/types.ts'
import type { ChangeRequest, PutRequest } from '../client/api.ts'
import type { WrittenRecord } from '../client/types.ts'
import type { Signer } from '../client/signers.ts'
import type { ArchiveErrorCode } from '../archive/errors.ts'
import type { ReplicaError } from './errors.ts'
import type { LevelDatabase } from './level-disk.ts'

/** Where the data is, whom it is fetched from and sent to, and what may sign. */
export interface ReplicaOptions {
  /** Where the data is: a directory in Node, a name of the app's choice in a browser. */
  readonly location?: string
  /** Instead of `location`: a database of the `abstract-level` family, this replica's alone; `close` closes it. */
  readonly db?: LevelDatabase
  /** Addresses of nodes, the preferred ones first; at most 16. Default none: then nothing is fetched or sent. */
  readonly nodes?: readonly string[]
  /** Avatars to follow, beside those that are followed already. */
  readonly avatars?: readonly string[]
  /** Those who sign without asking anybody: a write that a snapshot supersedes is signed anew by them. */
  readonly signers?: readonly Signer[]
  /** The network whose records count. Default `main`. */
  readonly network?: string
  /** Default: the platform's. */
  readonly fetch?: typeof fetch
  /** How long a node may be silent, in ms. Default 15,000. */
  readonly timeoutMs?: number
  /** What verifies signatures. Default: pure JavaScript, about 400 a second. */
  readonly engine?: SignatureEngine
  /** Avatars followed by a stream of events of their own; the others are asked for every 30 s. Default 4 in a page, else 100. */
  readonly maxStreams?: number
  /** Milliseconds since the Unix epoch. Default: the platform's clock. */
  readonly now?: () => number
}

/** One namespace as it stands here. */
export interface LocalNamespace extends StateEntry {
  /** Whether a write that no node has taken yet is in it. */
  readonly local: boolean
}

/** What the replica shows of an avatar: verified records, and own writes that wait. Contents are frozen. */
export interface LocalState {
  readonly avatar: Avatar
  readonly head: number
  readonly tips: readonly Citation[]
  readonly base: Citation | null
  /** 64 hex digits: of all that is shown, own writes included. */
  readonly digest: string
  /** Patches that wait for others. */
  readonly pending: number
  /** Ids that are cited or named, and that are not here. */
  readonly missing: readonly RecordId[]
  /** Sorted by platform, then identity. */
  readonly namespaces: readonly LocalNamespace[]
  readonly records: number
  /** Whether any of it is a write that no node has taken yet. */
  readonly local: boolean
}

/** How an avatar is kept here. */
export interface LocalInfo {
  readonly avatar: Avatar
  readonly head: number
  /** Of what nodes hold, own writes that wait left out: to be compared with theirs. */
  readonly digest: string
  /** When a node last showed just what is verified here, in ms since the Unix epoch; null for never. */
  readonly verifiedAt: number | null
  /** Since when nothing new would be heard of, in ms since the Unix epoch; null while a node is followed. */
  readonly staleSince: number | null
  /** Own writes that no node has taken yet. */
  readonly waiting: number
  /** Own writes that need somebody: see `waiting()`. */
  readonly stuck: number
  /** Rows that were damaged and could not be made whole yet. */
  readonly damaged: number
  /** Bytes of records in memory. */
  readonly bytes: number
}

/** An own write that no node has taken. */
export interface WaitingWrite extends WrittenRecord {
  readonly avatar: Avatar
  readonly platform: string
  readonly identity: string
  readonly patch: JsonObject
  /** `waiting`: will be sent. `conflict`: superseded, and needs its signer: `retry`. `rejected`: no node calls it valid. */
  readonly state: 'waiting' | 'conflict' | 'rejected'
  /** In ms since the Unix epoch. */
  readonly writtenAt: number
  /** Why it is still here, for people. */
  readonly reason: string | undefined
}

/** What became of a write here: nodes learn of it later. */
export interface LocalWrite {
  readonly avatar: Avatar
  readonly platform: string
  readonly identity: string
  /** `waiting`: signed, and on this disk. `unchanged`: there was nothing to write. */
  readonly status: 'waiting' | 'unchanged'
  /** No node has it yet. */
  readonly local: true
  /** In order; several where the patch was split. */
  readonly records: readonly WrittenRecord[]
}

/**
 * `change`: records came, or were written here (`local`). `sent`: a node took a write. `rebased`: a write was signed anew.
 * `conflict`, `rejected`, `refused`: a write was not taken: it needs its signer, is not valid, or is tried again later.
 * `superseded`: a node's word that a snapshot took the place of a record that its author had not seen. `connection`: whether
 * an avatar is being followed. `damaged`: a row failed its check. `restored`: the browser, or a person, had deleted the data
 * while the replica was open, and what the replica had in memory was written again. `leader`: whether this tab does the syncing.
 * `error`: something went wrong that is tried again.
 */
export type ReplicaEvent =
  | {
      readonly type: 'change'
      readonly avatar: Avatar
      readonly records: readonly VerifiedRecord[]
      readonly local: boolean
    }
  | { readonly type: 'sent'; readonly avatar: Avatar; readonly id: RecordId; readonly node: string | undefined }
  | { readonly type: 'rebased'; readonly avatar: Avatar; readonly id: RecordId; readonly to: RecordId }
  | { readonly type: 'conflict' | 'rejected'; readonly avatar: Avatar; readonly id: RecordId; readonly message: string }
  | { readonly type: 'refused'; readonly avatar: Avatar; readonly message: string; readonly retryAt: number }
  | { readonly type: 'superseded'; readonly avatar: Avatar; readonly id: RecordId; readonly counter: number }
  | {
      readonly type: 'connection'
      readonly avatar: Avatar
      readonly status: 'live' | 'lost'
      readonly node: string | undefined
      readonly message: string | undefined
    }
  | {
      readonly type: 'damaged'
      readonly avatar: Avatar
      /** `record`: fetched again. `write`: kept as it is, and not sent. `row`: notes on the avatar, made anew. */
      readonly what: 'record' | 'write' | 'row'
      readonly message: string
    }
  | {
      readonly type: 'restored'
      /** Verified records that were written again. */
      readonly records: number
      /** Own writes that no node has taken, written again. */
      readonly writes: number
      /** Damaged own writes that are lost, since only their rows had them. */
      readonly lost: number
      readonly message: string
    }
  | { readonly type: 'followed' | 'unfollowed'; readonly avatar: Avatar }
  | { readonly type: 'leader'; readonly leads: boolean }
  | { readonly type: 'error'; readonly avatar: Avatar | undefined; readonly error: unknown }

/** What is written into an archive, and how. */
export interface ExportOptions {
  /** Default: all that are followed. */
  readonly avatars?: readonly string[]
  /** Default false. */
  readonly gzip?: boolean
}

/** What is taken from an archive. */
export interface ImportOptions {
  /** Whether avatars that are not followed yet are from now on. Default false: their records are passed over. */
  readonly follow?: boolean
  readonly signal?: AbortSignal
}

/** What an archive brought. */
export interface ImportResult {
  /** Records found in it. */
  readonly records: number
  /** New here. */
  readonly added: number
  readonly duplicate: number
  /** Without effect, for a snapshot stands for them. */
  readonly superseded: number
  /** Not valid. */
  readonly invalid: number
  /** Of avatars that are not followed. */
  readonly skipped: number
  /** Whether the trailer fits what is before it. */
  readonly trailer: 'good' | 'wrong' | 'missing'
  /** What else is wrong with it, by line; the first 20. */
  readonly faults: readonly { readonly line: number; readonly code: ArchiveErrorCode; readonly message: string }[]
}

/** A verified local copy of chosen avatars. What reads does so at once, without network or disk. */
export interface Replica {
  readonly network: string
  readonly nodes: readonly string[]
  /** Whether this tab, or process, does the syncing. */
  readonly leads: boolean
  /** Those that are followed, ascending. */
  avatars(): readonly Avatar[]
  /**
   * Takes in an avatar: from now on it is fetched and followed. Resolves when that is on disk, not when it has come.
   *
   * @throws ReplicaError `too_many`, `storage`
   */
  follow(avatar: string): Promise<void>
  /**
   * Lets an avatar go, with all that is kept of it.
   *
   * @throws ReplicaError `unsent` where writes wait, unless `discard` is true
   */
  unfollow(avatar: string, options?: { readonly discard?: boolean }): Promise<void>
  /** The content of a namespace, own writes that wait included; undefined where it does not exist. Frozen. */
  get(avatar: string, platform?: string, identity?: string): JsonObject | undefined
  /** @throws ReplicaError `not_followed` */
  state(avatar: string): LocalState
  /** @throws ReplicaError `not_followed` */
  info(avatar: string): LocalInfo
  /**
   * Signs a merge patch on what is known here, and has it on disk when it resolves. It is sent as soon as a node is there.
   *
   * @throws ReplicaError `not_followed`, `queue_full`, `storage`, `closed`; ClientError of the change and of the signer
   */
  put(request: PutRequest): Promise<LocalWrite>
  /** Writes what turns a content into another. */
  change(request: ChangeRequest): Promise<LocalWrite>
  /** Own writes that no node has taken, in order. */
  waiting(avatar?: string): readonly WaitingWrite[]
  /**
   * Signs anew what is in `conflict` or `rejected` of the signer's avatar, on what is known now. Nothing else waits for a person who
   * is asked; where what it builds on changes meanwhile, he is asked again.
   *
   * @throws ReplicaError `closed`, `storage`; ClientError of the signer, `superseded` where it changed three times
   */
  retry(signer: Signer): Promise<readonly LocalWrite[]>
  /**
   * Gives up a write that is in `conflict` or `rejected`, for good.
   *
   * @throws ReplicaError `usage` where there is no such write
   */
  discard(avatar: string, id: RecordId): Promise<void>
  /** Gives up own writes whose rows are damaged beyond reading. */
  discardDamaged(avatar: string): Promise<number>
  /**
   * Asks the nodes now, and sends what waits, whatever was planned. Resolves when that is done; in a tab that does not sync,
   * when the one that does was told.
   *
   * @throws ClientError `unreachable`, `refused`
   */
  sync(options?: { readonly signal?: AbortSignal }): Promise<void>
  /**
   * Calls back with what happens; the returned function ends it. `change`, `sent`, `connection` are told in every tab, the
   * others in the one that they happen in.
   */
  on(listener: (event: ReplicaEvent) => void): () => void
  /** An archive of verified records, own writes that wait included. */
  export(options?: ExportOptions): AsyncGenerator<Uint8Array, void, undefined>
  /** Takes in what is valid of an archive, compressed or not. Nodes are not told. */
  import(chunks: AsyncIterable<Uint8Array>, options?: ImportOptions): Promise<ImportResult>
  /** Ends everything; what is on disk stays. */
  close(): Promise<void>
}

export type { ReplicaError }
