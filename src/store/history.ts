/** Reads records of one avatar in order of (counter, id), in steps that are bounded in number and bytes. */
import type { Avatar, Citation } from '../record/types.ts'
import { openRow, walk, walkSteps } from './database.ts'
import { type Database } from './level.ts'
import { afterRowRepair, type CorruptRowError } from './errors.ts'
import type { Step } from './handle.ts'
import * as keys from './keys.ts'
import { avatarAt, readFound, withReadSnapshot, withStatus } from './reader.ts'
import type { AvatarAt, FoundRecord, Wanted } from './reader.ts'
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
    const at = await avatarAt(db, readSnapshot, avatar)
    if (at === undefined) return []
    const range = rangeOf(avatar, superseded ? 0 : at.liveFrom, after)
    for await (const step of steps(at, range, limit)) return withStatus(at, step)
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
      for await (const rows of inSteps(
        walkSteps(db, keys.tableRange('a'), { snapshot: readSnapshot, values: false }),
        step,
      )) {
        for (const [key] of rows) yield keys.avatarInKey(key)
      }
    },
    async *records(avatar, { history }) {
      try {
        const at = await step(() => avatarAt(db, readSnapshot, avatar))
        if (at === undefined) return
        const range = rangeOf(avatar, history ? 0 : at.liveFrom)
        for await (const some of inSteps(steps(at, range), step)) {
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
        const at = await step(() => avatarAt(db, readSnapshot, avatar))
        return at && { ...at.summary, avatar }
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
  return { gte: keys.keyAfter(keys.historyKey(avatar, after)), lt }
}

/** Reads the records of history rows in steps of at least one, `limit` in total. */
async function* steps(
  { db, readSnapshot, avatar }: AvatarAt,
  range: keys.KeyRange,
  limit = Infinity,
): AsyncGenerator<FoundRecord[]> {
  let wanted: Wanted[] = []
  let bytes = 0
  for await (const [key, row] of walk(db, range, { snapshot: readSnapshot, limit })) {
    const history = openRow(avatar, 'history', key, row, rows.decodeHistory)
    if (wanted.length > 0 && (wanted.length >= STEP_RECORDS || bytes + history.bytes > STEP_BYTES)) {
      yield await readFound(db, readSnapshot, wanted)
      wanted = []
      bytes = 0
    }
    wanted.push({ avatar, sequence: history.sequence, id: keys.placeInKey(key).id })
    bytes += history.bytes
  }
  if (wanted.length > 0) yield await readFound(db, readSnapshot, wanted)
}
