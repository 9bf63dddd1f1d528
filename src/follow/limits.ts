import type { ShareLimits } from '../shares/types.ts'

/** Avatars of one stream: 330 KB. A node with a longer list follows the gossip topic instead. */
export const MAX_FOLLOWED_AVATARS = 10_000
/** Avatars that all streams to this node follow; each takes about 250 bytes. Peers hold one stream each. */
export const SERVED_AVATARS: ShareLimits = { total: 100_000, perKey: 20_000, reserve: 20_000, small: 10_000 }
/** Streams of followers. A peer has one, and a second one while the first is ending. */
export const SERVED_STREAMS: ShareLimits = { total: 128, perKey: 32, reserve: 32, small: 2 }
/** Records that wait for one follower. Above it they are dropped, and sync brings them. */
export const MAX_QUEUED_BYTES = 1_048_576
/** One frame of records, unless a single record is larger. */
export const FRAME_BYTES = 262_144
export const FRAME_RECORDS = 1_024
/** Time between two frames: how long a record waits for others to share its frame, as in gossip. */
export const GATHER_MS = 5
/** A follower that takes no frame for this long is cut off. */
export const SEND_MS = 30_000
/** A follower may change its list this often. */
export const LIST_INTERVAL_MS = 1_000
/** The peer has this long to answer a list. */
export const ANSWER_MS = 10_000

/** Streams over which a node follows its list: two for each avatar if it can, so that one peer may fail or keep records back. */
export const WANTED_STREAMS = 2
export const MAX_STREAMS = 8
/** How often the node looks whether it follows enough. */
export const REVIEW_MS = 10_000
/** A peer that refused or broke a stream is left alone for this long. */
export const RETRY_MS = 60_000
/** Syncs that gaps cause are at least this far apart. */
export const NUDGE_MS = 2_000
/** Changes of the list within this time are sent together. */
export const SETTLE_MS = 200

/** A record that came by sync must arrive on each stream of its avatar within this time, or the stream's peer is doubted. */
export const DEBT_MS = 10_000
/** A doubted peer does not count as a source of the avatar for this long. A peer may be excused as often. */
export const DOUBT_MS = 600_000
/** A peer with which no comparison ends owes records from this long after its answer. */
export const UNCOMPARED_MS = 120_000
/** Peers whose doubts are remembered: 16 times as many as are followed at once. */
export const MAX_DOUBTED_PEERS = 128
/** Records that one peer can owe; more are not counted. */
export const MAX_DEBTS = 256
/** Records of one peer that the node remembers, because sync may bring the same record just after the stream. */
export const MAX_RECENT = 1_024
