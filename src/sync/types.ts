import type { Source } from '../shares/types.ts'

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
  /** Whether this node's operator named the peer. What any other peer causes is not logged above `debug`. */
  isConfigured(peer: string): boolean
  open(peer: string, signal: AbortSignal): Promise<FrameStream>
  /** Streams that peers open, of the sync protocol only. */
  onStream(handler: (peer: string, stream: FrameStream) => void): () => void
  onConnect(handler: (peer: string) => void): () => void
  onDisconnect(handler: (peer: string) => void): () => void
  /** Tells of a peer that lied, stalled or sent what was not asked: it loses score, and is cut off when it goes on. */
  penalize(peer: string, code: string): void
}
