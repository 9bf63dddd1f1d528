/** Bounds of a migration, whatever the hosts do. */

/** Body of one `POST /v2/records`: a quarter of what it may have, so that progress shows and little is sent twice. */
export const POST_BYTES = 4 * 1024 * 1024
/** Records of one `POST /v2/records`: half of what it may have (docs/protocol.md, "HTTP"). */
export const POST_RECORDS = 500
/** Records read from the staging store at once: at most 8 MiB of payloads. */
export const READ_RECORDS = 32

/** Records that are not sound before a host is given up. */
export const MAX_FAULTS = 1_000
/** Faults that are kept in words. */
export const MAX_EXAMPLES = 5
/** Records that come twice in one reading: an honest host lists each once. */
export const MAX_REPEATED = 1_000
/** Records in one reading, beyond those held when it began, that are held or superseded here: a long history may have so many. */
export const MAX_USELESS = 1_000_000
/** A store that begins anew more often than this while it is read is broken. */
export const MAX_RESTARTS = 3
/** Records that cannot be taken yet, because too many others wait: so much is kept in memory, and offered again. */
export const RETRY_LIMITS = { maxRecords: 65_536, maxBytes: 8 * 1024 * 1024 }

/** Waits before a call to a host that cannot be reached is tried again: a restart takes a few seconds. */
export const RETRY_MS: readonly number[] = [250, 500, 1_000, 2_000, 4_000]
/** Waits for a host that is busy, a call; each as long as it asks, at most `MAX_BUSY_WAIT_MS`. */
export const MAX_BUSY_WAITS = 60
export const MAX_BUSY_WAIT_MS = 30_000

/** Rounds in which something still moved before the avatar counts as written to too fast. */
export const MAX_ROUNDS = 200
/** Between two rounds; grows with their number to the second one. */
export const ROUND_PAUSE_MS = 20
export const MAX_ROUND_PAUSE_MS = 500

/** How long a host by multiaddr is dialled and identified. */
export const CONNECT_MS = 20_000
/** A peer that has another session just now is asked again after about this long, so many times. */
export const PEER_BUSY_MS = 500
export const MAX_PEER_BUSY = 60
/** Sessions that broke, in a row, before a peer is given up; after each the pause is longer by `PEER_BUSY_MS`. */
export const MAX_PEER_FAILURES = 8

/** With `--watch`: hosts that tell of changes are looked at this often all the same, the others always. */
export const WATCH_POLL_MS = 2_000
/** Longest pause after failures in a row. */
export const WATCH_MAX_PAUSE_MS = 30_000
/** After an event, so that a burst of writes costs one look. */
export const WATCH_SETTLE_MS = 50
