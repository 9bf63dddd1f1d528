/** Limits of hosting. */

/** Avatars on each of the three lists (hosted, blocked, gone): about 15 MB of memory for a full list. */
export const MAX_LISTED = 100_000
/** How long an avatar stays after the last link to it was removed. Records that arrive late may bring the link back. */
export const LET_GO_S = 86_400
/** How often the node looks for avatars to let go. */
export const LET_GO_SWEEP_MS = 3_600_000
/** Unused codes. */
export const MAX_INVITES = 10_000
/** How far `created_at` of a statement may be from the node's clock, either way. */
export const STATEMENT_WINDOW_SECONDS = 600
/** Homes remembered for an avatar that is gone. */
export const MAX_REMEMBERED_HOMES = 4
/** A journal is compacted once it has this many lines more than twice its live entries. */
export const JOURNAL_SLACK_LINES = 1_000
