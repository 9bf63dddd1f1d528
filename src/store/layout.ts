/**
 * Converts data of older layouts to the current one. Layout 2: summaries count history too. Layout 3: `missing` follows the
 * rule of protocol.md that a superseded record never counts as held.
 */
import type { Avatar } from '../record/types.ts'
import { attempt } from './bytes.ts'
import { AvatarEntry } from './avatar-entry.ts'
import { walk, writeDurably, writeSoon } from './database.ts'
import { CorruptRowError } from './errors.ts'
import { readSummary } from './reader.ts'
import { putSealed, type Database, type Operation } from './level.ts'
import * as keys from './keys.ts'
import * as rows from './rows.ts'
import { openSealed, startRow } from './seal.ts'

/** Summaries per batch. */
const STEP_SUMMARIES = 256

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
      const operations: Operation[] = []
      const entry = await AvatarEntry.load(db, avatar)
      entry.flush(operations)
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
