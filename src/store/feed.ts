/** The change feed: appended and superseded records in the node's order of arrival. */
import type { Avatar } from '../record/types.ts'
import { clearSoon, openRow, readEach, walk, writeSoon } from './database.ts'
import { putSealed, type Database, type Operation } from './level.ts'
import * as keys from './keys.ts'
import { readSummary } from './reader.ts'
import * as rows from './rows.ts'
import { openSealed } from './seal.ts'
import type { Change } from './rows.ts'
import type { AvatarSummary, ChangeEvent } from './types.ts'

/** Entries that the feed keeps. A reader further behind starts over, which costs less than reading a million events. */
const FEED_ENTRIES = 1_000_000
/** Entries above the limit before the feed is trimmed, so that one range delete covers many commits. */
const TRIM_ENTRIES = 10_000
/** Bytes of records after which a page of the feed ends. One record may exceed it. */
const PAGE_BYTES = 4 * 1_024 * 1_024

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
 * none is left. Fewer than `limit` entries do not mean the end: a page ends once it has read `PAGE_BYTES` of records.
 */
export async function readFeed(db: Database, after: number, limit: number): Promise<ChangeEvent[]> {
  for (let from = after; ;) {
    const records = await recordEntries(db, from, limit)
    const range = { gte: keys.feedKey(from + 1), lt: keys.tableRange('f').lt }
    const { changes, last } = merge([records, await otherEntries(db, range, limit)], limit)
    const events = toEvents(changes, summaries(db))
    if (events.length > 0 || last === undefined) return events
    from = last
  }
}

/** Entries of one avatar after a sequence. Pages end as those of `readFeed`. */
export async function readAvatarFeed(
  db: Database,
  avatar: Avatar,
  after: number,
  limit: number,
): Promise<ChangeEvent[]> {
  const records = await avatarRecordEntries(db, avatar, after, limit)
  const range = { gte: keys.avatarFeedKey(avatar, after + 1), lt: keys.tableRange('e', avatar).lt }
  const { changes } = merge([records, await otherEntries(db, range, limit)], limit)
  return toEvents(changes, summaries(db))
}

/** The entries of one kind up to a sequence; all that are left if it is undefined. */
interface Entries {
  readonly changes: Change[]
  readonly last: number | undefined
}

function merge(parts: readonly Entries[], limit: number): Entries {
  const last = Math.min(...parts.map((part) => part.last ?? Infinity))
  const upToLast = new Map<number, Change>()
  for (const part of parts) {
    // A damaged table may bring back the entry of a record that is stored.
    for (const change of part.changes) if (change.sequence <= last) upToLast.set(change.sequence, change)
  }
  const changes = [...upToLast.values()].sort((a, b) => a.sequence - b.sequence)
  const isCut = changes.length > limit
  if (isCut) changes.length = limit
  const end = isCut ? changes.at(-1)?.sequence : last
  return { changes, last: end === Infinity ? undefined : end }
}

/** Skips a damaged record: the next read of its avatar repairs it. */
async function recordEntries(db: Database, after: number, limit: number): Promise<Entries> {
  const changes: Change[] = []
  let read = 0
  let bytes = 0
  for await (const [key, row] of walk(db, { gte: keys.recordKey(after + 1), lt: keys.tableRange('s').lt }, { limit })) {
    const sequence = keys.sequenceInKey(key)
    const record = openSealed(key, row, rows.decodeRecord)
    if (record !== undefined) changes.push(changeOf(sequence, record))
    read += 1
    bytes += row.length
    if (read === limit || bytes >= PAGE_BYTES) return { changes, last: sequence }
  }
  return { changes, last: undefined }
}

async function avatarRecordEntries(db: Database, avatar: Avatar, after: number, limit: number): Promise<Entries> {
  const range = { gte: keys.arrivalKey(avatar, after + 1), lt: keys.tableRange('b', avatar).lt }
  const sequences: number[] = []
  for await (const [key] of walk(db, range, { limit, values: false })) sequences.push(keys.sequenceInKey(key))
  const changes: Change[] = []
  let bytes = 0
  for await (const [at, row] of readEach(db, sequences.map(keys.recordKey))) {
    // Deleted since the walk: pruned, or of an avatar that is being deleted.
    if (row === undefined) continue
    const sequence = sequences[at] as number
    changes.push(changeOf(sequence, openRow(avatar, 'record', keys.recordKey(sequence), row, rows.decodeRecord)))
    bytes += row.length
    if (bytes >= PAGE_BYTES) return { changes, last: sequence }
  }
  return { changes, last: sequences.length < limit ? undefined : sequences.at(-1) }
}

function changeOf(sequence: number, { avatar, counter, id }: rows.RecordRow): Change {
  return { sequence, kind: 'record', avatar, counter, id }
}

/** Skips a damaged entry: it cannot be rebuilt, and readers of the feed get the avatar's next entry. */
async function otherEntries(db: Database, range: keys.KeyRange, limit: number): Promise<Entries> {
  const changes: Change[] = []
  let read = 0
  let last: number | undefined
  for await (const [key, row] of walk(db, range, { limit })) {
    const sequence = keys.sequenceInKey(key)
    const entry = openSealed(key, row, rows.decodeFeed)
    if (entry !== undefined) changes.push({ ...entry, sequence })
    read += 1
    if (read === limit) last = sequence
  }
  return { changes, last }
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

/**
 * Enforces the feed's limit: raises the floor, and deletes the `f` rows up to it. Records stay.
 *
 * @param lastSequence the newest sequence committed
 */
export async function openFeedLimit(db: Database, lastSequence: number, entries = FEED_ENTRIES) {
  let floor = await readFloor(db, lastSequence, entries)
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
      // Without fsync: LevelDB never has the deletion on disk without this row.
      await writeSoon(db, [floorOperation(floor)])
      await clearSoon(db, { gte: keys.feedKey(0), lte: keys.feedKey(floor) })
      isTrimDue = false
    },
  }
}

/** Reads the floor. If its row is lost or damaged: the greatest sequence that it can have, as a trimmed feed keeps `entries`. */
async function readFloor(db: Database, lastSequence: number, entries: number): Promise<number> {
  const key = keys.metaKey('floor')
  return openSealed(key, await db.get(key), rows.decodeSequence) ?? Math.max(0, lastSequence - entries)
}

export function floorOperation(floor: number): Operation {
  return putSealed(keys.metaKey('floor'), rows.encodeSequence(floor))
}
