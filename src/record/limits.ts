/** Limits that all nodes agree on (docs/protocol.md, "Payload"). A record that exceeds one is invalid everywhere. */

export const MAX_PAYLOAD_BYTES = 262_144

/** Levels of objects and arrays in a `patch` or a `content`, the object itself being the first. */
export const MAX_CONTENT_DEPTH = 60

/** Object members plus array elements in a whole payload, at every level. */
export const MAX_MEMBERS = 10_000

export const MAX_PREV = 16
export const MAX_PARTS = 3_500
export const MAX_IDENTITY_BYTES = 256

/** Levels above a `patch` in its payload: the payload itself. */
export const LEVELS_ABOVE_PATCH = 1

/** Levels above a `content` in its payload: the payload, `state` and the entry. */
const LEVELS_ABOVE_CONTENT = 3

/** No payload nests deeper. */
export const MAX_PAYLOAD_DEPTH = LEVELS_ABOVE_CONTENT + MAX_CONTENT_DEPTH

/** Largest gossip message (docs/protocol.md, "Between nodes"). */
export const MAX_BATCH_BYTES = 1_048_576

/**
 * The shortest valid record takes over 380 bytes (the fixed members of its payload alone over 310), so a batch of
 * `MAX_BATCH_BYTES` has fewer valid records than this.
 */
export const MAX_BATCH_RECORDS = 4_096
