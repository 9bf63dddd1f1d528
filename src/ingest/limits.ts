import type { ShareLimits } from '../shares/types.ts'

/** Bounds of ingest. */
export interface IngestLimits {
  /**
   * Records that may wait. Default 8,192: a few tenths of a second of work. One host may have half of them; a quarter more
   * is the reserve (`waitingShares`).
   */
  readonly waitingRecords: number
  /** Bytes of payloads and signatures that may wait, divided in the same way. Default 64 MiB. */
  readonly waitingBytes: number
  /** Records in one verification. Default 512: messages of 256 to two workers. */
  readonly verifyRecords: number
  /**
   * Records in one commit. Default 2,048: rows that a commit writes once for each avatar are shared by all of its records. The
   * store yields to the event loop during a commit.
   */
  readonly commitRecords: number
  /** Bytes of payload in one verification or one commit; one record may exceed it. Default 4 MiB. */
  readonly batchBytes: number
}

export const DEFAULT_INGEST_LIMITS: IngestLimits = {
  waitingRecords: 8_192,
  waitingBytes: 64 * 1_024 * 1_024,
  verifyRecords: 512,
  commitRecords: 2_048,
  batchBytes: 4 * 1_024 * 1_024,
}

/** How far ahead of this node's clock `created_at` may be (docs/protocol.md, "From records to state"). */
export const MAX_AHEAD_SECONDS = 3_600

/** How long a busy node asks its clients to wait; a full queue takes less. */
export const RETRY_AFTER_SECONDS = 1

/** The part of the queue that one host may have, and the reserve added for hosts that have little. */
export function waitingShares(most: number): ShareLimits {
  const reserve = Math.ceil(most / 4)
  return { total: most + reserve, perKey: Math.ceil(most / 2), reserve, small: Math.ceil(most / 16) }
}
