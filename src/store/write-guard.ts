/**
 * Blocks writes after a failed write. LevelDB itself continues after a failed append to its log (for example on a full disk),
 * but it drops every record after a torn one when it reads the log again, even if it was fsynced. So nothing is written until
 * the database has been closed and opened again, which reads the intact part of the log and starts a new one.
 */
import { readdir, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { detailOf, isDamage } from './database-errors.ts'
import type { Database } from './level.ts'
import { StoreError } from './errors.ts'

/** State of each guarded database since it was opened. Databases in memory are not guarded: they have no files. */
const states = new WeakMap<Database, { hasFailedWrite: boolean; isDamaged: boolean }>()
/** Bytes that an opening of LevelDB writes besides the table for the log. */
const SPARE_BYTES = 1_048_576

/** Guards a database that was just opened: from now on a failed write blocks later writes. */
export function guardWrites(db: Database): void {
  states.set(db, { hasFailedWrite: false, isDamaged: false })
}

export function hasFailedWrite(db: Database): boolean {
  return states.get(db)?.hasFailedWrite === true
}

export function setWriteFailed(db: Database): void {
  const state = states.get(db)
  if (state !== undefined) state.hasFailedWrite = true
}

/** Whether the files of the database must be checked before it is opened again. */
export function isDamaged(db: Database): boolean {
  return states.get(db)?.isDamaged === true
}

/** Notes that files of the database are damaged. It is not used until they have been checked. */
export function setDamaged(db: Database): void {
  const state = states.get(db)
  if (state !== undefined) state.hasFailedWrite = state.isDamaged = true
}

/** Notes damage if `error` is one by which LevelDB reports damaged files. @returns whether it is */
export function noteDamage(db: Database, error: unknown): boolean {
  if (!isDamage(error)) return false
  setDamaged(db)
  return states.has(db)
}

/** The error for a write that was not started. */
export function earlierWriteFailed(): StoreError {
  return new StoreError(
    'write_failed',
    'An earlier write to the store failed. The node opens its data again before the next write. Try again.',
  )
}

/** The error for a write that failed. LevelDB does not say whether it is on disk. */
export function writeFailed(error: unknown): StoreError {
  return new StoreError(
    'write_failed',
    `A write to the store failed: ${detailOf(error)}. It may or may not be on disk. Make the same change again.`,
    { cause: error },
  )
}

/**
 * Checks that the disk has room to open the database again. Without it, closing the database would end all reads.
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
    `The disk of ${location} is full. The node writes nothing until ${Math.ceil(needed / 1_000_000)} MB are free. Delete files or enlarge the disk.`,
  )
}
