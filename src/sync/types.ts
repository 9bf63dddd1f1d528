import type { Source } from '../shares/types.ts'

/** A two-way stream of frames with one peer, over any transport. */
export interface FrameStream {
  /** Sends one frame; resolves when there is room for more, rejects once the stream is broken. */
  send(frame: Uint8Array): Promise<void>
  /** The next frame; null once the other side has ended. Frames that are not read slow down the sender. */
  receive(): Promise<Uint8Array | null>
  /** Ends this side; resolves when everything was sent. */
  close(): Promise<void>
  /** Aborts the stream at once, for both sides. */
  abort(reason: Error): void
}

/** What a transport reports, to one listener. */
export interface PeerListener {
  /** A peer opened a stream of the sync protocol. */
  stream(peer: string, stream: FrameStream): void
  connected(peer: string): void
  disconnected(peer: string): void
}

/** The transport of sync. Peers are identified by their peer id. */
export interface SyncTransport {
  readonly localPeer: string
  peers(): string[]
  /** The host of a peer; sessions and records are divided between hosts. */
  hostOf(peer: string): Source
  /** Whether this node's operator named the peer. What any other peer causes is not logged above `debug`. */
  isConfigured(peer: string): boolean
  open(peer: string, signal: AbortSignal): Promise<FrameStream>
  /** The returned function removes the listener. */
  listen(listener: PeerListener): () => void
  /** Reports a peer that lied, stalled or sent something unasked. It loses score, and is disconnected if it continues. */
  penalize(peer: string, code: string): void
}
