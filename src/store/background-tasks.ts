/**
 * Background tasks of the store, in short steps so that writers can run in between. Each step is one batch: the rows are
 * consistent whenever the node stops, and the next start resumes the task.
 */
import type { Avatar, Citation, RecordBody } from '../record/types.ts'
import type { Item } from '../negentropy/types.ts'
import type { AvatarEntry } from './avatar-entry.ts'
import { bytesText, fromHex } from './bytes.ts'
import type { Counts } from './counts.ts'
import { openRow, readEach, walk } from './database.ts'
import { del, put, putSealed, type Database, type Operation } from './level.ts'
import * as keys from './keys.ts'
import { LevelSink } from './level-sink.ts'
import * as rows from './rows.ts'
import { openSealed, unseal } from './seal.ts'

export interface Step {
  readonly operations: Operation[]
  /** Records whose `o` rows are removed. */
  readonly removed: readonly Item[]
  readonly isLast: boolean
  /** Where the next step begins. A step from the start of the range would walk over all tombstones of earlier steps. */
  readonly next?: keys.Key | undefined
}

/**
 * Removes an avatar's records with a counter below `base` from the sync index (`o` rows), from where the last step ended.
 *
 * @param base `all` removes every record and repairs no damaged row
 * @throws CorruptRowError
 */
export async function syncIndexStep(db: Database, avatar: Avatar, base: number | 'all', limit: number): Promise<Step> {
  const marker = keys.taskKey('u', avatar)
  // Without a readable marker the walk starts from the beginning.
  const after = openSealed(marker, await db.get(marker), rows.decodePlace) ?? START
  const all = base === 'all' ? keys.tableRange('h', avatar) : keys.historyRange(avatar, 0, base)
  const items: Item[] = []
  let last = after
  let read = 0
  const range = { gte: keys.keyAfter(keys.historyKey(avatar, after)), lt: all.lt }
  for await (const [key, each] of walk(db, range, { limit })) {
    read += 1
    last = keys.placeInKey(key)
    if (base === 'all' && unseal(key, each) === undefined) continue
    const { createdAt } = openRow(avatar, 'history', key, each, rows.decodeHistory)
    items.push({ timestamp: createdAt, id: fromHex(last.id) })
  }
  const isLast = read < limit
  const { operations, removed } = await listed(db, items)
  operations.push(isLast ? del(marker) : putSealed(marker, rows.encodePlace(last)))
  return { operations, removed, isLast }
}

const START: Citation = { counter: 0, id: `0x${'00'.repeat(32)}` }

/** The records among `items` that are in the sync index, and the operations that remove them. */
async function listed(db: Database, items: readonly Item[]): Promise<{ operations: Operation[]; removed: Item[] }> {
  const orderKeys = items.map(({ timestamp, id }) => keys.orderKey(timestamp, keys.idText(id)))
  const found = await db.getMany(orderKeys)
  const operations: Operation[] = []
  const removed: Item[] = []
  for (const [at, item] of items.entries()) {
    if (found[at] === undefined) continue
    operations.push(del(orderKeys[at] as keys.Key))
    removed.push(item)
  }
  return { operations, removed }
}

/**
 * Removes superseded records, oldest first, while `isTooMuch` returns true. None of them may be in the sync index.
 *
 * @param from `next` of the previous step. A step with `from` is never the last: older records may have arrived since
 * @param entry changed by the step. Evict it from the cache if the step cannot be written
 * @throws CorruptRowError
 */
export async function pruneStep(
  db: Database,
  entry: AvatarEntry,
  isTooMuch: (counts: Counts) => boolean,
  limit: number,
  from?: keys.Key,
): Promise<Step> {
  const { avatar } = entry
  const operations: Operation[] = []
  const range = keys.historyRange(avatar, 0, entry.state.base?.counter ?? 0)
  let pruned = 0
  let next: keys.Key | undefined
  for await (const [key, row] of walk(db, { gte: from ?? range.gte, lt: range.lt }, { limit })) {
    if (!isTooMuch(entry.counts)) break
    const { sequence, bytes } = openRow(avatar, 'history', key, row, rows.decodeHistory)
    const place = keys.placeInKey(key)
    operations.push(del(key), ...keys.recordKeys(avatar, sequence).map(del), del(keys.idKey(place.id)))
    // The record was its own entry in the change feed.
    operations.push(putSealed(keys.feedKey(sequence), rows.encodeFeed({ kind: 'record', avatar, ...place })))
    entry.prune(bytes)
    pruned += 1
    if (pruned === limit) next = key
  }
  const isLast = from === undefined && next === undefined
  if (pruned > 0) entry.flush(new LevelSink(db, operations))
  if (isLast) operations.push(del(keys.taskKey('g', avatar)))
  return { operations, removed: [], isLast, next }
}

/**
 * Removes rows of an avatar that is no longer hosted. Damaged rows are removed too.
 *
 * @param from `next` of the previous step
 */
export async function forgetStep(db: Database, avatar: Avatar, limit: number, from?: keys.Key): Promise<Step> {
  const operations: Operation[] = []
  let next: keys.Key | undefined
  const drop = (key: keys.Key): number => operations.push(del(key))
  const rangeOf = (letter: 'h' | 'b' | 'v' | 't' | 'k' | 'p' | 'n' | 'e'): keys.KeyRange => {
    const { gte, lt } = keys.tableRange(letter, avatar)
    return { gte: from?.[0] === gte[0] && from !== undefined ? from : gte, lt }
  }
  for await (const [key, row] of walk(db, rangeOf('h'), { limit })) {
    drop((next = key))
    drop(keys.idKey(keys.placeInKey(key).id))
    const history = openSealed(key, row, rows.decodeHistory)
    if (history !== undefined) keys.recordKeys(avatar, history.sequence).forEach(drop)
  }
  if (operations.length > 0) return { operations, removed: [], isLast: false, next }
  const arrivals: keys.Key[] = []
  for await (const [key] of walk(db, rangeOf('b'), { limit, values: false })) arrivals.push((next = key))
  const recordKeys = arrivals.map((key) => keys.recordKey(keys.sequenceInKey(key)))
  const items: Item[] = []
  for await (const [at, row] of readEach(db, recordKeys)) {
    const key = recordKeys[at] as keys.Key
    const record = openSealed(key, row, rows.decodeRecord)
    drop(arrivals[at] as keys.Key)
    if (record !== undefined && record.avatar !== avatar) continue
    drop(key)
    if (record === undefined) continue
    // For a record without a history row.
    const { created_at: timestamp } = JSON.parse(bytesText(record.payload)) as RecordBody
    items.push({ timestamp, id: fromHex(record.id) })
  }
  if (operations.length > 0) {
    const { operations: orderRows, removed } = await listed(db, items)
    for (const { id } of items) drop(keys.idKey(keys.idText(id)))
    return { operations: [...operations, ...orderRows], removed, isLast: false, next }
  }
  for (const letter of ['v', 't', 'k', 'p', 'n', 'e'] as const) {
    for await (const [key] of walk(db, rangeOf(letter), { limit, values: false })) {
      drop((next = key))
      if (letter === 'n') drop(keys.reverseLinkKey(key))
      if (letter !== 'v' || keys.kindOfViewKey(key) !== 'namespace') continue
      drop(keys.identityKey(keys.namespaceInKey(key), avatar))
    }
    if (operations.length > 0) return { operations, removed: [], isLast: false, next }
  }
  for await (const [key] of walk(db, keys.tableRange('x'), { values: false })) {
    if (keys.avatarInQuarantineKey(key) === avatar) drop(key)
  }
  drop(keys.taskKey('g', avatar))
  drop(keys.taskKey('d', avatar))
  return { operations, removed: [], isLast: true }
}

/** Operations that make an avatar unknown in one batch. Background tasks remove its other rows. */
export function forgetOperations(avatar: Avatar): Operation[] {
  return [
    putSealed(keys.taskKey('u', avatar), rows.encodePlace(START)),
    put(keys.taskKey('d', avatar)),
    del(keys.summaryKey(avatar)),
    del(keys.hostedKey(avatar)),
  ]
}
