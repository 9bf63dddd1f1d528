/**
 * Rebuilds the derived rows of an avatar from its records, and verifies each record again. A row that is damaged or fails
 * verification moves to quarantine: it is never served, and sync can fetch the record again.
 */
import type { Avatar, SignedRecord, VerifiedRecord } from '../record/types.ts'
import type { NamespaceName } from '../state/content.ts'
import { bytesOf } from './batch.ts'
import { indexed, pushIndexes } from './record-rows.ts'
import { attempt } from './bytes.ts'
import { clearSoon, readEach, walk, walkKeys, writeSoon } from './database.ts'
import { del, put, type Database, type Operation } from './level.ts'
import * as keys from './keys.ts'
import { newEntry } from './level-rows.ts'
import { LevelSink } from './level-sink.ts'
import * as rows from './rows.ts'
import type { Rebuilt } from './types.ts'
import { openSealed } from './seal.ts'

interface RebuildOptions {
  /** Verifies a record, or throws. */
  readonly verify: (record: SignedRecord) => VerifiedRecord
  /** Current time, for the keys of quarantined rows. */
  readonly nowMs: number
  /** A claim in doubt. It is deleted unless the records create that namespace. Claims cannot be found by avatar. */
  readonly claim?: NamespaceName | undefined
}

/** Removes the derived rows of all avatars but `b` rows: outdated rows have valid checksums. */
export async function dropAllDerived(db: Database): Promise<void> {
  for (const table of keys.DERIVED_TABLES) await clearSoon(db, keys.tableRange(table))
}

/** Returns the operations to write, and whether some of the remaining records are superseded. */
export async function rebuildAvatar(
  db: Database,
  avatar: Avatar,
  { verify, nowMs, claim }: RebuildOptions,
): Promise<Rebuilt & { readonly operations: Operation[]; readonly hasHistory: boolean }> {
  const operations: Operation[] = []
  // Before the other rows are dropped: a history row may name a record that the order of arrival has lost.
  const sequences = await sequencesOf(db, avatar)
  await dropDerived(db, avatar, operations)
  if (claim !== undefined) operations.push(del(keys.identityKey(claim, avatar)))
  const entry = newEntry(db, avatar)
  const kept: { record: VerifiedRecord; sequence: number; bytes: number }[] = []
  let quarantined = 0
  for await (const [at, row] of readEach(db, sequences.map(keys.recordKey))) {
    const sequence = sequences[at] as number
    const [key, arrival] = [keys.recordKey(sequence), keys.arrivalKey(avatar, sequence)]
    const stored = openSealed(key, row, rows.decodeRecord)
    if (row === undefined || (stored !== undefined && stored.avatar !== avatar)) {
      operations.push(del(arrival))
      continue
    }
    const record = stored && attempt(() => verify(stored))
    if (record?.body.avatar !== avatar || entry.held(record.id) !== undefined) {
      quarantined += 1
      operations.push(del(key), del(arrival), put(keys.quarantineKey(nowMs, arrival), row))
      continue
    }
    entry.hold(record.id, record.body)
    if (entry.state.judge(record.body) !== 'superseded') entry.state.add(record)
    kept.push({ record, sequence, bytes: bytesOf(record) })
  }
  if (kept.length === 0) return { operations, records: 0, quarantined, hasHistory: false }
  const base = entry.state.base?.counter ?? 0
  for (const { record, sequence, bytes } of kept) {
    const isLive = record.body.counter >= base
    pushIndexes(operations, indexed(record), sequence, bytes, isLive)
    if (!isLive) operations.push(del(keys.orderKey(record.body.created_at, record.id)))
    entry.keep(record.id, bytes, isLive)
  }
  entry.flush(new LevelSink(db, operations))
  const { records, keptRecords } = entry.counts
  return { operations, records: keptRecords, quarantined, hasHistory: keptRecords > records }
}

/** The sequences of an avatar's records, ascending, as its rows name them. Not all of them need to exist. */
async function sequencesOf(db: Database, avatar: Avatar): Promise<number[]> {
  const sequences = new Set<number>()
  for await (const [key] of walk(db, keys.tableRange('b', avatar), { values: false })) {
    sequences.add(keys.sequenceInKey(key))
  }
  for await (const [key, row] of walk(db, keys.tableRange('h', avatar))) {
    const history = openSealed(key, row, rows.decodeHistory)
    if (history !== undefined) sequences.add(history.sequence)
  }
  return [...sequences].sort((a, b) => a - b)
}

/** Records per step of `restoreArrivals`. */
const STEP_RECORDS = 1_000
/** Damaged records whose avatars are looked for at once. */
const MAX_DAMAGED = 100_000

/**
 * Writes the `b` rows that are missing, from one scan of all records. A damaged record without a `b` row moves to quarantine;
 * one with such a row is left to `rebuildAvatar`.
 *
 * @returns the number of rows moved to quarantine
 */
export async function restoreArrivals(db: Database, nowMs: number): Promise<number> {
  let quarantined = 0
  let damaged = new Set<number>()
  let arrivals: keys.Key[] = []
  const write = async (): Promise<void> => {
    const found = await db.getMany(arrivals)
    const missing = arrivals.filter((_, at) => found[at] === undefined)
    await writeSoon(
      db,
      missing.map((key) => put(key)),
    )
    arrivals = []
  }
  const quarantine = async (): Promise<void> => {
    quarantined += await quarantineOrphans(db, damaged, nowMs)
    damaged = new Set()
  }
  for await (const [key, row] of walk(db, keys.tableRange('s'))) {
    const sequence = keys.sequenceInKey(key)
    const record = openSealed(key, row, rows.decodeRecord)
    if (record === undefined) damaged.add(sequence)
    else arrivals.push(keys.arrivalKey(record.avatar, sequence))
    if (arrivals.length >= STEP_RECORDS) await write()
    if (damaged.size >= MAX_DAMAGED) await quarantine()
  }
  await write()
  await quarantine()
  return quarantined
}

async function quarantineOrphans(db: Database, damaged: Set<number>, nowMs: number): Promise<number> {
  if (damaged.size === 0) return 0
  for await (const step of walkKeys(db, keys.tableRange('b'))) {
    for (const key of step) damaged.delete(keys.sequenceInKey(key))
  }
  const orphans = [...damaged].map(keys.recordKey)
  for await (const [at, row] of readEach(db, orphans)) {
    const key = orphans[at] as keys.Key
    if (row !== undefined) await writeSoon(db, [del(key), put(keys.quarantineKey(nowMs, key), row)])
  }
  return orphans.length
}

/** Adds the deletion of every derived row of an avatar to `operations`, without relying on the rows' contents. */
async function dropDerived(db: Database, avatar: Avatar, operations: Operation[]): Promise<void> {
  const drop = (key: keys.Key): number => operations.push(del(key))
  drop(keys.hostedKey(avatar))
  for await (const [key, row] of walk(db, keys.tableRange('h', avatar))) {
    drop(key)
    const { id } = keys.placeInKey(key)
    drop(keys.idKey(id))
    const history = openSealed(key, row, rows.decodeHistory)
    if (history !== undefined) drop(keys.orderKey(history.createdAt, id))
  }
  for (const letter of ['v', 't', 'k', 'p'] as const) {
    for await (const [key] of walk(db, keys.tableRange(letter, avatar))) {
      drop(key)
      if (letter === 'v' && keys.kindOfViewKey(key) === 'namespace') {
        drop(keys.identityKey(keys.namespaceInKey(key), avatar))
      }
    }
  }
  for await (const [key] of walk(db, keys.tableRange('n', avatar), { values: false })) {
    drop(key)
    drop(keys.reverseLinkKey(key))
  }
}
