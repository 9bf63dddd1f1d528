/** Reads records of one avatar in order of (counter, id), in steps that are bounded in number and bytes. */
import type { Avatar, Citation } from '../record/types.ts'
import { openRow, walk, walkSteps, type ReadSnapshot } from './database.ts'
import { type Database } from './level.ts'
import { afterRowRepair, CorruptRowError } from './errors.ts'
import type { Step } from './handle.ts'
import * as keys from './keys.ts'
import { withReadSnapshot, readSummaryAt, withStatus, type FoundRecord } from './reader.ts'
import * as rows from './rows.ts'
import type { ExportedRecord, ExportSnapshot, StoredRecord } from './types.ts'

/** Records per step. */
const STEP_RECORDS = 256
/** Bytes of records per step. One record may exceed it. */
const STEP_BYTES = 4 * 1_024 * 1_024

/** A page of `StoreReader.history`. */
export function readHistory(
  db: Database,
  avatar: Avatar,
  { after, limit, superseded }: { after?: Citation; limit: number; superseded: boolean },
): Promise<StoredRecord[]> {
  return withReadSnapshot(db, async (readSnapshot) => {
    const summary = await readSummaryAt(db, readSnapshot, avatar)
    if (summary === undefined) return []
    const range = rangeOf(avatar, superseded ? 0 : (summary.base?.counter ?? 0), after)
    for await (const step of steps(db, readSnapshot, avatar, range, limit)) {
      return withStatus(db, readSnapshot, avatar, summary, step)
    }
    return []
  })
}

/**
 * Opens an export of everything as of now.
 *
 * @param step runs each read of the database
 * @param repairRow called with the error of a row that failed its check
 */
export function openExportSnapshot(
  db: Database,
  step: Step,
  repairRow: (error: CorruptRowError) => Promise<void>,
): ExportSnapshot {
  const readSnapshot = db.snapshot()

  return {
    async *avatars() {
      for await (const rows of inSteps(walkSteps(db, keys.tableRange('a'), { readSnapshot, keysOnly: true }), step)) {
        for (const [key] of rows) yield keys.avatarInKey(key)
      }
    },
    async *records(avatar, { history }) {
      try {
        const summary = await step(() => readSummaryAt(db, readSnapshot, avatar))
        if (summary === undefined) return
        const range = rangeOf(avatar, history ? 0 : (summary.base?.counter ?? 0))
        for await (const some of inSteps(steps(db, readSnapshot, avatar, range, Infinity), step)) {
          for (const { counter, id, payload, signature } of some) {
            yield { counter, id, payload, signature } satisfies ExportedRecord
          }
        }
      } catch (error) {
        throw await afterRowRepair(error, repairRow)
      }
    },
    async summary(avatar) {
      try {
        const summary = await step(() => readSummaryAt(db, readSnapshot, avatar))
        return summary && { ...summary, avatar }
      } catch (error) {
        throw await afterRowRepair(error, repairRow)
      }
    },
    close: () => readSnapshot.close(),
  }
}

/** Runs each step of a walk through `step`. */
async function* inSteps<T>(walk: AsyncGenerator<T>, step: Step): AsyncGenerator<T> {
  try {
    for (let next = await step(() => walk.next()); next.done !== true; next = await step(() => walk.next())) {
      yield next.value
    }
  } finally {
    await walk.return(undefined)
  }
}

/** The range of history rows from a counter on, after a position. */
function rangeOf(avatar: Avatar, from: number, after?: Citation): keys.KeyRange {
  const { gte, lt } = keys.historyRange(avatar, from, Number.MAX_SAFE_INTEGER + 1)
  if (after === undefined || after.counter < from) return { gte, lt }
  return { gte: keys.historyKeyAfter(avatar, after), lt }
}

/** Reads the records of history rows in steps of at least one, `limit` in total. */
async function* steps(
  db: Database,
  readSnapshot: ReadSnapshot,
  avatar: Avatar,
  range: keys.KeyRange,
  limit: number,
): AsyncGenerator<FoundRecord[]> {
  let places: (Citation & { readonly sequence: number })[] = []
  let bytes = 0
  for await (const [key, row] of walk(db, range, { readSnapshot, ...(limit === Infinity ? {} : { limit }) })) {
    const history = openRow(avatar, 'history', key, row, rows.decodeHistory)
    if (places.length > 0 && (places.length >= STEP_RECORDS || bytes + history.bytes > STEP_BYTES)) {
      yield await readAll(db, readSnapshot, avatar, places)
      places = []
      bytes = 0
    }
    places.push({ ...keys.placeInKey(key), sequence: history.sequence })
    bytes += history.bytes
  }
  if (places.length > 0) yield await readAll(db, readSnapshot, avatar, places)
}

async function readAll(
  db: Database,
  readSnapshot: ReadSnapshot,
  avatar: Avatar,
  places: readonly (Citation & { readonly sequence: number })[],
): Promise<FoundRecord[]> {
  const recordKeys = places.map(({ sequence }) => keys.recordKey(avatar, sequence))
  const found = await db.getMany(recordKeys, { snapshot: readSnapshot })
  return found.map((row, at) => {
    const { id, sequence } = places[at] as Citation & { sequence: number }
    if (row === undefined) throw new CorruptRowError(avatar, 'record', `${id} is missing`)
    const record = openRow(avatar, 'record', recordKeys[at] as keys.Key, row, rows.decodeRecord)
    if (record.id !== id) throw new CorruptRowError(avatar, 'record', `${id} is missing`)
    return { ...record, sequence }
  })
}
