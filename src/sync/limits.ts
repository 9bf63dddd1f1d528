import type { ShareLimits } from '../shares/types.ts'
/** Numbers of the session protocol that both sides agree on (sync.proto). */

/** Revision of the session protocol. */
export const SYNC_VERSION = 2
/** Largest frame. */
export const MAX_FRAME_BYTES = 1_048_576
/**
 * Largest Negentropy message, sent or accepted: about 2,000 ids. Measured on 80,000 differences among 120,000 ids: 85 round
 * trips with 16 KiB, 22 with 64 KiB, 7 with 256 KiB, and 1.29 MB of messages each time. Above 64 KiB the records that stream
 * meanwhile take longer than the round trips, and an answer would bring more ids than may wait.
 */
export const MAX_NEGENTROPY_BYTES = 65_536
/** Avatars in a list. With a fingerprint each they fill half a frame. */
export const MAX_LISTED_AVATARS = 10_000
/** Ids in one request. */
export const MAX_REQUEST_IDS = 1_024
/** Records in one frame: the least valid record has over 380 bytes, so that a frame holds fewer. */
export const MAX_FRAME_RECORDS = 2_760
/** A frame of records is sent once it has this many bytes, or the next record would pass it. */
export const RECORDS_FRAME_BYTES = 262_144
/** Records in one frame of a bulk stream. */
export const BULK_FRAME_RECORDS = 1_024

/** Limits of one node, independent of its peers. */
export interface SyncLimits {
  /** Longest wait for a peer's next frame, or for room to send one. Default 30 s. */
  readonly stallMs: number
  /** Longest session; the next one does the rest. Default 10 min: a million records at 2,000 a second. */
  readonly sessionMs: number
  /** A session that this node opened may be ended after this time for others that wait. Default 30 s. */
  readonly turnMs: number
  /** Longest wait for a stream to open, and for its first frame. Default 10 s. */
  readonly openMs: number
  /** Interval of sessions with a peer on the timer, within a quarter. Default 30 s. */
  readonly intervalMs: number
  /** Sessions at once that this node opened. Default 8. */
  readonly outbound: number
  /** Sessions at once that others opened; none of them takes the place of one that this node opens. Default 32. */
  readonly inbound: number
  /** First wait after a failure; it doubles with every one in a row. Default 1 s. */
  readonly backoffMs: number
  /** Longest wait after failures. Default 5 min. */
  readonly maxBackoffMs: number
  /** Between log lines of a long session. Default 5 s. */
  readonly progressMs: number
  /** How long ids that newly go missing are collected before a peer is asked. Default 300 ms: gossip may bring them. */
  readonly missingMs: number
}

export const DEFAULT_SYNC_LIMITS: SyncLimits = {
  stallMs: 30_000,
  sessionMs: 600_000,
  turnMs: 30_000,
  openMs: 10_000,
  intervalMs: 30_000,
  outbound: 8,
  inbound: 32,
  backoffMs: 1_000,
  maxBackoffMs: 300_000,
  progressMs: 5_000,
  missingMs: 300,
}

/** A quarter for one host at most, and a quarter for hosts that have one session only. */
export function inboundShares(total: number): ShareLimits {
  const quarter = Math.ceil(total / 4)
  return { total, perKey: quarter, reserve: quarter, small: 1 }
}
