/** What a replica keeps and does at most, and how often it tries. */

/** All of them are in memory; more than this is a node's work. */
export const MAX_FOLLOWED = 1_000
/** Bytes of records in memory above which no further avatar is followed: what a page may take on a phone. */
export const MAX_FOLLOWED_BYTES = 512 * 1024 * 1024

/** Signed writes that wait, in all: months of a person's work. */
export const MAX_WAITING = 10_000
export const MAX_WAITING_BYTES = 64 * 1024 * 1024
/** How often one write is signed anew because of snapshots; those that keep superseding it are a dispute, not bad luck. */
export const MAX_REBASES = 16
/** How often `retry` asks a person for one write, where what it builds on changes while he looks at it. */
export const MAX_ASKED = 3
/** What those who sign without asking get to be done where the replica is closed meanwhile. */
export const CLOSING_PATIENCE_MS = 1_000

/** How far ahead of their clock nodes take `created_at` (docs/protocol.md, "From records to state"). */
export const MAX_AHEAD_SECONDS = 3_600

/** Between two tries to hand in what waits: from one second, doubling. */
export const RETRY_FIRST_MS = 1_000
export const RETRY_MOST_MS = 60_000
/** A node that refuses for a reason of its own seldom changes its mind within minutes. */
export const RETRY_REFUSED_MS = 300_000

/** Browsers open six connections to a host (HTTP/1.1), and something must be left for everything else. */
export const STREAMS_IN_PAGE = 4
export const STREAMS_IN_NODE = 100
/** Avatars without a stream of their own are asked for so often. */
export const POLL_MS = 30_000

/** The clock is looked at so often; a jump beyond twice of it was sleep. */
export const TICK_MS = 10_000

/** `verifiedAt` is written down at most so often for its own sake. */
export const NOTE_MS = 60_000

/** Rows that are read at once, 256 KiB each at most. */
export const PAGE_ROWS = 64
/** Records written in one batch: what is fetched at first can be all that an avatar ever wrote. */
export const STORE_RECORDS = 1_000
/** Records imported in one batch. */
export const IMPORT_RECORDS = 200
/** Bytes of an archive without a record in them after which reading ends. */
export const MAX_NOISE_BYTES = 32 * 1024 * 1024

/** Whether another tab leads is known within milliseconds. */
export const LEAD_PATIENCE_MS = 1_000
