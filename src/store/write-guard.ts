/**
 * LevelDB goes on after an append to its log has failed, a full disk's for one. But what it appends behind a torn record is
 * thrown away when the log is read again, with fsync or not: so nothing is written then until the database has been closed
 * and opened anew, which reads the log as far as it is whole, and begins another.
 */
import { readdir, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { detailOf, isDamage } from './database-errors.ts'
import type { Database } from './level.ts'
import { StoreError } from './errors.ts'

/** What keeps a database from being used as it is; those in memory have no files. */
const states = new WeakMap<Database, { hasFailedWrite: boolean; isDamaged: boolean }>()
/** What LevelDB writes at an opening beside the table that it makes of the log. */
const SPARE_BYTES = 1_048_576

/** From now on a failed write to this database keeps later ones from it. */
export function guardWrites(db: Database): void {
  states.set(db, { hasFailedWrite: false, isDamaged: false })
}

export function hasFailedWrite(db: Database): boolean {
  return states.get(db)?.hasFailedWrite === true
}

/** A write has failed, or, with false, the log has been read again and another begun. */
export function setWriteFailed(db: Database, failed: boolean): void {
  const state = states.get(db)
  if (state === undefined) return
  state.hasFailedWrite = failed
  if (!failed) state.isDamaged = false
}

/** Whether the files of the database must be checked before it is opened again. */
export function isDamaged(db: Database): boolean {
  return states.get(db)?.isDamaged === true
}

/** Notes that files of the database are damaged: it is not used before they have been checked. */
export function setDamaged(db: Database): void {
  const state = states.get(db)
  if (state !== undefined) state.hasFailedWrite = state.isDamaged = true
}

/** Notes an error that LevelDB reports because its files are damaged. @returns whether it is one */
export function noteDamage(db: Database, error: unknown): boolean {
  if (!states.has(db) || !isDamage(error)) return false
  setDamaged(db)
  return true
}

/** @throws StoreError `write_failed` */
export function assertWritable(db: Database): void {
  if (hasFailedWrite(db)) throw earlierWriteFailed()
}

/** Of a write that was not begun. */
export function earlierWriteFailed(): StoreError {
  return new StoreError(
    'write_failed',
    'An earlier write to the store failed. The node opens its data again before the next one. Try again.',
  )
}

/** Of a write that failed: LevelDB does not say whether it is on disk. */
export function writeFailed(error: unknown): StoreError {
  return new StoreError(
    'write_failed',
    `A write to the store failed: ${detailOf(error)}. It may be on disk or not. Make the same change again.`,
    { cause: error },
  )
}

/**
 * Whether a database can be closed and opened again: without room for that, closing it would end all reads.
 *
 * @throws StoreError `disk_full`
 */
export async function assertRoom(location: string): Promise<void> {
  let logBytes = 0
  for (const name of await readdir(location)) {
    if (name.endsWith('.log')) logBytes += (await stat(join(location, name))).size
  }
  const needed = 2 * logBytes + SPARE_BYTES
  const { bavail, bsize } = await statfs(location)
  if (bavail * bsize >= needed) return
  throw new StoreError(
    'disk_full',
    `The disk of ${location} is full: nothing is written until it has ${Math.ceil(needed / 1_000_000)} MB of room.`,
  )
}
