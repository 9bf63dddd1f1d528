/** Reads of avatars and records. */
import type { Avatar, Citation, RecordId, SnapshotBody } from '../../record/types.ts'
import type { Cell } from '../../state/cell.ts'
import type { NamespaceName } from '../../state/content.ts'
import type { RecordStatus } from '../../state/state-source.ts'
import { textBytes } from '../bytes.ts'
import { decodeCell } from '../cell-codec.ts'
import type { ExportedRecord, ExportSnapshot, StoredRecord } from '../types.ts'
import type { Moment, PostgresDatabase, Queries } from './database.ts'
import { summaryOf, type StoredSummary, type SummaryColumns } from './summary.ts'
import { avatarOf, bytea, idOf, keyColumns, typeOf } from './values.ts'

/** Records of a page at first; doubled while they are small. A record may have 256 KiB. */
const FIRST_ROWS = 16
const MAX_ROWS = 512
const SMALL_PAGE_BYTES = 524_288
/** Avatars of a page. */
const PAGE_AVATARS = 1_000
/** Bytes of a page of `StoreReader.history`. One record may exceed it. */
const HISTORY_BYTES = 4 * 1_024 * 1_024
const NO_BYTES = Buffer.alloc(0)

export interface RecordColumns {
  readonly sequence: number
  readonly avatar: Uint8Array
  readonly counter: number
  readonly id: Uint8Array
  readonly type: number
  readonly created_at: number
  readonly bytes: number
  readonly live: boolean
  readonly payload: string
  readonly signature: Uint8Array
}

export async function readSummary(queries: Queries, avatar: Avatar): Promise<StoredSummary | undefined> {
  const [row] = await queries.rows<SummaryColumns>('summary', [bytea(avatar)])
  return row && summaryOf(row)
}

/** Runs several statements on one moment. */
async function atOneMoment<T>(database: PostgresDatabase, read: (moment: Moment) => Promise<T>): Promise<T> {
  const moment = await database.moment('short')
  try {
    return await read(moment)
  } finally {
    await moment.close()
  }
}

/** Adds the status to records of one avatar, as of the same moment. */
async function withStatus(
  queries: Queries,
  summary: StoredSummary,
  found: readonly RecordColumns[],
): Promise<StoredRecord[]> {
  const waiting = new Set<RecordId>()
  if (summary.pending + summary.incomplete > 0) {
    for (const { id } of await queries.rows<{ id: Uint8Array }>('pendingIds', [bytea(summary.avatar)]))
      waiting.add(idOf(id))
  }
  const hasParts = summary.base !== null && found.some(({ type }) => typeOf(type) === 'part')
  const parts = new Set(hasParts && summary.base !== null ? await partsOf(queries, summary.base) : [])
  const liveFrom = summary.base?.counter ?? 0
  return found.map((row) => {
    const id = idOf(row.id)
    const counts = typeOf(row.type) === 'part' ? parts.has(id) : !waiting.has(id)
    const status: RecordStatus = row.counter < liveFrom ? 'superseded' : counts ? 'stored' : 'pending'
    return { sequence: row.sequence, id, payload: textBytes(row.payload), signature: row.signature, status }
  })
}

async function partsOf(queries: Queries, base: Citation): Promise<readonly RecordId[]> {
  const [row] = await queries.rows<{ payload: string }>('payload', [bytea(base.id)])
  return row === undefined ? [] : (JSON.parse(row.payload) as SnapshotBody).parts
}

export function readRecord(database: PostgresDatabase, id: RecordId): Promise<StoredRecord | undefined> {
  return atOneMoment(database, async (moment) => {
    const found = await moment.rows<RecordColumns>('record', [bytea(id)])
    const [first] = found
    const summary = first && (await readSummary(moment, avatarOf(first.avatar)))
    return summary && (await withStatus(moment, summary, found))[0]
  })
}

/** Records in order of arrival, and the digest of the same moment. */
export function readRecords(
  database: PostgresDatabase,
  avatar: Avatar,
  { after, limit, stepBytes = Infinity }: { after: number; limit: number; stepBytes?: number },
): Promise<{ records: StoredRecord[]; digest: string } | undefined> {
  return atOneMoment(database, async (moment) => {
    const summary = await readSummary(moment, avatar)
    if (summary === undefined) return undefined
    const found: RecordColumns[] = []
    let bytes = 0
    for await (const page of pages(limit, async (rows) => {
      const from = found.at(-1)?.sequence ?? after
      return moment.rows<RecordColumns>('arrivals', [bytea(avatar), from, rows])
    })) {
      for (const row of page) {
        if (bytes >= stepBytes) break
        found.push(row)
        bytes += row.payload.length
      }
      if (bytes >= stepBytes) break
    }
    return { records: await withStatus(moment, summary, found), digest: summary.digest }
  })
}

/** A page of `StoreReader.history`. */
export function readHistory(
  database: PostgresDatabase,
  avatar: Avatar,
  { after, limit, superseded }: { after?: Citation; limit: number; superseded: boolean },
): Promise<StoredRecord[]> {
  return atOneMoment(database, async (moment) => {
    const summary = await readSummary(moment, avatar)
    if (summary === undefined) return []
    const found: RecordColumns[] = []
    for await (const page of placePages(moment, summary, {
      superseded,
      limit,
      ...(after === undefined ? {} : { after }),
    })) {
      found.push(...page)
      if (found.reduce((sum, { bytes }) => sum + bytes, 0) >= HISTORY_BYTES) break
    }
    return withStatus(moment, summary, found)
  })
}

/** Pages of an avatar's records in order of (counter, id). */
function placePages(
  queries: Queries,
  summary: StoredSummary,
  { after, superseded, limit = Infinity }: { after?: Citation; superseded: boolean; limit?: number },
): AsyncGenerator<RecordColumns[]> {
  const liveFrom = superseded ? 0 : (summary.base?.counter ?? 0)
  const isWithin = after !== undefined && after.counter >= liveFrom
  let [counter, id]: [number, Uint8Array] = isWithin ? [after.counter, bytea(after.id)] : [liveFrom, NO_BYTES]
  return pages(limit, async (rows) => {
    const page = await queries.rows<RecordColumns>('places', [bytea(summary.avatar), counter, id, rows])
    const last = page.at(-1)
    if (last !== undefined) [counter, id] = [last.counter, last.id]
    return page
  })
}

/** Reads pages until one is not full, or `limit` rows were read. Pages grow while their rows are small. */
async function* pages(
  limit: number,
  read: (rows: number) => Promise<RecordColumns[]>,
): AsyncGenerator<RecordColumns[]> {
  let size = FIRST_ROWS
  for (let rest = limit; rest > 0;) {
    const rows = Math.min(size, rest)
    const page = await read(rows)
    if (page.length > 0) yield page
    if (page.length < rows) return
    rest -= page.length
    if (page.reduce((sum, { bytes }) => sum + bytes, 0) <= SMALL_PAGE_BYTES) size = Math.min(MAX_ROWS, size * 2)
  }
}

/** The whole store as of one moment. */
export async function openExport(database: PostgresDatabase): Promise<ExportSnapshot> {
  const moment = await database.moment('long')
  return {
    async *avatars() {
      let after: Uint8Array = NO_BYTES
      for (;;) {
        const page = await moment.rows<{ avatar: Uint8Array }>('avatars', [after, PAGE_AVATARS])
        for (const { avatar } of page) yield avatarOf(avatar)
        const last = page.at(-1)
        if (last === undefined || page.length < PAGE_AVATARS) return
        after = last.avatar
      }
    },
    async *records(avatar, { history }) {
      const summary = await readSummary(moment, avatar)
      if (summary === undefined) return
      for await (const page of placePages(moment, summary, { superseded: history })) {
        for (const { counter, id, payload, signature } of page) {
          yield { counter, id: idOf(id), payload: textBytes(payload), signature } satisfies ExportedRecord
        }
      }
    },
    summary: (avatar) => readSummary(moment, avatar),
    close: () => moment.close(),
  }
}

export async function readMember(
  queries: Queries,
  avatar: Avatar,
  { platform, identity }: NamespaceName,
  key: string,
): Promise<Cell | null | undefined> {
  const values = [bytea(avatar), platform, identity, keyColumns(key).sort_key]
  const [row] = await queries.rows<{ value: string | null; stamps: Uint8Array | null }>('member', values)
  if (row === undefined) return undefined
  return row.stamps === null ? null : decodeCell({ value: row.value, stamps: row.stamps })
}

export async function readAvatars(
  queries: Queries,
  { after, limit }: { after?: Avatar; limit: number },
): Promise<Avatar[]> {
  const values = [after === undefined ? NO_BYTES : bytea(after), limit]
  return (await queries.rows<{ avatar: Uint8Array }>('avatars', values)).map(({ avatar }) => avatarOf(avatar))
}

export async function readClaims(
  queries: Queries,
  { platform, identity }: NamespaceName,
  { after, limit }: { after?: Avatar; limit: number },
): Promise<Avatar[]> {
  const values = [platform, identity, after === undefined ? NO_BYTES : bytea(after), limit]
  return (await queries.rows<{ avatar: Uint8Array }>('claims', values)).map(({ avatar }) => avatarOf(avatar))
}
