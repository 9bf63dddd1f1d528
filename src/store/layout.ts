/**
 * Converts data of layouts 1 to 3 to layout 4. Each step can be repeated, so the conversion resumes after an interruption. All
 * sequences and the epoch stay.
 *
 * - Layouts 1 to 3 stored a record as `r`, avatar, sequence. `h`, `i` and `o` rows were longer (`rows.ts`), there were no `b`
 *   rows, and the change feed had an `f` row for each record.
 * - Layouts 1 and 2 computed `missing` by an older rule: a superseded record could count as held.
 * - Layout 1 did not count history, and kept all of it.
 */
import type { Logger } from '../observe/types.ts'
import type { Environment } from '../platform/environment.ts'
import type { Avatar, RecordBody } from '../record/types.ts'
import { attempt, bytesText } from './bytes.ts'
import { walk, writeDurably, writeSoon } from './database.ts'
import { CorruptRowError } from './errors.ts'
import { floorOperation } from './feed.ts'
import { readSummary } from './reader.ts'
import { del, put, putSealed, type Database, type Operation } from './level.ts'
import * as keys from './keys.ts'
import { loadEntry } from './level-rows.ts'
import { LevelSink } from './level-sink.ts'
import { pushIndexes } from './record-rows.ts'
import * as rows from './rows.ts'
import { openSealed, startRow } from './seal.ts'
import { uncount } from './totals.ts'

/** Most records, and about how many bytes, per batch. */
const STEP_RECORDS = 512
const STEP_BYTES = 2 * 1_024 * 1_024
/** Summaries per batch. */
const STEP_SUMMARIES = 256
/** Pause between two log lines about the progress. */
const PROGRESS_MS = 5_000

interface ConvertComponents {
  readonly environment: Pick<Environment, 'clock'>
  readonly logger: Logger
}

/** Whether records are stored as in layouts 1 to 3. */
export async function hasOldRecords(db: Database): Promise<boolean> {
  return (await db.keys({ ...keys.tableRange('r'), limit: 1 }).all()).length > 0
}

/**
 * Rewrites the rows of all records. Batches are not fsynced: each leaves every record whole, in one form or the other, and the
 * next opening converts again what a power loss undoes.
 */
export async function convertRows(db: Database, { environment, logger }: ConvertComponents): Promise<void> {
  const { clock } = environment
  if (!(await hasOldRecords(db))) return
  await keepFloor(db)
  logger.info('the node converts its store to layout 4; a million records take one to two minutes')
  let toldAtMs = clock.now()
  let converted = 0
  for (let from = keys.tableRange('r').gte; ;) {
    const { operations, records, next } = await convertStep(db, from, clock.now())
    if (next === undefined) break
    await writeSoon(db, operations)
    from = next
    converted += records
    if (clock.now() - toldAtMs < PROGRESS_MS) continue
    toldAtMs = clock.now()
    logger.info({ records: converted }, 'the node is converting its store to layout 4')
  }
  logger.info({ records: converted }, 'the node has converted its store to layout 4')
}

/** Converts some records from a key on. A step has its own iterator, so that LevelDB can free the rows of earlier steps. */
async function convertStep(
  db: Database,
  from: keys.Key,
  nowMs: number,
): Promise<{ operations: Operation[]; records: number; next: keys.Key | undefined }> {
  const operations: Operation[] = []
  const found: { readonly record: rows.RecordRow; readonly sequence: number; readonly createdAt: number }[] = []
  let next: keys.Key | undefined
  let bytes = 0
  for await (const [key, row] of walk(db, { gte: from, lt: keys.tableRange('r').lt }, { limit: STEP_RECORDS })) {
    const [avatar, sequence] = [keys.avatarInKey(key), keys.sequenceInKey(key)]
    next = keys.keyAfter(key)
    // The feed keeps its rows of pruned records.
    operations.push(del(key), del(keys.feedKey(sequence)))
    const converted = openSealed(key, row, (content) => {
      const record = { avatar, ...rows.decodeOldRecord(content) }
      return { record, sequence, createdAt: createdAtOf(record) }
    })
    if (converted === undefined) operations.push(...quarantine(avatar, sequence, row, nowMs), await uncount(db))
    else found.push(converted)
    bytes += row.length
    if (bytes >= STEP_BYTES) break
  }
  const orderKeys = found.map(({ record, createdAt }) => keys.orderKey(createdAt, record.id))
  const orderRows = await db.getMany(orderKeys)
  for (const [at, { record, sequence, createdAt }] of found.entries()) {
    const recordBytes = record.payload.length + record.signature.length
    operations.push(putSealed(keys.recordKey(sequence), rows.encodeRecord(record)))
    pushIndexes(operations, { ...record, createdAt }, sequence, recordBytes, orderRows[at] !== undefined)
  }
  return { operations, records: found.length, next }
}

function createdAtOf({ payload }: rows.RecordRow): number {
  return (JSON.parse(bytesText(payload)) as RecordBody).created_at
}

/** Without a summary the next read of the avatar rebuilds it, and leaves out the damaged record. */
function quarantine(avatar: Avatar, sequence: number, row: Uint8Array, nowMs: number): Operation[] {
  return [put(keys.quarantineKey(nowMs, keys.arrivalKey(avatar, sequence)), row), del(keys.summaryKey(avatar))]
}

/** The floor of the feed stays where its first row is before the conversion. */
async function keepFloor(db: Database): Promise<void> {
  if ((await db.get(keys.metaKey('floor'))) !== undefined) return
  for await (const [key] of walk(db, keys.tableRange('f'), { limit: 1, values: false })) {
    await writeSoon(db, [floorOperation(keys.sequenceInKey(key) - 1)])
  }
}

/**
 * Adds history to the counts of all summaries. Can be repeated after an interruption: it skips summaries that count history
 * already. It also skips damaged summaries; the next read of the avatar repairs them.
 */
export async function countHistory(db: Database): Promise<void> {
  let operations: Operation[] = []
  for await (const [hosted] of walk(db, keys.tableRange('a'), { values: false })) {
    const avatar = keys.avatarInKey(hosted)
    const key = keys.summaryKey(avatar)
    const content = openSealed(key, await db.get(key), (bytes) => bytes)
    if (content === undefined || attempt(() => rows.decodeSummary(content)) !== undefined) continue
    const { records, bytes } = await keptBy(db, avatar)
    const counted = startRow(content.length + 16)
      .bytes(content)
      .varint(records)
      .varint(bytes)
      .finish()
    if (operations.push(putSealed(key, counted)) < STEP_SUMMARIES) continue
    await writeDurably(db, operations)
    operations = []
  }
  await writeDurably(db, operations)
}

/**
 * Rewrites the summaries of avatars with pending records: only these have missing ids. Can be repeated. It skips avatars with
 * damaged rows; the next read rebuilds them.
 */
export async function recountMissing(db: Database): Promise<void> {
  for await (const [hosted] of walk(db, keys.tableRange('a'), { values: false })) {
    const avatar = keys.avatarInKey(hosted)
    try {
      const summary = readSummary(db, avatar)
      if (summary === undefined || summary.pending + summary.incomplete === 0) continue
      const entry = await loadEntry(db, avatar)
      const operations: Operation[] = []
      entry.flush(new LevelSink(db, operations))
      await writeSoon(db, operations)
    } catch (error) {
      if (!(error instanceof CorruptRowError)) throw error
    }
  }
}

async function keptBy(db: Database, avatar: Avatar): Promise<{ records: number; bytes: number }> {
  let [records, bytes] = [0, 0]
  for await (const [key, row] of walk(db, keys.tableRange('h', avatar))) {
    records += 1
    bytes += openSealed(key, row, rows.decodeHistory)?.bytes ?? 0
  }
  return { records, bytes }
}
