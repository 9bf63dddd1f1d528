import type { ShareLimits } from '../shares/types.ts'

/** Bounds of ingest, with their defaults. */
export const DEFAULT_INGEST_LIMITS = {
  /**
   * Records that may wait: a few tenths of a second of work. One host may have half of them; a quarter more
   * is the reserve (`waitingShares`).
   */
  waitingRecords: 8_192,
  /** Bytes of payloads and signatures that may wait, divided in the same way. */
  waitingBytes: 64 * 1_024 * 1_024,
  /** Records in one verification: messages of 256 to two workers. */
  verifyRecords: 512,
  /**
   * Records in one commit: rows that a commit writes once for each avatar are shared by all of its records. The
   * store yields to the event loop during a commit.
   */
  commitRecords: 2_048,
  /** Bytes of payload in one verification or one commit; one record may exceed it. */
  batchBytes: 4 * 1_024 * 1_024,
}

export type IngestLimits = Readonly<typeof DEFAULT_INGEST_LIMITS>

/** How far ahead of this node's clock `created_at` may be (docs/protocol.md, "From records to state"). */
export const MAX_AHEAD_SECONDS = 3_600

/** How long a busy node asks its clients to wait; a full queue takes less. */
export const RETRY_AFTER_SECONDS = 1

/** The part of the queue that one host may have, and the reserve added for hosts that have little. */
export function waitingShares(most: number): ShareLimits {
  const reserve = Math.ceil(most / 4)
  return { total: most + reserve, perKey: Math.ceil(most / 2), reserve, small: Math.ceil(most / 16) }
}
