import { Level } from 'level'
import { databaseError } from './database-errors.ts'
import type { StoreError } from './errors.ts'

/** @throws StoreError `locked` if another process has the store open: its writes would look like damage */
export async function mustBeFree(location: string): Promise<void> {
  const problem = await openProblem(location)
  if (problem?.code === 'locked') throw problem
}

/** Whether a process, this one included, has the database in a directory open. */
export async function isDatabaseOpen(location: string): Promise<boolean> {
  return (await openProblem(location))?.code === 'locked'
}

async function openProblem(location: string): Promise<StoreError | undefined> {
  // LevelDB takes the lock before it checks whether a database exists, and releases it when it fails.
  const db = new Level(location, { createIfMissing: false, errorIfExists: true })
  try {
    await db.open()
    return undefined
  } catch (error) {
    return databaseError(error, location)
  } finally {
    await db.close()
  }
}
