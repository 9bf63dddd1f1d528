import type { ChangeRequest, Client, PutRequest } from '../client/api.ts'
import type { Signer } from '../client/signers.ts'
import type { CallOptions, LinkedOption, PutResult, VerifiedState, WriteOptions } from '../client/types.ts'
import type { Avatar, JsonValue, StateEntry } from '../record/types.ts'
import type { LocalWrite, Replica } from '../replica/types.ts'
import type { LinkState } from '../state/links.ts'

/** Stores the secret keys of apps. Each key is one app's, for one owner. */
export interface AppKeyStore {
  /**
   * Returns the secret key of a name. If there is none, stores the one that `make` returns, and returns it: of two callers at the
   * same time both get the same key.
   *
   * @param name of the characters a-z, 0-9, `.` and `-`
   * @param make returns 32 bytes
   */
  getOrCreate(name: string, make: () => Uint8Array): Promise<Uint8Array>
}

/** What the functions of this module need of a client. */
export type LinkClient = Pick<Client, 'network' | 'getVerified' | 'put' | 'change' | 'batch'>
/** What they need of a replica. */
export type LinkReplica = Pick<Replica, 'network' | 'nodes' | 'follow' | 'state' | 'info' | 'put' | 'change' | 'sync'>

/** A link, and whether all that the linked avatar wrote is known. */
export interface KnownLink extends LinkState {
  readonly state: VerifiedState
}

/** An avatar, with its links. */
export interface LinkedRead {
  readonly avatar: Avatar
  readonly namespaces: readonly StateEntry[]
  readonly links: readonly KnownLink[]
}

/** A client or a replica, as this module uses them. @internal */
export interface LinkedStore<Written> {
  readonly network: string
  read(avatar: string, options?: CallOptions & LinkedOption): Promise<LinkedRead>
  /** Resolves once nodes have been asked about the avatar; a client asks them with each read. */
  known?(avatar: string, signal: AbortSignal | undefined): Promise<void>
  put(request: PutRequest, options?: WriteOptions): Promise<Written>
  change(request: ChangeRequest, options?: WriteOptions): Promise<Written>
  batch(requests: readonly PutRequest[], options?: WriteOptions): Promise<Written[]>
}

export type { LocalWrite }

/** What an app asks for. */
export interface ConnectOptions extends CallOptions {
  /** The owner's signer, which signs the link once; or the owner's avatar, where the link is there already. */
  readonly owner: Signer | string
  /** The top-level key that the app writes, such as `com.example.todo`. */
  readonly key: string
  /** What the owner is told: which app, on which device. */
  readonly label: string
  /** Where the app's own secret key is stored. */
  readonly keyStore: AppKeyStore
  /** Whether to take the place of another avatar that the key is linked to. Default false: error `linked`. */
  readonly replace?: boolean
  /** Milliseconds since the Unix epoch. Default: the platform's clock. */
  readonly now?: () => number
}

/** Writes under one top-level key of the owner's data, without asking anyone. */
export interface AppWriter<Written = PutResult> {
  readonly owner: Avatar
  /** The app's own avatar. */
  readonly avatar: Avatar
  readonly key: string
  /** Whether `connect` asked the owner's signer. */
  readonly asked: boolean
  /** The value under the key, verified; undefined if there is none. @throws ClientError `not_linked`, and those of `getVerified` */
  get(options?: CallOptions): Promise<JsonValue | undefined>
  /**
   * Merges a patch into the value (RFC 7396): members are set, null deletes.
   *
   * @throws ClientError `not_linked` once the owner has removed the link; later calls then fail at once and write nothing. Others as `put` of
   *   the client
   */
  put(patch: JsonValue, options?: WriteOptions): Promise<Written>
  /** Writes what `change` makes of the value; undefined deletes the value. */
  change(
    change: (before: JsonValue | undefined) => JsonValue | undefined | Promise<JsonValue | undefined>,
    options?: WriteOptions,
  ): Promise<Written>
  /** Several patches with as few requests as possible. */
  batch(patches: readonly JsonValue[], options?: WriteOptions): Promise<Written[]>
}

/** A link to be made by its owner. */
export interface LinkRequest extends CallOptions {
  readonly signer: Signer
  readonly key: string
  /** The avatar that writes the key from now on. */
  readonly avatar: string
  readonly label: string
  /** Whether to take the place of another avatar that the key is linked to. Default false: error `linked`. */
  readonly replace?: boolean
  /** Milliseconds since the Unix epoch. Default: the platform's clock. */
  readonly now?: () => number
}

/** A link to be removed by its owner. */
export interface UnlinkRequest extends CallOptions {
  readonly signer: Signer
  readonly key: string
  /** Whether the value that is shown becomes the owner's own, in the same patch. Default false: the key is empty afterwards. */
  readonly keep?: boolean
}
