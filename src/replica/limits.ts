/** Limits of a replica, and intervals of its retries. */

/** Avatars that are followed. All of them are in memory; for more, run a node. */
export const MAX_FOLLOWED = 1_000
/** Bytes of records in memory above which no further avatar is followed: as much as a page may use on a phone. */
export const MAX_FOLLOWED_BYTES = 512 * 1024 * 1024

/** Signed writes that wait, of all avatars: months of a person's work. */
export const MAX_WAITING = 10_000
export const MAX_WAITING_BYTES = 64 * 1024 * 1024
/** How often one write is signed again because of snapshots. After that many it is a dispute, not a coincidence. */
export const MAX_REBASES = 16
/** How often `retry` asks a person for one write, if the records that it builds on change meanwhile. */
export const MAX_ASKED = 3
/** How long a silent signer may still take once the replica is closed. */
export const CLOSING_PATIENCE_MS = 1_000

/** How far ahead of their clock nodes take `created_at` (docs/protocol.md, "From records to state"). */
export const MAX_AHEAD_SECONDS = 3_600

/** Between two attempts to send: from one second, doubling. */
export const RETRY_FIRST_MS = 1_000
export const RETRY_MOST_MS = 60_000
/** After a node refused a write for good: its policy seldom changes within minutes. */
export const RETRY_REFUSED_MS = 300_000

/** Event streams. Browsers open six connections to a host (HTTP/1.1); the other two are for all other requests. */
export const STREAMS_IN_PAGE = 4
export const STREAMS_IN_NODE = 100
/** How often nodes are asked about an avatar without an event stream. */
export const POLL_MS = 30_000

/** How often the clock is read. If three of these pass between two readings, the device slept. */
export const TICK_MS = 10_000

/** How often `verifiedAt` is written if nothing else is. */
export const NOTE_MS = 60_000

/** Rows that are read at once, each of at most 256 KiB. */
export const PAGE_ROWS = 64
/** Records written in one batch: the first read can bring everything that an avatar ever wrote. */
export const STORE_RECORDS = 1_000
/** Records imported in one batch. */
export const IMPORT_RECORDS = 200
/** Bytes of an archive without a record in them after which reading ends. */
export const MAX_NOISE_BYTES = 32 * 1024 * 1024

/** How long to wait until this tab leads; it is known within milliseconds whether another tab does. */
export const LEAD_PATIENCE_MS = 1_000
