import type { AbstractLevel } from 'abstract-level'
import type { BatchOptions } from 'level'
import { messageOf } from '../platform/errors.ts'
import { createWriteQueue } from '../client/write-queue.ts'
import type { Disk, Operation, Rows } from './disk.ts'
import { ReplicaError } from './errors.ts'
import { PAGE_ROWS } from './limits.ts'

/** Any database of the `abstract-level` family: `level`, `memory-level`, `browser-level`. */
export type LevelDatabase = AbstractLevel<string | Buffer | Uint8Array, string, string>

const ENCODING = { keyEncoding: 'utf8', valueEncoding: 'view' } as const
/** `sync` is LevelDB's: on disk before it is acknowledged. Others take no notice of it. */
const SYNCED: BatchOptions<string, Uint8Array> = { sync: true, ...ENCODING }

/**
 * Rows in a database that is open, or opens by itself. Closing the disk closes it.
 *
 * LevelDB goes on after a write that failed, as on a full disk, but what it then writes comes behind half a record in its log,
 * and is thrown away when the log is read the next time, though it was acknowledged. So after a failure the database is opened
 * anew, which begins another log, before anything else is done with it. That is why one thing is done at a time.
 */
export function levelDisk(db: LevelDatabase): Disk {
  const inTurn = createWriteQueue()
  /** After a batch that failed, what makes it undone: where but the fsync failed, the log brings it back. */
  let undo: readonly Operation[] | undefined
  let reopened: ((rows: Rows) => Promise<void>) | undefined
  let isClosed = false

  function use<T>(what: 'read' | 'written', run: () => Promise<T>): Promise<T> {
    return inTurn('all', async () => {
      try {
        if (undo !== undefined) await openAnew(undo)
        else if (db.status === 'closed' && !isClosed) await reopen()
        return await run()
      } catch (error) {
        throw storageError(what, error)
      }
    })
  }

  /** The program that handed in the database has closed it. */
  async function reopen(): Promise<void> {
    await db.open()
    try {
      await reopened?.(rowsOf((_, run) => run()))
    } catch (error) {
      await db.close()
      throw error
    }
  }

  async function openAnew(operations: readonly Operation[]): Promise<void> {
    await db.close()
    await db.open()
    await db.batch<string, Uint8Array>([...operations], SYNCED)
    undo = undefined
  }

  /** What is there now at the keys of some operations. */
  async function present(operations: readonly Operation[]): Promise<Operation[]> {
    const keys = operations.map(({ key }) => key)
    const values = await db.getMany<string, Uint8Array>(keys, ENCODING)
    return keys.map((key, at) => {
      const value = values[at]
      return value === undefined ? { type: 'del', key } : { type: 'put', key, value }
    })
  }

  function rowsOf(use: <T>(what: 'read' | 'written', run: () => Promise<T>) => Promise<T>): Rows {
    return {
      get: (key) => use('read', () => db.get<string, Uint8Array>(key, ENCODING)),
      async *rows({ after, before }) {
        for (let from = after; ;) {
          const range = { gt: from, lt: before, limit: PAGE_ROWS, ...ENCODING }
          const page = await use('read', () => db.iterator<string, Uint8Array>(range).all())
          yield* page
          const last = page.at(-1)
          if (last === undefined || page.length < PAGE_ROWS) return
          from = last[0]
        }
      },
      batch: (operations) =>
        use('written', async () => {
          try {
            await db.batch<string, Uint8Array>([...operations], SYNCED)
          } catch (error) {
            // A database that does not even give what it has has not taken anything either.
            undo = await present(operations).catch(() => [])
            throw error
          }
        }),
    }
  }

  return {
    ...rowsOf(use),
    onReopened: (call) => void (reopened = call),
    close: () => {
      isClosed = true
      return inTurn('all', () => db.close())
    },
  }
}

/** @param what cannot be done, for people */
export function storageError(what: 'opened' | 'read' | 'written', error: unknown): ReplicaError {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  const advice = what === 'written' ? 'Nothing was changed.' : ADVICE
  return new ReplicaError('storage', `The data on this disk cannot be ${what}: ${messageOf(cause)}. ${advice}`, error)
}

const ADVICE =
  'If the disk is full, make room and try again. If a file of it is damaged or gone, move the directory away and follow the avatars again; what was not sent is lost with it, so export first where it still opens.'
