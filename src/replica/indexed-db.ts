/**
 * Rows in IndexedDB, in the format of `level` in browsers, so that its tools can read them. `level` itself is not used: it needs
 * the modules `events` and `buffer` of Node, which bundlers no longer provide, is larger than the whole replica, and cannot ask
 * for strict durability.
 */
import type { Disk, Rows } from './disk.ts'
import { ReplicaError } from './errors.ts'
import { PAGE_ROWS } from './limits.ts'

/** The same as in browser-level. */
const NAME_PREFIX = 'level-js-'

/**
 * Opens the database, and opens it again whenever the browser has closed it: to evict or clear the site's data, because iOS
 * stopped its storage in the background, or because another tab deletes or upgrades the database.
 *
 * @throws ReplicaError `unsupported`, `newer`, `storage`
 */
export async function openIndexedDb(location: string): Promise<Disk> {
  if (typeof indexedDB === 'undefined') {
    throw new ReplicaError('unsupported', 'This browser has no IndexedDB here: private windows of some have none.')
  }
  let reopened: ((rows: Rows) => Promise<void>) | undefined
  let connection: Promise<IDBDatabase> | undefined

  function connect(): Promise<IDBDatabase> {
    if (connection !== undefined) return connection
    const opening = open(location, () => {
      if (connection === opening) connection = undefined
    }).then(async (db) => {
      await reopened?.(rowsOf((run) => run(db), location))
      return db
    })
    connection = opening
    opening.catch(() => {
      if (connection === opening) connection = undefined
    })
    return opening
  }

  /** It is safe to repeat an operation: one that fails on a lost connection is done once more on a new connection. */
  async function use<T>(run: (db: IDBDatabase) => Promise<T>): Promise<T> {
    const used = connect()
    const db = await used
    try {
      return await run(db)
    } catch (error) {
      if (!isLost(error)) throw error
      if (connection === used) connection = undefined
      db.close()
      return await run(await connect())
    }
  }

  await connect()
  return {
    ...rowsOf(use, location),
    onReopened: (call) => void (reopened = call),
    async close() {
      const db = await connection?.catch(() => undefined)
      db?.close()
    },
  }
}

/** @param lost called once the connection can no longer be used */
async function open(location: string, lost: () => void): Promise<IDBDatabase> {
  const opening = indexedDB.open(NAME_PREFIX + location, 1)
  opening.addEventListener('upgradeneeded', () => opening.result.createObjectStore(location))
  const db = await settled(opening, 'opened')
  db.addEventListener('close', lost)
  // Another tab that deletes the database, or upgrades it to a newer version, must not have to wait.
  db.addEventListener('versionchange', () => {
    lost()
    db.close()
  })
  return db
}

function rowsOf(use: <T>(run: (db: IDBDatabase) => Promise<T>) => Promise<T>, location: string): Rows {
  return {
    get: (key) => use(async (db) => bytesOf(await settled(store(db, location, 'readonly').get(encode(key)), 'read'))),
    async *rows({ after, before }) {
      const end = encode(before)
      for (let from = encode(after); ;) {
        const range = IDBKeyRange.bound(from, end, true, true)
        // Both at once: a transaction ends as soon as it has no open request.
        const [keys, values] = await use((db) => {
          const rows = store(db, location, 'readonly')
          const keys = settled(rows.getAllKeys(range, PAGE_ROWS), 'read')
          return Promise.all([keys, settled(rows.getAll(range, PAGE_ROWS), 'read')])
        })
        for (const [at, key] of keys.entries()) {
          const value = bytesOf(values[at])
          if (value !== undefined) yield [new TextDecoder().decode(key as ArrayBuffer), value]
        }
        const last = keys.at(-1)
        if (last === undefined || keys.length < PAGE_ROWS) return
        from = new Uint8Array(last as ArrayBuffer)
      }
    },
    async batch(operations) {
      if (operations.length === 0) return
      await use(async (db) => {
        const rows = store(db, location, 'readwrite')
        for (const each of operations) {
          if (each.type === 'put') rows.put(each.value, encode(each.key))
          else rows.delete(encode(each.key))
        }
        await committed(rows.transaction)
      })
    },
  }
}

/** @throws ReplicaError `storage` if the database was closed meanwhile */
function store(db: IDBDatabase, name: string, mode: 'readonly' | 'readwrite'): IDBObjectStore {
  try {
    // Strict: the browser reports a write once it is on disk. Otherwise a power loss may undo an acknowledged write.
    return db.transaction([name], mode, { durability: 'strict' }).objectStore(name)
  } catch (error) {
    throw storageError('used', error)
  }
}

/**
 * Errors by which browsers report a lost connection: `InvalidStateError` after a close, `NotFoundError` if another tab created the
 * database without its store, `UnknownError` if Safari lost its storage process, `AbortError` for a transaction that was open.
 */
const LOST: ReadonlySet<unknown> = new Set(['InvalidStateError', 'NotFoundError', 'UnknownError', 'AbortError'])

function isLost(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined
  // A transaction that the browser aborts has no error.
  return error instanceof ReplicaError && (cause === null || (cause instanceof Error && LOST.has(cause.name)))
}

function encode(key: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(key)
}

function bytesOf(value: unknown): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value
  return value instanceof ArrayBuffer ? new Uint8Array(value) : undefined
}

function settled<T>(request: IDBRequest<T>, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result))
    request.addEventListener('error', () => reject(storageError(what, request.error)))
  })
}

function committed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.addEventListener('complete', () => resolve())
    transaction.addEventListener('abort', () => reject(storageError('written', transaction.error)))
  })
}

function storageError(what: string, cause: unknown): ReplicaError {
  if (cause instanceof Error && cause.name === 'VersionError') {
    return new ReplicaError('newer', 'A newer version of this app has written the data. Load the page again.', cause)
  }
  const why = cause instanceof Error ? cause.message : 'no reason given'
  return new ReplicaError('storage', `The browser's storage cannot be ${what}: ${why}. Nothing was changed.`, cause)
}
