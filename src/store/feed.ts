/** The change feed: appended and superseded records in the node's order of arrival. */
import type { Avatar } from '../record/types.ts'
import { clearSoon, openRow, walk } from './database.ts'
import { type Database } from './level.ts'
import * as keys from './keys.ts'
import { readSummary } from './reader.ts'
import * as rows from './rows.ts'
import { openSealed } from './seal.ts'
import type { Change } from './batch.ts'
import type { AvatarSummary, ChangeEvent } from './types.ts'

/** Entries that the feed keeps. A reader further behind starts over, which costs less than reading a million events. */
const FEED_ENTRIES = 1_000_000
/** Entries above the limit before the feed is trimmed, so that one range delete covers many commits. */
const TRIM_ENTRIES = 10_000

/** Adds the current head and digest of the avatars to their changes. */
export function toEvents(
  changes: readonly Change[],
  summaryOf: (avatar: Avatar) => AvatarSummary | undefined,
): ChangeEvent[] {
  return changes.flatMap(({ sequence, kind, avatar, id, counter }) => {
    const summary = summaryOf(avatar)
    // If all records of an avatar are in quarantine, it has no summary.
    if (summary === undefined) return []
    return [{ sequence, kind, avatar, id, counter, head: summary.head, digest: summary.digest }]
  })
}

/**
 * Entries of all avatars after a sequence, without damaged entries and those of unknown avatars. At least one entry, unless
 * none is left.
 */
export async function readFeed(db: Database, after: number, limit: number): Promise<ChangeEvent[]> {
  for (let from = after; ;) {
    const range = { gte: keys.feedKey(from + 1), lt: keys.tableRange('f').lt }
    const changes: Change[] = []
    let last: number | undefined
    for await (const [key, row] of walk(db, range, { limit })) {
      last = keys.sequenceInKey(key)
      changes.push(...decodeEntry(key, row))
    }
    const events = toEvents(changes, summaries(db))
    if (events.length > 0 || last === undefined) return events
    from = last
  }
}

/** Entries of one avatar after a sequence: records and `superseded` entries, merged. */
export async function readAvatarFeed(
  db: Database,
  avatar: Avatar,
  after: number,
  limit: number,
): Promise<ChangeEvent[]> {
  const changes: Change[] = []
  for (const [letter, gte] of [
    ['r', keys.recordKey(avatar, after + 1)],
    ['e', keys.avatarFeedKey(avatar, after + 1)],
  ] as const) {
    for await (const [key, row] of walk(db, { gte, lt: keys.tableRange(letter, avatar).lt }, { limit })) {
      if (letter === 'e') {
        changes.push(...decodeEntry(key, row))
        continue
      }
      const { counter, id } = openRow(avatar, 'record', key, row, rows.decodeRecord)
      changes.push({ sequence: keys.sequenceInKey(key), kind: 'record', avatar, counter, id })
    }
  }
  return toEvents(changes.sort((a, b) => a.sequence - b.sequence).slice(0, limit), summaries(db))
}

/** Skips a damaged entry: it cannot be rebuilt, and readers of the feed get the avatar's next entry. */
function decodeEntry(key: keys.Key, row: Uint8Array): Change[] {
  const entry = openSealed(key, row, rows.decodeFeed)
  return entry === undefined ? [] : [{ ...entry, sequence: keys.sequenceInKey(key) }]
}

/** Returns a function that reads the summary of each avatar once. */
function summaries(db: Database): (avatar: Avatar) => AvatarSummary | undefined {
  const known = new Map<Avatar, AvatarSummary | undefined>()
  return (avatar) => {
    if (!known.has(avatar)) known.set(avatar, readSummary(db, avatar))
    return known.get(avatar)
  }
}

export type FeedLimit = Awaited<ReturnType<typeof openFeedLimit>>

/** Enforces the feed's limit by deleting old entries in steps. */
export async function openFeedLimit(db: Database, lastSequence: number, entries = FEED_ENTRIES) {
  let floor = lastSequence
  for await (const [key] of walk(db, keys.tableRange('f'), { limit: 1 })) floor = keys.sequenceInKey(key) - 1
  /** Whether entries up to the floor may still exist. */
  let isTrimDue = false
  return {
    /** The feed has every entry after this sequence. */
    get floor() {
      return floor
    },
    /** Deletes entries beyond the limit once there are enough. If it rejects, call it again after the next commit. */
    async trim(newest: number): Promise<void> {
      const isFull = newest - floor > entries + TRIM_ENTRIES
      if (!isFull && !isTrimDue) return
      // Raised first: a reader must not mistake partly deleted entries for all entries.
      if (isFull) floor = newest - entries
      isTrimDue = true
      await clearSoon(db, { gte: keys.feedKey(0), lte: keys.feedKey(floor) })
      isTrimDue = false
    },
  }
}
