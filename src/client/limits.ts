/** What the client takes from nodes at most, and how long it waits for them. */

/** A node on the same machine answers in milliseconds, one behind a slow line in a few seconds. */
export const TIMEOUT_MS = 15_000
/** An answer that keeps coming may take this many times the timeout: 2 minutes for a page, as nodes give for 16 MiB. */
export const TOTAL_TIMEOUT_FACTOR = 8

/** More nodes than this tell nothing more. */
export const MAX_NODES = 16

/** Records asked for at once: as many as a node gives. */
export const PAGE_RECORDS = 1_000
export const PAGE_CHARACTERS = 4 * 1024 * 1024
/** A page holds 4 MiB of payloads and one more, whose quotes double in JSON. */
export const MAX_PAGE_BYTES = 24 * 1024 * 1024
/** An avatar's document has all of its contents. */
export const MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
/** Everything else: receipts, errors, status. */
export const MAX_SMALL_ANSWER_BYTES = 512 * 1024
/** Contents nest at most 60 deep (docs/protocol.md, "Payload"), and stand a few levels down in an answer. */
export const MAX_NESTING = 70

/** Addresses of an avatar's homes that are read from an error: as many as a list of homes may have. */
export const MAX_HOMES = 16

/** A cursor is opaque; those of nodes have some 30 characters, or are an avatar. */
export const MAX_CURSOR_CHARACTERS = 256

/** Of one avatar: more than one has that was ever snapshotted; bounds what a node can make a reader hold. */
export const MAX_RECORDS = 200_000
export const MAX_RECORD_CHARACTERS = 256 * 1024 * 1024
/** Invalid records after which a node is read no further. */
export const MAX_INVALID_RECORDS = 16
/** A store that starts again more often while it is read is broken. */
export const MAX_RESTARTS = 3
/** Rounds in which nodes that are behind are asked again: writers move avatars while they are read. */
export const MAX_ROUNDS = 3

/** Work between two yields to the event loop, so that a page stays responsive: one frame at 60 Hz. */
export const SLICE_MS = 14

/** Avatars of which a client keeps the verified records in memory, and what those may take. */
export const CACHE_AVATARS = 64
export const CACHE_BYTES = 64 * 1024 * 1024

/** Tries of a write that snapshots supersede. */
export const MAX_WRITE_TRIES = 4
/** Pieces of one write, 256 KiB each. */
export const MAX_PIECES = 1_000
/** One request of records: a quarter of the bytes that nodes take, so that it is answered in time on a slow line. */
export const SUBMIT_RECORDS = 500
/** Of the records as JSON. */
export const SUBMIT_BYTES = 4 * 1024 * 1024
/** Requests with the same records to a busy node. It says when to come back, mostly after a second. */
export const MAX_BUSY_TRIES = 20
export const MAX_BUSY_WAIT_S = 30
/** Rounds in which a node is sent what it lacks of what a write cites, 100 ids each. */
export const MAX_SENDING_ROUNDS = 50
/** Records sent in the first round; then all that the node can lack. */
export const NEAR_RECORDS = 100

/** A frame of an event stream has about 350 bytes. */
export const MAX_FRAME_CHARACTERS = 64 * 1024
/** Nodes give a sign of life every 15 s; a stream that misses three is dead. */
export const STREAM_SILENCE_MS = 45_000
export const RECONNECT_FIRST_MS = 500
export const RECONNECT_MOST_MS = 30_000
/** Who follows one of several nodes asks all of them this often whether it keeps something back. */
export const SURVEY_MS = 60_000
/** Events that name records which the node then does not hand out; after these it is left for another. */
export const MAX_EMPTY_EVENTS = 5
