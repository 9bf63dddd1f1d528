import type {
  Avatar,
  Citation,
  JsonObject,
  JsonValue,
  RecordId,
  SignedRecord,
  StateEntry,
  VerifiedRecord,
} from '../record/types.ts'
import type { LinkState } from '../state/links.ts'
import type { Provenance } from '../state/provenance.ts'

/** What every call takes. */
export interface CallOptions {
  /** Ends the call, with a ClientError `aborted`. */
  readonly signal?: AbortSignal
}

/** What a node says of an avatar (docs/protocol.md, "The document of an avatar"): nothing of it is verified. */
export interface AvatarDocument {
  readonly avatar: Avatar
  readonly network: string
  readonly head: number
  /** The greatest 16. */
  readonly tips: readonly Citation[]
  readonly tips_total: number
  readonly base: Citation | null
  readonly digest: string
  readonly pending: number
  readonly missing: { readonly total: number; readonly ids: readonly RecordId[] }
  readonly namespaces: readonly StateEntry[]
  /** With links, of a read that shows what they write; absent from one of the avatar's own words. */
  readonly linked_digest?: string
  readonly links?: readonly DocumentLink[]
}

/** A link, as a node tells it. */
export interface DocumentLink {
  readonly key: string
  readonly avatar: Avatar
  readonly label: string | null
  readonly digest: string | null
}

/**
 * `verified`: all that is shown follows from signed records that were checked here, nothing that they cite is missing, and
 * a node shows just this. `missing`: records cite others that no node hands out; what is shown is whole, but old. `behind`:
 * no node that answered shows all of this, or one claims more than its records say: a host is behind another, or keeps
 * something back.
 */
export type VerifiedState = 'verified' | 'missing' | 'behind'

/**
 * `equal`: shows what is verified here. `behind`: what it shows is older. `contradictory`: claims another state than that of
 * the records that it hands out. `unknown`: does not have the avatar. `failed`: did not answer, or not as a node does.
 */
export type NodeStanding = 'equal' | 'behind' | 'contradictory' | 'unknown' | 'failed'

/**
 * `unreachable`, `bad_answer`, `refused`: it did not answer, not as a node does, or not at all to this. `invalid_record`,
 * `foreign_record`, `wrong_id`: it hands out a record that breaks a rule of the protocol, is of another avatar, or has another
 * id than it says. `repeats`, `endless`: its pages of records repeat, or have no end. `behind`, `contradictory`: as in
 * `NodeStanding`.
 */
export type ProblemCode =
  | 'unreachable'
  | 'bad_answer'
  | 'refused'
  | 'invalid_record'
  | 'foreign_record'
  | 'wrong_id'
  | 'repeats'
  | 'endless'
  | 'behind'
  | 'contradictory'

/** Something that a node does wrong, or fails to do. */
export interface Problem {
  readonly node: string
  readonly code: ProblemCode
  /** For people. */
  readonly message: string
}

/** How one node stands to what was verified. */
export interface NodeReport {
  readonly url: string
  readonly standing: NodeStanding
  /** The head that it shows, by its own word; null where it is not known. */
  readonly head: number | null
  /** The digest that it claims. */
  readonly digest: string | null
  /** Live records known here that it does not hand out; null where it was not counted. */
  readonly lacks: number | null
}

/** One avatar's state, worked out here from signed records. Nothing in it changes later; contents are frozen. */
export interface VerifiedAvatar {
  readonly avatar: Avatar
  readonly network: string
  readonly state: VerifiedState
  readonly head: number
  /** All tips, in order. */
  readonly tips: readonly Citation[]
  readonly base: Citation | null
  /** 64 hex digits, as nodes show it. */
  readonly digest: string
  /** Patches that wait for others. */
  readonly pending: number
  /** Ids that are cited or named and that no node handed out, in order. */
  readonly missing: readonly RecordId[]
  /** Sorted by platform, then identity. */
  readonly namespaces: readonly StateEntry[]
  /** Live records verified. */
  readonly records: number
  readonly nodes: readonly NodeReport[]
  readonly problems: readonly Problem[]
}

/** A link of an avatar, and how the linked avatar was verified. */
export interface VerifiedLink extends LinkState {
  /** Of the linked avatar. `behind` also if no node answered for it. */
  readonly state: VerifiedState
  readonly nodes: readonly NodeReport[]
}

/**
 * An avatar with the values of the avatars that it links to (docs/protocol.md, "Linked keys"): `namespaces` are those of the linked
 * view, `state` is the worst of all that were read, `problems` are those of all. `digest`, `tips` and the rest are of the avatar itself.
 */
export interface LinkedAvatar extends VerifiedAvatar {
  /** 64 hex digits. Equal linked digests, equal linked views. */
  readonly linkedDigest: string
  /** The links that count, in order of their keys. */
  readonly links: readonly VerifiedLink[]
  /** Who wrote each top-level key of the own namespace: the avatar itself, or one that it links to. */
  readonly writers: ReadonlyMap<string, Avatar>
}

/** Which record set or removed a value, and the avatar that signed it: the one that was asked about, or one that it links to. */
export type LinkedProvenance = Provenance & { readonly avatar: Avatar }

/** Whether a read shows what linked apps wrote. */
export interface LinkedOption {
  /** `false`: only the avatar's own words. Default true. */
  readonly linked?: boolean
}

/** What is kept of an avatar between calls. */
export interface CachedAvatar {
  /** Live records, in no order. They are verified when they are loaded. */
  readonly records: Iterable<SignedRecord>
  /** By the address of the node: how far its records were read. */
  readonly cursors: Iterable<readonly [node: string, cursor: string]>
}

export interface CacheUpdate extends CachedAvatar {
  readonly network: string
  /** What is new since the avatar was loaded or saved last. */
  readonly added: readonly VerifiedRecord[]
  /** Records below its counter may be dropped. */
  readonly base: Citation | null
  /** Bytes of payloads and signatures of all `records`. */
  readonly bytes: number
}

/** Keeps verified records, so that only what is new is fetched and verified. */
export interface RecordCache {
  /** What was saved last; undefined where there is nothing. */
  load(avatar: Avatar): Promise<CachedAvatar | undefined>
  /** Called after a read that brought something, or moved a cursor. */
  save(avatar: Avatar, update: CacheUpdate): Promise<void>
}

/** How far a verification is. */
export interface Progress {
  /** Signatures verified, of so many. */
  readonly done: number
  readonly total: number
  readonly node: string
}

/** What `getVerified` takes. */
export interface VerifyOptions extends CallOptions, LinkedOption {
  /** Default: the client's. */
  readonly cache?: RecordCache
  /** Whether to ask hosts that the client's nodes name, where they have nothing of the avatar. Default: the client's. */
  readonly find?: boolean
  /** Called between slices of work, which are of a frame at most. */
  readonly onProgress?: (progress: Progress) => void
}

/** One of an avatar's namespaces. */
export interface Namespace {
  /** Default: the avatar's own, `nextid`. */
  readonly platform?: string
  /** Default, for `nextid`: the avatar. */
  readonly identity?: string
}

/** What every write takes. */
export interface WriteOptions extends CallOptions {
  /** `one`: the first node that takes it; the nodes tell each other. `all`: then to all others too. Default `one`. */
  readonly to?: 'one' | 'all'
}

/** A signed record as `POST /v2/records` takes it. */
export interface RecordText {
  readonly payload: string
  /** `0x` and 128 hex digits. */
  readonly signature: string
}

/** A record that was signed, with its id and counter. */
export interface WrittenRecord extends Citation, RecordText {}

/** What became of a write. */
export interface PutResult {
  readonly avatar: Avatar
  readonly platform: string
  readonly identity: string
  /**
   * `stored`: visible at `nodes`. `pending`: on disk there, and not visible before that node has all that it builds on.
   * `unchanged`: there was nothing to write.
   */
  readonly status: 'stored' | 'pending' | 'unchanged'
  /** In order; several where the patch was split, none where nothing changed. */
  readonly records: readonly WrittenRecord[]
  /** Nodes that have taken all of them. */
  readonly nodes: readonly string[]
}

export type { Avatar, Citation, JsonObject, JsonValue, RecordId, SignedRecord, StateEntry, VerifiedRecord }
