/** Bounds of hosting. */

/** Avatars on the list, and as many blocked, and as many that are gone: about 15 MB of memory each. */
export const MAX_LISTED = 100_000
/** Unused codes. */
export const MAX_INVITES = 10_000
/** How far `created_at` of a statement may be from the node's clock, either way. */
export const STATEMENT_WINDOW_SECONDS = 600
/** Homes remembered of an avatar that is gone. */
export const MAX_REMEMBERED_HOMES = 4
/** A journal of so many lines beyond twice what it says is written anew. */
export const JOURNAL_SLACK_LINES = 1_000
