/** Reads of one avatar. Every row is checked; a damaged row throws CorruptRowError and is never returned. */
import type { Avatar, Citation, RecordId, SnapshotBody } from '../record/types.ts'
import type { NamespaceName } from '../state/content.ts'
import type { RecordStatus } from '../state/state-source.ts'
import { bytesText } from './bytes.ts'
import { openRow, readEach, readRow, walk, type ReadSnapshot } from './database.ts'
import { type Database } from './level.ts'
import { CorruptRowError } from './errors.ts'
import * as keys from './keys.ts'
import * as rows from './rows.ts'
import { openSealed } from './seal.ts'
import type { AvatarSummary, StoredRecord } from './types.ts'

export function readSummary(db: Database, avatar: Avatar): (AvatarSummary & rows.SummaryRow) | undefined {
  const summary = readRow(db, avatar, 'summary', keys.summaryKey(avatar), rows.decodeSummary)
  if (summary === undefined) mustBeUnknown(db, avatar)
  return summary && { ...summary, avatar }
}

/** @throws CorruptRowError if the avatar is known, which means that its summary is lost */
export function mustBeUnknown(db: Database, avatar: Avatar): undefined {
  // Both rows as of now: the avatar may be newer than the moment that is read.
  const isLost = db.getSync(keys.hostedKey(avatar)) !== undefined && db.getSync(keys.summaryKey(avatar)) === undefined
  if (isLost) throw new CorruptRowError(avatar, 'summary', 'it is missing')
  return undefined
}

/** @throws CorruptRowError if the avatar claims the namespace, which means that the namespace's row is lost */
export function mustBeUnclaimed(db: Database, avatar: Avatar, name: NamespaceName): void {
  const isClaimed = db.getSync(keys.identityKey(name, avatar)) !== undefined
  if (isClaimed && db.getSync(keys.namespaceKey(avatar, name)) === undefined)
    throw new CorruptRowError(avatar, 'namespace', 'it is missing', name)
}

/** The sequence, position and type of a record. */
export interface RecordLocation extends rows.LocationRow, Citation {}

/** Ids per look-up: blocks the event loop for 6 ms. */
const IDS_A_STEP = 1_000

/** Reads the location of a record; undefined if the record is not stored. @throws CorruptRowError */
export function readLocation(db: Database, id: RecordId, readSnapshot?: ReadSnapshot): RecordLocation | undefined {
  const key = keys.idKey(id)
  const row = readSnapshot === undefined ? db.getSync(key) : db.getSync(key, { snapshot: readSnapshot })
  return row === undefined ? undefined : openLocation(id, row)
}

/** As `readLocation`; undefined too if the record is another avatar's. @throws CorruptRowError */
export function readOwnLocation(db: Database, avatar: Avatar, id: RecordId): RecordLocation | undefined {
  const where = readLocation(db, id)
  if (where === undefined) return undefined
  return db.getSync(keys.historyKey(avatar, where)) === undefined ? mustBeOfAnother(db, avatar, where) : where
}

/** Reads the locations of an avatar's stored records among `ids`, off the main thread. @throws CorruptRowError */
export async function readOwnLocations(
  db: Database,
  avatar: Avatar,
  ids: ReadonlySet<RecordId>,
): Promise<ReadonlyMap<RecordId, RecordLocation>> {
  const found = new Map<RecordId, RecordLocation>()
  const all = [...ids]
  for (let from = 0; from < all.length; from += IDS_A_STEP) {
    const step = all.slice(from, from + IDS_A_STEP)
    const stepRows = await db.getMany(step.map(keys.idKey))
    const where = step.flatMap((id, at) => {
      const row = stepRows[at]
      return row === undefined ? [] : [openLocation(id, row)]
    })
    const own = await db.getMany(where.map((place) => keys.historyKey(avatar, place)))
    for (const [at, place] of where.entries()) {
      if (own[at] === undefined) mustBeOfAnother(db, avatar, place)
      else found.set(place.id, place)
    }
  }
  return found
}

/** @throws CorruptRowError if the record is this avatar's, which means that its history row is lost */
function mustBeOfAnother(db: Database, avatar: Avatar, { id, sequence }: RecordLocation): undefined {
  if (readRecordRow(db, { sequence, id }).avatar !== avatar) return undefined
  throw new CorruptRowError(avatar, 'history', `${id} is missing`)
}

/** The avatar of a stored record; undefined if its rows do not tell. */
export function avatarOf(db: Database, id: RecordId): Avatar | undefined {
  const key = keys.idKey(id)
  const where = openSealed(key, db.getSync(key), rows.decodeLocation)
  if (where === undefined) return undefined
  const recordKey = keys.recordKey(where.sequence)
  const record = openSealed(recordKey, db.getSync(recordKey), rows.decodeRecord)
  return record?.id === id ? record.avatar : undefined
}

function openLocation(id: RecordId, row: Uint8Array): RecordLocation {
  const location = openSealed(keys.idKey(id), row, rows.decodeLocation)
  if (location === undefined) throw new CorruptRowError({ record: id }, 'location', 'it does not match its checksum')
  return { ...location, id }
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

/** A known avatar as of one moment. */
export interface AvatarAt {
  readonly db: Database
  readonly readSnapshot: ReadSnapshot
  readonly avatar: Avatar
  readonly summary: rows.SummaryRow
  /** Counter from which on its records are live. */
  readonly liveFrom: number
}

/** Returns undefined for an unknown avatar. */
export async function avatarAt(
  db: Database,
  readSnapshot: ReadSnapshot,
  avatar: Avatar,
): Promise<AvatarAt | undefined> {
  const key = keys.summaryKey(avatar)
  const row = await db.get(key, { snapshot: readSnapshot })
  if (row === undefined) return mustBeUnknown(db, avatar)
  const summary = openRow(avatar, 'summary', key, row, rows.decodeSummary)
  return { db, readSnapshot, avatar, summary, liveFrom: summary.base?.counter ?? 0 }
}

export type FoundRecord = rows.RecordRow & { readonly sequence: number }

/** A record that a row names: its sequence, and its id, its avatar or both. `createdAt`: see `CorruptRowError`. */
export type Wanted = { readonly sequence: number } & (
  | { readonly avatar: Avatar; readonly id?: RecordId }
  | { readonly avatar?: never; readonly id: RecordId; readonly createdAt?: number }
)

/** Reads a stored record. @throws CorruptRowError if it is missing */
export function readRecordRow(db: Database, wanted: Wanted): FoundRecord {
  return openRecord(wanted, db.getSync(keys.recordKey(wanted.sequence)))
}

/** Reads stored records as of a moment, in the same order. @throws CorruptRowError if one is missing */
export async function readFound(
  db: Database,
  readSnapshot: ReadSnapshot,
  wanted: readonly Wanted[],
): Promise<FoundRecord[]> {
  const recordKeys = wanted.map(({ sequence }) => keys.recordKey(sequence))
  const found = await db.getMany(recordKeys, { snapshot: readSnapshot })
  return wanted.map((each, at) => openRecord(each, found[at]))
}

function openRecord(wanted: Wanted, row: Uint8Array | undefined): FoundRecord {
  const { sequence, avatar, id } = wanted
  const record = openSealed(keys.recordKey(sequence), row, rows.decodeRecord)
  const isWanted = (avatar ?? record?.avatar) === record?.avatar && (id ?? record?.id) === record?.id
  if (record !== undefined && isWanted) return { ...record, sequence }
  const owner = wanted.avatar === undefined ? { ...wanted, record: wanted.id } : wanted
  throw new CorruptRowError(owner, 'record', `${id ?? `number ${sequence}`} is missing or damaged`)
}

/** Reads records in order of arrival, and the digest of the same moment. */
export function readRecords(
  db: Database,
  avatar: Avatar,
  { after, limit, stepBytes = Infinity }: { after: number; limit: number; stepBytes?: number },
): Promise<{ records: StoredRecord[]; digest: string } | undefined> {
  return withReadSnapshot(db, async (readSnapshot) => {
    const at = await avatarAt(db, readSnapshot, avatar)
    if (at === undefined) return undefined
    const range = { gte: keys.arrivalKey(avatar, after + 1), lt: keys.tableRange('b', avatar).lt }
    const sequences: number[] = []
    for await (const [key] of walk(db, range, { snapshot: readSnapshot, limit, values: false })) {
      sequences.push(keys.sequenceInKey(key))
    }
    const found: FoundRecord[] = []
    let bytes = 0
    for await (const [index, row] of readEach(db, sequences.map(keys.recordKey), { snapshot: readSnapshot })) {
      const record = openRecord({ avatar, sequence: sequences[index] as number }, row)
      found.push(record)
      bytes += record.payload.length
      if (bytes >= stepBytes) break
    }
    return { records: await withStatus(at, found), digest: at.summary.digest }
  })
}

/** Reads one record by its id; undefined if it is not stored. @throws CorruptRowError */
export function readRecord(db: Database, id: RecordId): Promise<StoredRecord | undefined> {
  return withReadSnapshot(db, async (readSnapshot) => {
    const where = readLocation(db, id, readSnapshot)
    if (where === undefined) return undefined
    const found = await readFound(db, readSnapshot, [{ sequence: where.sequence, id }])
    const at = await avatarAt(db, readSnapshot, (found[0] as FoundRecord).avatar)
    return at && (await withStatus(at, found))[0]
  })
}

/** Adds the status as of the moment to records. */
export async function withStatus(at: AvatarAt, found: readonly FoundRecord[]): Promise<StoredRecord[]> {
  const { db, readSnapshot, avatar, summary, liveFrom } = at
  const waiting = new Set<RecordId>()
  if (summary.pending + summary.incomplete > 0) {
    const range = keys.tableRange('p', avatar)
    for await (const [key] of walk(db, range, { snapshot: readSnapshot })) waiting.add(keys.placeInKey(key).id)
    if (waiting.size !== summary.pending + summary.incomplete) {
      throw new CorruptRowError(avatar, 'pending', 'one is missing')
    }
  }
  // A part counts once the base names it.
  const hasParts = summary.base !== null && found.some(({ type }) => type === 'part')
  const parts = new Set(hasParts ? await readBaseParts(at, summary.base) : [])
  return found.map(({ sequence, id, payload, signature, counter, type }): StoredRecord => {
    const counts = type === 'part' ? parts.has(id) : !waiting.has(id)
    const live: RecordStatus = counts ? 'stored' : 'pending'
    return { sequence, id, payload, signature, status: counter < liveFrom ? 'superseded' : live }
  })
}

async function readBaseParts({ db, readSnapshot, avatar }: AvatarAt, base: Citation): Promise<readonly RecordId[]> {
  const key = keys.historyKey(avatar, base)
  const row = await db.get(key, { snapshot: readSnapshot })
  if (row === undefined) throw new CorruptRowError(avatar, 'history', `the base ${base.id} is missing`)
  const { sequence } = openRow(avatar, 'history', key, row, rows.decodeHistory)
  const [record] = await readFound(db, readSnapshot, [{ avatar, sequence, id: base.id }])
  return (JSON.parse(bytesText((record as FoundRecord).payload)) as SnapshotBody).parts
}
