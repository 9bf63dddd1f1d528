import type { HostsReport } from '../receipt/hosts.ts'
import type { SignatureEngine } from '../record/engine.ts'
import type { JsonObject } from '../record/types.ts'
import type { NodeInfo } from './node-about.ts'
import type { FoundHosts } from './find-hosts.ts'
import type { HistoryEntry } from './history.ts'
import type { Profile } from './profile.ts'
import type { Signer } from './signers.ts'
import type {
  AvatarDocument,
  CallOptions,
  LinkedAvatar,
  LinkedOption,
  LinkedProvenance,
  Namespace,
  PutResult,
  RecordCache,
  VerifiedAvatar,
  VerifyOptions,
  WriteOptions,
} from './types.ts'
import type { WatchEvent } from './watch.ts'

/** What a client talks to, and what it may take and use. */
export interface ClientOptions {
  /** Addresses of nodes, `https://…`, the preferred ones first; 1 to 16. */
  readonly nodes: readonly string[]
  /** The network whose records count. A node of another is told apart by its records. Default `main`. */
  readonly network?: string
  /** Default: the platform's. */
  readonly fetch?: typeof fetch
  /** How long a node may be silent, in ms. Default 15,000. */
  readonly timeoutMs?: number
  /** Ends everything that this client does. */
  readonly signal?: AbortSignal
  /** What verifies signatures. Default: pure JavaScript, about 400 a second; `@avatar-kv/client/wasm` has a faster one. */
  readonly engine?: SignatureEngine
  /** Keeps verified records for longer than memory does, which keeps at most 64 avatars and 64 MiB. Default: none. */
  readonly cache?: RecordCache
  /**
   * Whether `getVerified` asks hosts that the client's nodes name, where these have nothing of an avatar: at most 6, by `https:`
   * and public names alone, without redirects, and every record is verified. Default true.
   */
  readonly find?: boolean
  /** Milliseconds since the Unix epoch. Default: the platform's clock. */
  readonly now?: () => number
}

/** A merge patch to be signed. */
export interface PutRequest extends Namespace {
  readonly signer: Signer
  /** Applied by RFC 7396: members are set, null deletes. Of any size; one too large for a record becomes several. */
  readonly patch: JsonObject
}

/** A change to be made of what is there. */
export interface ChangeRequest extends Namespace {
  readonly signer: Signer
  /**
   * What the content shall be, given what it is (a copy, to be changed at will). Called again where a snapshot superseded the
   * change meanwhile.
   */
  readonly change: (before: JsonObject) => JsonObject | Promise<JsonObject>
}

/** Everything that an app does with avatars, over one or several nodes of which none needs to be trusted. */
export interface Client {
  readonly nodes: readonly string[]
  readonly network: string
  /**
   * What the first node that answers says of an avatar. Not verified: as good as the node is.
   *
   * @returns undefined where no node knows the avatar
   * @throws ClientError `unreachable`, `bad_answer`, `answer_too_large`, `refused`
   */
  get(avatar: string, options?: CallOptions & LinkedOption): Promise<AvatarDocument | undefined>
  /** The content of one namespace, not verified; undefined where no node knows it. */
  get(
    avatar: string,
    platform: string,
    identity?: string,
    options?: CallOptions & LinkedOption,
  ): Promise<JsonObject | undefined>
  /**
   * Fetches the signed records of an avatar, or those that came since the last time; verifies and folds them here, and
   * compares what they say with what each node claims. An avatar that nobody has written to is empty, with head 0.
   *
   * With `linked: false` only what the avatar itself signed.
   *
   * @throws ClientError `unreachable` where no node answered and nothing was known before
   */
  getVerified(avatar: string, options: VerifyOptions & { readonly linked: false }): Promise<VerifiedAvatar>
  /** The same, with what linked apps wrote under its keys, verified too: `links` and `writers` say by whom. */
  getVerified(avatar: string, options?: VerifyOptions): Promise<LinkedAvatar>
  /**
   * Reads and verifies an avatar as `getVerified` does, and returns its profile: name, bio, picture and links, each within the bounds
   * of docs/protocol.md, "Profiles". What the owner wrote in another form is left out; an avatar without a profile has nulls.
   *
   * @throws ClientError as `getVerified`
   */
  profile(avatar: string, options?: VerifyOptions): Promise<Profile>
  /**
   * Signs a merge patch on tips verified here, and hands it in.
   *
   * @throws ClientError
   */
  put(request: PutRequest, options?: WriteOptions): Promise<PutResult>
  /** Writes what turns a content into another. */
  change(request: ChangeRequest, options?: WriteOptions): Promise<PutResult>
  /**
   * Several writes with as few requests as possible; each cites the one before it. Results in the same order.
   *
   * @throws ClientError whose `written` has what was written before the avatar that failed
   */
  batch(requests: readonly PutRequest[], options?: WriteOptions): Promise<PutResult[]>
  /** All records of an avatar that nodes still have, verified, with what each one changed, in order of (counter, id). */
  history(avatar: string, options?: CallOptions): Promise<HistoryEntry[]>
  /**
   * The verified state, and then every record exactly once as it comes. Ends when the signal is aborted, or the loop is
   * left; connections that break are made again, at another node if need be.
   *
   * @param options.after the `cursor` of an earlier event: changes since then come first, though the state has them
   */
  watch(avatar: string, options?: CallOptions & { readonly after?: string }): AsyncIterable<WatchEvent>
  /**
   * Asks all nodes where an avatar lives. Each host signed that it has the avatar, which is verified; addresses and homes are
   * claims. Nodes that do not answer are left out.
   */
  find(avatar: string, options?: CallOptions): Promise<FoundHosts>
  /** Asks all nodes for signed receipts, and holds them against each other and against the records. */
  hosts(avatar: string, options?: CallOptions): Promise<HostsReport>
  /**
   * Who runs the first node that tells, and what it stores for whom, as its operator states it. Nothing of it is signed. To
   * ask a certain node, make a client of that node alone.
   *
   * @returns undefined where no node is of a version that tells
   */
  nodeInfo(options?: CallOptions): Promise<NodeInfo | undefined>
  /**
   * Which record set or removed a value, by records verified here. Of a key that is linked: a record of the linked avatar.
   *
   * @param path JSON Pointer (RFC 6901) into the content, such as `/a/b`
   * @throws ClientError `usage` where it is none
   */
  provenance(
    avatar: string,
    platform: string,
    identity: string,
    path: string,
    options?: CallOptions & LinkedOption,
  ): Promise<LinkedProvenance>
}
