import { messageOf } from '../platform/errors.ts'
import { createWriteQueue } from '../client/write-queue.ts'
import type { Disk, Operation, Rows } from './disk.ts'
import { ReplicaError } from './errors.ts'
import { PAGE_ROWS } from './limits.ts'

/**
 * A database of the `abstract-level` family, such as `level`, `memory-level` and `browser-level`: the calls that the replica makes. Written
 * out, because the types of `abstract-level` need those of Node.js.
 */
export interface LevelDatabase {
  readonly status: string
  /** Opens the database, or does nothing if it is open. */
  open(): Promise<void>
  /** Closes the database. */
  close(): Promise<void>
  /** Returns the value of a key. */
  get(key: string, options: LevelEncoding): Promise<Uint8Array | undefined>
  /** Returns the values of keys, in their order. */
  getMany(keys: string[], options: LevelEncoding): Promise<(Uint8Array | undefined)[]>
  /** Returns rows in the order of their keys. */
  iterator(range: LevelRange): LevelIterator
  /** Writes all operations or none. */
  batch(operations: Operation[], options: LevelEncoding & { readonly sync: boolean }): Promise<void>
}

/** Reads rows. */
export interface LevelIterator {
  /** Reads all rows of the range, and closes the iterator. */
  all(): Promise<[string, Uint8Array][]>
}

/** Keys are texts, values are bytes. */
export interface LevelEncoding {
  readonly keyEncoding: 'utf8'
  readonly valueEncoding: 'view'
}

/** Rows in order of their keys: those after `gt` and before `lt`, at most `limit`. */
export interface LevelRange extends LevelEncoding {
  readonly gt?: string
  readonly lt?: string
  readonly limit: number
}

export const ENCODING: LevelEncoding = { keyEncoding: 'utf8', valueEncoding: 'view' }
/** `sync`: LevelDB acknowledges a write once it is on disk. Other databases ignore it. */
const SYNCED = { sync: true, ...ENCODING }

/**
 * Rows in a database that is open, or opens by itself. Closing the disk closes the database.
 *
 * LevelDB accepts writes after one that failed, as on a full disk. But in its log they come after half a record, so they are lost
 * when the log is read the next time, although they were acknowledged. So after a failure the database is closed and opened,
 * which begins another log, before the next operation. That is why operations run one at a time.
 */
export function levelDisk(db: LevelDatabase): Disk {
  const inTurn = createWriteQueue()
  /** Operations that undo a batch that failed: if only the fsync failed, the batch is in the log. */
  let undo: readonly Operation[] | undefined
  let reopened: ((rows: Rows) => Promise<void>) | undefined
  let isClosed = false

  function use<T>(what: 'read' | 'written', run: () => Promise<T>): Promise<T> {
    return inTurn('all', async () => {
      try {
        if (undo !== undefined) await openAgain(undo)
        else if (db.status === 'closed' && !isClosed) await reopen()
        return await run()
      } catch (error) {
        throw storageError(what, error)
      }
    })
  }

  /** Opens the database after the program that owns it has closed it. */
  async function reopen(): Promise<void> {
    await db.open()
    try {
      await reopened?.(rowsOf((_, run) => run()))
    } catch (error) {
      await db.close()
      throw error
    }
  }

  async function openAgain(operations: readonly Operation[]): Promise<void> {
    await db.close()
    await db.open()
    await db.batch([...operations], SYNCED)
    undo = undefined
  }

  /** Operations that restore the present values of the keys of `operations`. */
  async function present(operations: readonly Operation[]): Promise<Operation[]> {
    const keys = operations.map(({ key }) => key)
    const values = await db.getMany(keys, ENCODING)
    return keys.map((key, at) => {
      const value = values[at]
      return value === undefined ? { type: 'del', key } : { type: 'put', key, value }
    })
  }

  function rowsOf(use: <T>(what: 'read' | 'written', run: () => Promise<T>) => Promise<T>): Rows {
    return {
      get: (key) => use('read', () => db.get(key, ENCODING)),
      async *rows({ after, before }) {
        for (let from = after; ;) {
          const range = { gt: from, lt: before, limit: PAGE_ROWS, ...ENCODING }
          const page = await use('read', () => db.iterator(range).all())
          yield* page
          const last = page.at(-1)
          if (last === undefined || page.length < PAGE_ROWS) return
          from = last[0]
        }
      },
      batch: (operations) =>
        use('written', async () => {
          try {
            await db.batch([...operations], SYNCED)
          } catch (error) {
            // A database that cannot be read has not written the batch either.
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

/** @param what the database cannot be, for people */
export function storageError(what: 'opened' | 'read' | 'written', error: unknown): ReplicaError {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  const advice = what === 'written' ? 'Nothing was changed.' : ADVICE
  return new ReplicaError('storage', `The data on this disk cannot be ${what}: ${messageOf(cause)}. ${advice}`, error)
}

const ADVICE =
  'If the disk is full, make room and try again. If a file is damaged or missing, move the directory away and follow the avatars again. Writes that were not sent are lost then, so export first if the replica still opens.'
