/** The change feed: what was appended or superseded, in the order of this node. */
import type { Avatar } from '../record/types.ts'
import { clearSoon, openRow, walk } from './database.ts'
import { type Database } from './level.ts'
import * as keys from './keys.ts'
import { readSummary } from './reader.ts'
import * as rows from './rows.ts'
import { unseal } from './seal.ts'
import type { Change } from './batch.ts'
import type { AvatarSummary, ChangeEvent } from './types.ts'

/** Entries that the feed keeps. A reader further behind starts again, which costs it less than a million events. */
export const FEED_ENTRIES = 1_000_000
/** Entries above the limit that pile up before the feed is trimmed, so that one range delete covers many commits. */
const TRIM_ENTRIES = 10_000

/** Fills in where the avatars stand now. */
export function toEvents(
  changes: readonly Change[],
  standing: (avatar: Avatar) => AvatarSummary | undefined,
): ChangeEvent[] {
  return changes.flatMap(({ sequence, kind, avatar, id, counter }) => {
    const summary = standing(avatar)
    // An avatar all of whose records went into quarantine stands nowhere.
    if (summary === undefined) return []
    return [{ sequence, kind, avatar, id, counter, head: summary.head, digest: summary.digest }]
  })
}

/**
 * Entries of all avatars after a sequence, without those that say nothing any more: of avatars that are not there, and
 * broken ones. At least one, unless there is none.
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

/** Entries of one avatar after a sequence: its records and what was superseded, merged. */
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

/** A broken entry is passed over: nothing can make it anew, and who follows the feed sees the avatar's next one. */
function decodeEntry(key: keys.Key, row: Uint8Array): Change[] {
  const content = unseal(key, row)
  return content === undefined ? [] : [{ ...rows.decodeFeed(content), sequence: keys.sequenceInKey(key) }]
}

/** Reads each avatar's standing once. */
function summaries(db: Database): (avatar: Avatar) => AvatarSummary | undefined {
  const known = new Map<Avatar, AvatarSummary | undefined>()
  return (avatar) => {
    if (!known.has(avatar)) known.set(avatar, readSummary(db, avatar))
    return known.get(avatar)
  }
}

/** The sequence before the oldest entry that the feed still has. */
export async function readFeedFloor(db: Database, lastSequence: number): Promise<number> {
  for await (const [key] of walk(db, keys.tableRange('f'), { limit: 1 })) return keys.sequenceInKey(key) - 1
  return lastSequence
}

/** The floor that the feed should have; it stays where it is while little is beyond the limit. */
export function floorFor(floor: number, lastSequence: number, entries: number): number {
  return lastSequence - floor <= entries + TRIM_ENTRIES ? floor : lastSequence - entries
}

/** Drops all entries up to a floor, and the floor itself: some of them, from the oldest on, where it rejects. */
export function dropTo(db: Database, floor: number): Promise<void> {
  return clearSoon(db, { gte: keys.feedKey(0), lte: keys.feedKey(floor) })
}
