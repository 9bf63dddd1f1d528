import type { SignatureEngine } from '../record/engine.ts'
import type { Avatar, Citation, JsonObject, RecordId, StateEntry, VerifiedRecord } from '../record/types.ts'
import type { ChangeRequest, PutRequest } from '../client/api.ts'
import type { LinkedOption, WrittenRecord } from '../client/types.ts'
import type { LinkState } from '../state/links.ts'
import type { Signer } from '../client/signers.ts'
import type { ArchiveErrorCode } from '../archive/errors.ts'
import type { LevelDatabase } from './level-disk.ts'

/** Where the data is stored, the nodes that it is read from and sent to, and the signers. */
export interface ReplicaOptions {
  /** Where the data is stored: a directory in Node, a name of your choice in a browser. */
  readonly location?: string
  /** Instead of `location`: a database of the `abstract-level` family that nothing else uses. `close` closes it. */
  readonly db?: LevelDatabase
  /** Addresses of nodes, the preferred ones first; at most 16. Default none: then nothing is read or sent. */
  readonly nodes?: readonly string[]
  /** Avatars to follow, in addition to those that are followed already. */
  readonly avatars?: readonly string[]
  /** Signers that ask no person. They sign a write again that a snapshot supersedes. */
  readonly signers?: readonly Signer[]
  /** The network whose records are used. Default `main`. */
  readonly network?: string
  /** Default: the platform's. */
  readonly fetch?: typeof fetch
  /** How long a node may be silent, in ms. Default 15,000. */
  readonly timeoutMs?: number
  /** Verifies signatures. Default: pure JavaScript, about 400 a second. */
  readonly engine?: SignatureEngine
  /** How many avatars are followed by an event stream each; nodes are polled for the others every 30 s. Default 4 in a page, else 100. */
  readonly maxStreams?: number
  /** Milliseconds since the Unix epoch. Default: the platform's clock. */
  readonly now?: () => number
}

/** One namespace, as the replica shows it. */
export interface LocalNamespace extends StateEntry {
  /** Whether it has a write that no node has taken yet. */
  readonly local: boolean
}

/** The state of an avatar: of verified records, and own writes that wait. Contents are frozen. */
export interface LocalState {
  readonly avatar: Avatar
  readonly head: number
  readonly tips: readonly Citation[]
  readonly base: Citation | null
  /** 64 hex digits: of all records, own writes included. */
  readonly digest: string
  /** The links that count, in order of their keys. `namespaces` has what the linked avatars wrote, unless `linked` was false. */
  readonly links: readonly LocalLink[]
  /** 64 hex digits. Equal linked digests, equal linked views. */
  readonly linkedDigest: string
  /** Patches that have no effect until records arrive that they cite. */
  readonly pending: number
  /** Ids of records that are cited or named, and missing here. */
  readonly missing: readonly RecordId[]
  /** Sorted by platform, then identity. */
  readonly namespaces: readonly LocalNamespace[]
  readonly records: number
  /** Whether it has a write that no node has taken yet. */
  readonly local: boolean
}

/** A link of an avatar (docs/protocol.md, "Linked keys"). */
export interface LocalLink extends LinkState {
  /** Whether the linked avatar is followed here. Follow it to see what it wrote. */
  readonly followed: boolean
}

/** How up to date an avatar is here, and what waits. */
export interface LocalInfo {
  readonly avatar: Avatar
  readonly head: number
  /** Of the records that nodes have, without own writes that wait. Compare it with the digest of a node. */
  readonly digest: string
  /** When a node last showed exactly the state that is verified here, in ms since the Unix epoch; null for never. */
  readonly verifiedAt: number | null
  /** Since when no node is followed, so that news would not arrive, in ms since the Unix epoch; null while one is followed. */
  readonly staleSince: number | null
  /** Own writes that no node has taken yet. */
  readonly waiting: number
  /** Own writes in `conflict` or `rejected`, which need you: see `waiting()`. */
  readonly stuck: number
  /** Damaged rows that could not be repaired yet. */
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
  /** `waiting`: will be sent. `conflict`: has no effect as it is, and needs its signer: `retry`. `rejected`: no node accepts it. */
  readonly state: 'waiting' | 'conflict' | 'rejected'
  /** When it was signed first, in ms since the Unix epoch. */
  readonly writtenAt: number
  /** Why it is not sent, for people. */
  readonly reason: string | undefined
}

/** The result of a write. Nodes get the write later. */
export interface LocalWrite {
  readonly avatar: Avatar
  readonly platform: string
  readonly identity: string
  /** `waiting`: signed and on this disk. `unchanged`: there was nothing to write. */
  readonly status: 'waiting' | 'unchanged'
  /** No node has it yet. */
  readonly local: true
  /** In order; several where the patch was split. */
  readonly records: readonly WrittenRecord[]
}

/**
 * `change`: records arrived, or were written here (`local`). `sent`: a node took a write. `rebased`: a write was signed again.
 * `conflict`, `rejected`, `refused`: a write was not taken: it needs its signer, no node accepts it, or it is sent again later.
 * `superseded`: a node says that a snapshot superseded a record that the author of the snapshot had not seen. `connection`:
 * whether an avatar is being followed. `damaged`: a row failed its check. `restored`: the browser, or a person, deleted the data
 * while the replica was open, and the replica wrote it again from memory. `leader`: whether this tab syncs. `error`: a failure
 * that is followed by a retry.
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
      /** `record`: fetched again. `write`: left as it is, and not sent. `row`: notes on the avatar, written again. */
      readonly what: 'record' | 'write' | 'row'
      readonly message: string
    }
  | {
      readonly type: 'restored'
      /** Verified records that were written again. */
      readonly records: number
      /** Own writes that no node has taken, written again. */
      readonly writes: number
      /** Damaged own writes that are lost: they were only in their rows. */
      readonly lost: number
      readonly message: string
    }
  | { readonly type: 'followed' | 'unfollowed'; readonly avatar: Avatar }
  | { readonly type: 'leader'; readonly leads: boolean }
  | { readonly type: 'error'; readonly avatar: Avatar | undefined; readonly error: unknown }

/** Options of `export`. */
export interface ExportOptions {
  /** Default: all that are followed. */
  readonly avatars?: readonly string[]
  /** Default false. */
  readonly gzip?: boolean
}

/** Options of `import`. */
export interface ImportOptions {
  /** Whether to follow avatars of the archive that are not followed yet. Default false: their records are skipped. */
  readonly follow?: boolean
  readonly signal?: AbortSignal
}

/** The result of `import`. */
export interface ImportResult {
  /** Records found in the archive. */
  readonly records: number
  /** New here. */
  readonly added: number
  readonly duplicate: number
  /** Without effect: a snapshot supersedes them. */
  readonly superseded: number
  /** Not valid. */
  readonly invalid: number
  /** Of avatars that are not followed. */
  readonly skipped: number
  /** Whether the trailer matches the lines before it. */
  readonly trailer: 'good' | 'wrong' | 'missing'
  /** Other faults, by line; the first 20. */
  readonly faults: readonly { readonly line: number; readonly code: ArchiveErrorCode; readonly message: string }[]
}

/** A verified local copy of chosen avatars. Reads return at once, without network or disk. */
export interface Replica {
  readonly network: string
  readonly nodes: readonly string[]
  /** Whether this tab, or process, syncs. */
  readonly leads: boolean
  /** The avatars that are followed, ascending. */
  avatars(): readonly Avatar[]
  /**
   * Follows an avatar from now on. Resolves when this is on disk, not when the avatar's records have arrived.
   *
   * @throws ReplicaError `too_many`, `storage`
   */
  follow(avatar: string): Promise<void>
  /**
   * Stops following an avatar, and deletes its data here.
   *
   * @throws ReplicaError `unsent` if writes wait, unless `discard` is true
   */
  unfollow(avatar: string, options?: { readonly discard?: boolean }): Promise<void>
  /**
   * The content of a namespace, own writes that wait included; undefined if it does not exist. Frozen. What linked apps wrote is shown as
   * far as their avatars are followed here.
   */
  get(avatar: string, platform?: string, identity?: string, options?: LinkedOption): JsonObject | undefined
  /** @throws ReplicaError `not_followed` */
  state(avatar: string, options?: LinkedOption): LocalState
  /** @throws ReplicaError `not_followed` */
  info(avatar: string): LocalInfo
  /**
   * Signs a merge patch on the state that is known here. Resolves when it is on disk. It is sent as soon as a node can be reached.
   *
   * @throws ReplicaError `not_followed`, `queue_full`, `storage`, `closed`; ClientError of the change and of the signer
   */
  put(request: PutRequest): Promise<LocalWrite>
  /** Writes the change that `change` makes to a content. */
  change(request: ChangeRequest): Promise<LocalWrite>
  /** Own writes that no node has taken, in order. */
  waiting(avatar?: string): readonly WaitingWrite[]
  /**
   * Signs the writes of the signer's avatar that are in `conflict` or `rejected` again, on the state that is known now. Other work
   * goes on while a person decides. If the records that a write builds on change meanwhile, the person is asked again.
   *
   * @throws ReplicaError `closed`, `storage`; ClientError of the signer, `superseded` if they changed three times
   */
  retry(signer: Signer): Promise<readonly LocalWrite[]>
  /**
   * Discards a write that is in `conflict` or `rejected`. This cannot be undone.
   *
   * @throws ReplicaError `usage` if there is no such write
   */
  discard(avatar: string, id: RecordId): Promise<void>
  /** Discards own writes whose rows cannot be read. @returns how many there were */
  discardDamaged(avatar: string): Promise<number>
  /**
   * Reads from the nodes and sends the writes that wait, without waiting for the next retry. Resolves when this is done; in a tab
   * that does not sync, when the tab that does was told.
   *
   * @throws ClientError `unreachable`, `refused`
   */
  sync(options?: { readonly signal?: AbortSignal }): Promise<void>
  /**
   * Calls back with every event; the returned function ends it. `change`, `sent` and `connection` are told in every tab, the
   * others in the tab that they happen in.
   */
  on(listener: (event: ReplicaEvent) => void): () => void
  /** An archive of verified records, own writes that wait included. */
  export(options?: ExportOptions): AsyncGenerator<Uint8Array, void, undefined>
  /** Reads the valid records of an archive, compressed or not. They are not sent to nodes. */
  import(chunks: AsyncIterable<Uint8Array>, options?: ImportOptions): Promise<ImportResult>
  /** Ends all work. The data stays on disk. */
  close(): Promise<void>
}
