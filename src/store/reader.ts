/** Reads of one avatar. Every row is checked; a damaged row throws CorruptRowError and is never returned. */
import type { Avatar, Citation, RecordId, SnapshotBody } from '../record/types.ts'
import type { NamespaceName } from '../state/content.ts'
import { bytesText } from './bytes.ts'
import { openRow, readRow, walk, type ReadSnapshot } from './database.ts'
import { type Database } from './level.ts'
import { CorruptRowError } from './errors.ts'
import * as keys from './keys.ts'
import * as rows from './rows.ts'
import { unseal } from './seal.ts'
import type { AvatarSummary, RecordStatus, StoredRecord } from './types.ts'

export function readSummary(db: Database, avatar: Avatar): (AvatarSummary & rows.SummaryRow) | undefined {
  const summary = readRow(db, avatar, 'summary', keys.summaryKey(avatar), rows.decodeSummary)
  if (summary === undefined) mustBeUnknown(db, avatar)
  return summary && { ...summary, avatar }
}

/** @throws CorruptRowError if the avatar is known, which means that its summary is lost */
export function mustBeUnknown(db: Database, avatar: Avatar): void {
  // Both rows as of now: the avatar may be newer than the moment that is read.
  const isLost = db.getSync(keys.hostedKey(avatar)) !== undefined && db.getSync(keys.summaryKey(avatar)) === undefined
  if (isLost) throw new CorruptRowError(avatar, 'summary', 'it is missing')
}

/** @throws CorruptRowError if the avatar claims the namespace, which means that the namespace's row is lost */
export function mustBeUnclaimed(db: Database, avatar: Avatar, name: NamespaceName): void {
  const isClaimed = db.getSync(keys.identityKey(name, avatar)) !== undefined
  if (isClaimed && db.getSync(keys.namespaceKey(avatar, name)) === undefined)
    throw new CorruptRowError(avatar, 'namespace', 'it is missing', name)
}

/** The avatar and position of a record, and its sequence. */
export interface RecordLocation extends rows.LocationRow, Citation {}

/** Ids per look-up: blocks the event loop for 6 ms. */
const IDS_A_STEP = 1_000

/**
 * Reads the location of a record; undefined if the record is not stored.
 *
 * @throws CorruptRowError
 */
export function readLocation(db: Database, id: RecordId, readSnapshot?: ReadSnapshot): RecordLocation | undefined {
  const key = keys.idKey(id)
  const row = readSnapshot === undefined ? db.getSync(key) : db.getSync(key, { snapshot: readSnapshot })
  return row === undefined ? undefined : openLocation(id, row)
}

/**
 * Reads the locations of the stored records among `ids`, off the main thread.
 *
 * @throws CorruptRowError
 */
export async function readLocations(
  db: Database,
  ids: ReadonlySet<RecordId>,
): Promise<ReadonlyMap<RecordId, RecordLocation>> {
  const found = new Map<RecordId, RecordLocation>()
  const all = [...ids]
  for (let from = 0; from < all.length; from += IDS_A_STEP) {
    const step = all.slice(from, from + IDS_A_STEP)
    const stepRows = await db.getMany(step.map(keys.idKey))
    for (const [at, id] of step.entries()) {
      const row = stepRows[at]
      if (row !== undefined) found.set(id, openLocation(id, row))
    }
  }
  return found
}

function openLocation(id: RecordId, row: Uint8Array): RecordLocation {
  const content = unseal(keys.idKey(id), row)
  if (content === undefined) throw new CorruptRowError({ record: id }, 'location', 'the checksum does not match')
  return { ...rows.decodeLocation(content), id }
}

/** Reads records in order of arrival, and the digest of the same moment. */
export async function readRecords(
  db: Database,
  avatar: Avatar,
  { after, limit, stepBytes = Infinity }: { after: number; limit: number; stepBytes?: number },
): Promise<{ records: StoredRecord[]; digest: string } | undefined> {
  return withReadSnapshot(db, async (readSnapshot) => {
    const summary = await readSummaryAt(db, readSnapshot, avatar)
    if (summary === undefined) return undefined
    const range = { gte: keys.recordKey(avatar, after + 1), lt: keys.tableRange('r', avatar).lt }
    const found: FoundRecord[] = []
    let bytes = 0
    for await (const [key, row] of walk(db, range, { readSnapshot, limit })) {
      const record = openRow(avatar, 'record', key, row, rows.decodeRecord)
      found.push({ ...record, sequence: keys.sequenceInKey(key) })
      bytes += record.payload.length
      if (bytes >= stepBytes) break
    }
    return { records: await withStatus(db, readSnapshot, avatar, summary, found), digest: summary.digest }
  })
}

/** Runs reads that must be consistent on one moment, and closes it afterwards. */
export async function withReadSnapshot<T>(db: Database, read: (readSnapshot: ReadSnapshot) => Promise<T>): Promise<T> {
  const readSnapshot = db.snapshot()
  try {
    return await read(readSnapshot)
  } finally {
    await readSnapshot.close()
  }
}

export async function readSummaryAt(
  db: Database,
  readSnapshot: ReadSnapshot,
  avatar: Avatar,
): Promise<rows.SummaryRow | undefined> {
  const summary = await readAt(db, readSnapshot, avatar, 'summary', keys.summaryKey(avatar), rows.decodeSummary)
  if (summary === undefined) mustBeUnknown(db, avatar)
  return summary
}

export type FoundRecord = rows.RecordRow & { readonly sequence: number }

/** Adds the status as of a moment to records. */
export async function withStatus(
  db: Database,
  readSnapshot: ReadSnapshot,
  avatar: Avatar,
  summary: rows.SummaryRow,
  found: readonly FoundRecord[],
): Promise<StoredRecord[]> {
  const counted = await readCounted(db, readSnapshot, avatar, summary, found)
  return found.map(({ sequence, id, payload, signature, counter }): StoredRecord => {
    const live: RecordStatus = counted(id) ? 'stored' : 'pending'
    const status = counter < (summary.base?.counter ?? 0) ? 'superseded' : live
    return { sequence, id, payload, signature, status }
  })
}

/** Returns a function that tells whether a live record counts now: it is not pending, and no part that the base omits. */
async function readCounted(
  db: Database,
  readSnapshot: ReadSnapshot,
  avatar: Avatar,
  summary: rows.SummaryRow,
  found: readonly rows.RecordRow[],
): Promise<(id: RecordId) => boolean> {
  const not = new Set<RecordId>()
  if (summary.pending + summary.incomplete > 0) {
    for await (const [key] of walk(db, keys.tableRange('p', avatar), { readSnapshot })) not.add(keys.placeInKey(key).id)
    if (not.size !== summary.pending + summary.incomplete)
      throw new CorruptRowError(avatar, 'pending', 'one is missing')
  }
  const parts = found.filter(({ type }) => type === 'part')
  if (parts.length > 0) {
    const named = summary.base === null ? [] : await readBaseParts(db, readSnapshot, avatar, summary.base)
    for (const { id } of parts) if (!named.includes(id)) not.add(id)
  }
  return (id) => !not.has(id)
}

async function readBaseParts(
  db: Database,
  readSnapshot: ReadSnapshot,
  avatar: Avatar,
  base: Citation,
): Promise<readonly RecordId[]> {
  const history = await readAt(db, readSnapshot, avatar, 'history', keys.historyKey(avatar, base), rows.decodeHistory)
  const key = history && keys.recordKey(avatar, history.sequence)
  const record = key && (await readAt(db, readSnapshot, avatar, 'record', key, rows.decodeRecord))
  if (record === undefined) throw new CorruptRowError(avatar, 'record', `the base ${base.id} is missing`)
  return (JSON.parse(bytesText(record.payload)) as SnapshotBody).parts
}

async function readAt<T>(
  db: Database,
  readSnapshot: ReadSnapshot,
  avatar: Avatar,
  kind: string,
  key: keys.Key,
  decode: (content: Uint8Array) => T,
): Promise<T | undefined> {
  const row = await db.get(key, { snapshot: readSnapshot })
  return row === undefined ? undefined : openRow(avatar, kind, key, row, decode)
}

/**
 * Reads one record by its id; undefined if it is not stored.
 *
 * @throws CorruptRowError
 */
export function readRecord(db: Database, id: RecordId): Promise<StoredRecord | undefined> {
  return withReadSnapshot(db, async (readSnapshot) => {
    const where = readLocation(db, id, readSnapshot)
    if (where === undefined) return undefined
    const { avatar, sequence } = where
    const summary = await readSummaryAt(db, readSnapshot, avatar)
    if (summary === undefined) return undefined
    const row = await readAt(db, readSnapshot, avatar, 'record', keys.recordKey(avatar, sequence), rows.decodeRecord)
    if (row?.id !== id) throw new CorruptRowError(avatar, 'record', `${id} is missing`)
    return (await withStatus(db, readSnapshot, avatar, summary, [{ ...row, sequence }]))[0]
  })
}
