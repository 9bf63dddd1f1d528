/** Reads of one avatar. Every row is checked; what fails throws CorruptRowError and is never handed on. */
import type { Avatar, Citation, RecordId, SnapshotBody } from '../record/types.ts'
import type { NamespaceName } from '../state/content.ts'
import { bytesText } from './bytes.ts'
import { memberFragment } from './cell-codec.ts'
import { openRow, readRow, walk, type Database, type Moment } from './database.ts'
import { CorruptRowError, CorruptWhereaboutsError } from './errors.ts'
import * as keys from './keys.ts'
import * as rows from './rows.ts'
import type { AvatarSummary, AvatarView, NamespaceContent, RecordStatus, StoredRecord } from './types.ts'

export function readSummary(db: Database, avatar: Avatar): (AvatarSummary & rows.SummaryRow) | undefined {
  const summary = readRow(db, avatar, 'summary', keys.summaryKey(avatar), rows.decodeSummary)
  if (summary === undefined) mustBeUnknown(db, avatar)
  return summary && { ...summary, avatar }
}

/** Makes sure that an avatar without a summary is not one whose summary is lost. */
function mustBeUnknown(db: Database, avatar: Avatar): void {
  // Both as of now: the avatar may have come since the moment that is read.
  const isLost = db.getSync(keys.hostedKey(avatar)) !== undefined && db.getSync(keys.summaryKey(avatar)) === undefined
  if (isLost) throw new CorruptRowError(avatar, 'summary', 'it is not there')
}

/** One pass over the avatar's `v` rows, so that all is of one moment. */
export async function readView(db: Database, avatar: Avatar): Promise<AvatarView | undefined> {
  let summary: (AvatarSummary & rows.SummaryRow) | undefined
  const namespaces: NamespaceContent[] = []
  let open: OpenNamespace | undefined
  for await (const [key, row] of walk(db, keys.tableRange('v', avatar))) {
    const kind = keys.kindOfViewKey(key)
    if (kind === 'summary') {
      summary = { ...openRow(avatar, 'summary', key, row, rows.decodeSummary), avatar }
    } else if (kind === 'namespace') {
      if (open !== undefined) namespaces.push(open.close())
      open = new OpenNamespace(avatar, key, row)
    } else if (open === undefined) {
      throw new CorruptRowError(avatar, 'namespace', 'its members have none')
    } else {
      open.add(key, row)
    }
  }
  if (open !== undefined) namespaces.push(open.close())
  if (summary === undefined) {
    if (namespaces.length > 0) throw new CorruptRowError(avatar, 'summary', 'it is not there')
    mustBeUnknown(db, avatar)
    return undefined
  }
  if (summary.namespaces !== namespaces.length) throw new CorruptRowError(avatar, 'namespace', 'one is not there')
  return { summary, namespaces }
}

export async function readContent(db: Database, avatar: Avatar, name: NamespaceName): Promise<string | undefined> {
  let open: OpenNamespace | undefined
  for await (const [key, row] of walk(db, keys.namespaceRange(avatar, name))) {
    if (open === undefined) open = new OpenNamespace(avatar, key, row)
    else open.add(key, row)
  }
  if (open === undefined) mustBeUnclaimed(db, avatar, name)
  return open?.close().json
}

/** Makes sure that a namespace without a row is not one whose row is lost. */
export function mustBeUnclaimed(db: Database, avatar: Avatar, name: NamespaceName): void {
  const isClaimed = db.getSync(keys.identityKey(name, avatar)) !== undefined
  if (isClaimed && db.getSync(keys.namespaceKey(avatar, name)) === undefined)
    throw new CorruptRowError(avatar, 'namespace', 'it is not there', name)
}

/** Joins a namespace's members, and checks against its row that none is lost. */
class OpenNamespace {
  readonly #avatar: Avatar
  readonly #name: NamespaceName
  readonly #expected: rows.NamespaceRow
  readonly #fragments: string[] = []
  #check = 0

  constructor(avatar: Avatar, key: keys.Key, row: Uint8Array) {
    this.#avatar = avatar
    if (keys.kindOfViewKey(key) !== 'namespace') throw new CorruptRowError(avatar, 'namespace', 'it is not there')
    this.#name = keys.namespaceInKey(key)
    this.#expected = openRow(avatar, 'namespace', key, row, rows.decodeNamespace)
  }

  add(key: keys.Key, row: Uint8Array): void {
    this.#fragments.push(openRow(this.#avatar, 'member', key, row, (content) => bytesText(memberFragment(content))))
    this.#check ^= rows.sealOf(row)
  }

  close(): NamespaceContent {
    const isWhole = this.#fragments.length === this.#expected.live && this.#check >>> 0 === this.#expected.check
    if (!isWhole) throw new CorruptRowError(this.#avatar, 'member', 'one is not there')
    return { ...this.#name, json: `{${this.#fragments.join(',')}}` }
  }
}

/** Where a record is, and its avatar. */
export interface Whereabouts extends rows.WhereaboutsRow, Citation {}

/** Ids looked up at a time: holds the event loop for 6 ms. */
const IDS_A_STEP = 1_000

/**
 * Reads where a record is.
 *
 * @throws CorruptWhereaboutsError
 */
export function readWhereabouts(db: Database, id: RecordId, moment?: Moment): Whereabouts | undefined {
  const key = keys.idKey(id)
  const row = moment === undefined ? db.getSync(key) : db.getSync(key, { snapshot: moment })
  return row === undefined ? undefined : openWhereabouts(id, row)
}

/**
 * Where those records are that there are: many at once, and off the main thread.
 *
 * @throws CorruptWhereaboutsError
 */
export async function readWhereaboutsOf(
  db: Database,
  ids: ReadonlySet<RecordId>,
): Promise<ReadonlyMap<RecordId, Whereabouts>> {
  const found = new Map<RecordId, Whereabouts>()
  const all = [...ids]
  for (let from = 0; from < all.length; from += IDS_A_STEP) {
    const step = all.slice(from, from + IDS_A_STEP)
    const stepRows = await db.getMany(step.map(keys.idKey))
    for (const [at, id] of step.entries()) {
      const row = stepRows[at]
      if (row !== undefined) found.set(id, openWhereabouts(id, row))
    }
  }
  return found
}

function openWhereabouts(id: RecordId, row: Uint8Array): Whereabouts {
  const content = rows.unseal(keys.idKey(id), row)
  if (content === undefined) throw new CorruptWhereaboutsError(id)
  return { ...rows.decodeWhereabouts(content), id }
}

/** Records in order of arrival, with the digest of the same moment. */
export async function readRecords(
  db: Database,
  avatar: Avatar,
  { after, limit }: { after: number; limit: number },
): Promise<{ records: StoredRecord[]; digest: string } | undefined> {
  return atMoment(db, async (moment) => {
    const summary = await readSummaryAt(db, moment, avatar)
    if (summary === undefined) return undefined
    const range = { gte: keys.recordKey(avatar, after + 1), lt: keys.tableRange('r', avatar).lt }
    const found: FoundRecord[] = []
    for await (const [key, row] of walk(db, range, { moment, limit })) {
      found.push({ ...openRow(avatar, 'record', key, row, rows.decodeRecord), sequence: keys.sequenceInKey(key) })
    }
    return { records: await withStatus(db, moment, avatar, summary, found), digest: summary.digest }
  })
}

/** Reads that must agree: all of one moment, which is closed when they are done. */
export async function atMoment<T>(db: Database, read: (moment: Moment) => Promise<T>): Promise<T> {
  const moment = db.snapshot()
  try {
    return await read(moment)
  } finally {
    await moment.close()
  }
}

export async function readSummaryAt(
  db: Database,
  moment: Moment,
  avatar: Avatar,
): Promise<rows.SummaryRow | undefined> {
  const summary = await readAt(db, moment, avatar, 'summary', keys.summaryKey(avatar), rows.decodeSummary)
  if (summary === undefined) mustBeUnknown(db, avatar)
  return summary
}

export type FoundRecord = rows.RecordRow & { readonly sequence: number }

/** Says of records how they stand at a moment. */
export async function withStatus(
  db: Database,
  moment: Moment,
  avatar: Avatar,
  summary: rows.SummaryRow,
  found: readonly FoundRecord[],
): Promise<StoredRecord[]> {
  const counted = await readCounted(db, moment, avatar, summary, found)
  return found.map(({ sequence, id, payload, signature, counter }): StoredRecord => {
    const live: RecordStatus = counted(id) ? 'stored' : 'pending'
    const status = counter < (summary.base?.counter ?? 0) ? 'superseded' : live
    return { sequence, id, payload, signature, status }
  })
}

/** Tells which of some live records count now: neither waiting, nor a part that the base does not name. */
async function readCounted(
  db: Database,
  moment: Moment,
  avatar: Avatar,
  summary: rows.SummaryRow,
  found: readonly rows.RecordRow[],
): Promise<(id: RecordId) => boolean> {
  const not = new Set<RecordId>()
  if (summary.pending + summary.incomplete > 0) {
    for await (const [key] of walk(db, keys.tableRange('p', avatar), { moment })) not.add(keys.placeInKey(key).id)
    if (not.size !== summary.pending + summary.incomplete)
      throw new CorruptRowError(avatar, 'waiter', 'one is not there')
  }
  const parts = found.filter(({ type }) => type === 'part')
  if (parts.length > 0) {
    const named = summary.base === null ? [] : await readBaseParts(db, moment, avatar, summary.base)
    for (const { id } of parts) if (!named.includes(id)) not.add(id)
  }
  return (id) => !not.has(id)
}

async function readBaseParts(
  db: Database,
  moment: Moment,
  avatar: Avatar,
  base: Citation,
): Promise<readonly RecordId[]> {
  const history = await readAt(db, moment, avatar, 'history', keys.historyKey(avatar, base), rows.decodeHistory)
  const key = history && keys.recordKey(avatar, history.sequence)
  const record = key && (await readAt(db, moment, avatar, 'record', key, rows.decodeRecord))
  if (record === undefined) throw new CorruptRowError(avatar, 'record', `the base ${base.id} is not there`)
  return (JSON.parse(bytesText(record.payload)) as SnapshotBody).parts
}

async function readAt<T>(
  db: Database,
  moment: Moment,
  avatar: Avatar,
  kind: string,
  key: keys.Key,
  decode: (content: Uint8Array) => T,
): Promise<T | undefined> {
  const row = await db.get(key, { snapshot: moment })
  return row === undefined ? undefined : openRow(avatar, kind, key, row, decode)
}

/**
 * One record by its id.
 *
 * @throws CorruptWhereaboutsError, CorruptRowError
 */
export function readRecord(db: Database, id: RecordId): Promise<StoredRecord | undefined> {
  return atMoment(db, async (moment) => {
    const where = readWhereabouts(db, id, moment)
    if (where === undefined) return undefined
    const { avatar, sequence } = where
    const summary = await readSummaryAt(db, moment, avatar)
    if (summary === undefined) return undefined
    const row = await readAt(db, moment, avatar, 'record', keys.recordKey(avatar, sequence), rows.decodeRecord)
    if (row?.id !== id) throw new CorruptRowError(avatar, 'record', `${id} is not there`)
    return (await withStatus(db, moment, avatar, summary, [{ ...row, sequence }]))[0]
  })
}
