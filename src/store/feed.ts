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
const FEED_ENTRIES = 1_000_000
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

/** The feed's limit: old entries are dropped in steps. */
export class FeedLimit {
  /** The sequence before the oldest entry that the feed still has for certain. */
  floor: number
  readonly #db: Database
  readonly #entries: number
  /** Whether entries up to the floor may still be there. */
  #isTrimDue = false

  private constructor(db: Database, entries: number, floor: number) {
    this.#db = db
    this.#entries = entries
    this.floor = floor
  }

  static async open(db: Database, lastSequence: number, entries = FEED_ENTRIES): Promise<FeedLimit> {
    for await (const [key] of walk(db, keys.tableRange('f'), { limit: 1 })) {
      return new FeedLimit(db, entries, keys.sequenceInKey(key) - 1)
    }
    return new FeedLimit(db, entries, lastSequence)
  }

  /** Drops entries beyond the limit, once enough have piled up. If it rejects, call it again after the next commit. */
  async trim(lastSequence: number): Promise<void> {
    const isFull = lastSequence - this.floor > this.#entries + TRIM_ENTRIES
    if (!isFull && !this.#isTrimDue) return
    // Raised first: a reader must not take entries that are partly gone for all there were.
    if (isFull) this.floor = lastSequence - this.#entries
    this.#isTrimDue = true
    await clearSoon(this.#db, { gte: keys.feedKey(0), lte: keys.feedKey(this.floor) })
    this.#isTrimDue = false
  }
}
