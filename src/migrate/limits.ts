/** Bounds of a migration, whatever the hosts do. */

/** Body of one `POST /v2/records`: a quarter of the maximum, so that progress shows and little is sent twice. */
export const POST_BYTES = 4 * 1024 * 1024
/** Records of one `POST /v2/records`: half of the maximum (docs/protocol.md, "HTTP"). */
export const POST_RECORDS = 500
/** Records read from the staging store at once: at most 8 MiB of payloads. */
export const READ_RECORDS = 32

/** Unsound records after which reading a host ends. */
export const MAX_FAULTS = 1_000
/** Faults that are reported one by one. */
export const MAX_EXAMPLES = 5
/** Records that come twice in one reading: an honest host lists each once. */
export const MAX_REPEATED = 1_000
/** Records in one reading that are useless here, besides those held when it began: a long history may have so many. */
export const MAX_USELESS = 1_000_000
/** A store that restarts its history more often than this in one reading is broken. */
export const MAX_RESTARTS = 3
/** Records that cannot be taken yet, because too many others wait: so much is kept in memory, and offered again. */
export const RETRY_LIMITS = { maxRecords: 65_536, maxBytes: 8 * 1024 * 1024 }

/** Pauses before a call to an unreachable host is repeated: a restart takes a few seconds. */
export const RETRY_MS: readonly number[] = [250, 500, 1_000, 2_000, 4_000]
/** Pauses of one call to a busy host, each as long as the host asks, at most `MAX_BUSY_WAIT_MS`. */
export const MAX_BUSY_WAITS = 60
export const MAX_BUSY_WAIT_MS = 30_000

/** A host that has not answered for so long is told of: with all retries it may take minutes until it counts as out of reach. */
export const SILENCE_TOLD_MS = 10_000

/** Rounds in which something moved, after which the avatar counts as written to too fast. */
export const MAX_ROUNDS = 200
/** Pause between two rounds; it grows with their number up to the second value. */
export const ROUND_PAUSE_MS = 20
export const MAX_ROUND_PAUSE_MS = 500

/** Time to dial and identify a host by multiaddr. */
export const CONNECT_MS = 20_000
/** A peer that is busy with another session is asked again after about this long, so many times. */
export const PEER_BUSY_MS = 500
export const MAX_PEER_BUSY = 60
/** Broken sessions in a row after which the migration ends; each pause is longer by `PEER_BUSY_MS`. */
export const MAX_PEER_FAILURES = 8

/** With `--watch`: the pause between two looks, also at hosts that report changes. */
export const WATCH_POLL_MS = 2_000
/** Longest pause after failures in a row. */
export const WATCH_MAX_PAUSE_MS = 30_000
/** Pause after a change, so that a burst of writes costs one look. */
export const WATCH_SETTLE_MS = 50
