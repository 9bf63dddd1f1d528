import type { Avatar, SignedRecord } from '../record/types.ts'
import type { Source } from '../shares/types.ts'
import type { Bound, RangeIndex } from './negentropy/types.ts'

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

/** A two-way stream of frames with one peer, whatever carries it. */
export interface FrameStream {
  /** Sends one frame; resolves when there is room for more, rejects once the stream is broken. */
  send(frame: Uint8Array): Promise<void>
  /** The next frame; null once the other side has ended. Frames not asked for hold the sender back. */
  receive(): Promise<Uint8Array | null>
  /** Ends this side; resolves when all that was sent has left. */
  close(): Promise<void>
  /** Breaks the stream at once, for both sides. */
  abort(reason: Error): void
}

/** What sync needs of the network. Peers are named by their peer id. */
export interface SyncTransport {
  readonly localPeer: string
  peers(): string[]
  /** The host that a peer counts for, where sessions and records are divided between hosts. */
  hostOf(peer: string): Source
  open(peer: string, signal: AbortSignal): Promise<FrameStream>
  /** Streams that peers open, of the sync protocol only. */
  onStream(handler: (peer: string, stream: FrameStream) => void): () => void
  onConnect(handler: (peer: string) => void): () => void
  onDisconnect(handler: (peer: string) => void): () => void
  /** Tells of a peer that lied, stalled or sent what was not asked: it loses score, and is cut off when it goes on. */
  penalize(peer: string, code: string): void
}
