/**
 * Rows in IndexedDB, laid out as `level` lays them out in a browser, so that its tools read them. `level` itself is not used
 * there: it asks for the modules `events` and `buffer` of Node, which bundlers no longer bring along, is larger than the whole
 * replica, and has no way to ask for strict durability.
 */
import type { Disk } from './disk.ts'
import { ReplicaError } from './errors.ts'
import { PAGE_ROWS } from './limits.ts'

/** As browser-level has it. */
const NAME_PREFIX = 'level-js-'

/** @throws ReplicaError `unsupported`, `storage` */
export async function openIndexedDb(location: string): Promise<Disk> {
  if (typeof indexedDB === 'undefined') {
    throw new ReplicaError('unsupported', 'This browser has no IndexedDB here: private windows of some have none.')
  }
  const opening = indexedDB.open(NAME_PREFIX + location, 1)
  opening.addEventListener('upgradeneeded', () => opening.result.createObjectStore(location))
  const db = await settled(opening, 'opened')
  // Whoever wants to delete it, or a newer version of it, is not held up.
  db.addEventListener('versionchange', () => db.close())
  return {
    async get(key) {
      return bytesOf(await settled(store(db, location, 'readonly').get(encode(key)), 'read'))
    },
    async *rows({ after, before }) {
      const end = encode(before)
      for (let from = encode(after); ;) {
        const range = IDBKeyRange.bound(from, end, true, true)
        const rows = store(db, location, 'readonly')
        // Asked for together: a transaction ends where nothing is asked of it.
        const [keys, values] = await Promise.all([
          settled(rows.getAllKeys(range, PAGE_ROWS), 'read'),
          settled(rows.getAll(range, PAGE_ROWS), 'read'),
        ])
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
      const rows = store(db, location, 'readwrite')
      for (const each of operations) {
        if (each.type === 'put') rows.put(each.value, encode(each.key))
        else rows.delete(encode(each.key))
      }
      await committed(rows.transaction)
    },
    close() {
      db.close()
      return Promise.resolve()
    },
  }
}

/** @throws ReplicaError `storage` where the database was closed under us */
function store(db: IDBDatabase, name: string, mode: 'readonly' | 'readwrite'): IDBObjectStore {
  try {
    // Strict: the browser is to have it on disk before it says so; without, a power loss may undo what was acknowledged.
    return db.transaction([name], mode, { durability: 'strict' }).objectStore(name)
  } catch (error) {
    throw storageError('used', error)
  }
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
  const why = cause instanceof Error ? cause.message : 'no reason given'
  return new ReplicaError('storage', `The browser's storage cannot be ${what}: ${why}. Nothing was changed.`, cause)
}
